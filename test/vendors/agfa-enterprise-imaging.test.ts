import { testRows } from './rows.ts';

testRows({
  profile: 'agfa-enterprise-imaging',
  addresses: 2,
  layout: {
    80: 'http',
    104: 'store',
    110: 'archive',
    443: 'https',
    2310: 'hl7',
    2311: 'hl7',
    2762: 'store-tls',
    4447: 'echo',
    5222: 'echo',
    5223: 'echo',
    6514: 'echo',
    7443: 'echo',
    8080: 'http',
    8443: 'https',
    9080: 'http',
    9081: 'http',
    10080: 'http',
    10123: 'echo',
    10124: 'echo',
  },
  also: { endsTls: true },
});
