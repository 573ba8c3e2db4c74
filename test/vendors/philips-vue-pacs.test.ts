import { testRows } from './rows.ts';

testRows({
  profile: 'philips-vue-pacs',
  addresses: 3,
  layout: {
    80: 'http',
    443: 'https',
    514: 'echo',
    1521: 'echo',
    2104: 'store',
    3320: 'worklist',
    4001: 'hl7',
    4003: 'hl7',
    4005: 'hl7',
    10010: 'hl7',
    22104: 'echo',
    32338: 'echo',
  },
  webSockets: ['CHAT', 'CHAT_STANDBY'],
  pathOf: () => '/chat',
});
