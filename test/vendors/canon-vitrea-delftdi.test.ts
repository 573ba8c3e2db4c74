import { testRows } from './rows.ts';

testRows({
  profile: 'canon-vitrea-delftdi',
  addresses: 2,
  layout: {
    2398: 'hl7',
    2988: 'hl7',
    4106: 'worklist',
    8080: 'http',
    8089: 'http',
    8236: 'http',
    8237: 'http',
    8238: 'http',
    8994: 'http',
    11112: 'store',
    19001: 'hl7',
    19002: 'hl7',
    19011: 'hl7',
    19012: 'hl7',
    19013: 'hl7',
  },
  also: { isProtocolAware: true },
});
