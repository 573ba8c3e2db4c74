/** `hl7.patient` and `hl7.accession`: what a VIP is told about fields holds for rules and order alike. */
import { expect, test } from 'vitest';
import { connectSender, startReceiver } from '../../peers/mllp-peer.ts';
import { startTestBalancer } from '../../peers/start-balancer.ts';

/** Invented; the number of the house is in the second repetition of PID-3, and the order's in ORC-2. */
const MESSAGE = Buffer.from(
  [
    'MSH|^~\\&|LAB|NORTH|RIS|NORTH|20260101120000||ORM^O01|C1|P|2.5',
    'PID|1||999^^^ELSEWHERE^PI~INVENTED-7^^^HOUSE^XX||DEMO^INVENTED',
    'ORC|NW|A-100',
    '',
  ].join('\r'),
  'latin1',
);

test.for([
  ['patient: { repetition: 2 }', '{ patient: "INVENTED-*" }'],
  ['patient: { types: [XX] }', '{ patient: "INVENTED-*" }'],
  ['accession: ORC-2', '{ accession: "A-*" }'],
])('hl7.%s is what rules go by', async ([option, when]) => {
  const wanted = await startReceiver();
  const other = await startReceiver();
  const balancer = await startTestBalancer(`
pools:
  wanted: { servers: ["${wanted.endpoint}"], health: { check: none } }
  other: { servers: ["${other.endpoint}"], health: { check: none } }
vips:
  H:
    protocol: hl7
    listen: ["127.0.0.1:0"]
    routes: [{ when: ${when}, pool: wanted }]
    pool: other
    hl7: { ${option} }
`);
  const sender = await connectSender(balancer.address('H'));
  await sender.send(MESSAGE);
  expect(wanted.messages.length).toBe(1);
  expect(other.messages.length).toBe(0);
  sender.end();
  await balancer.stop();
  await wanted.stop();
  await other.stop();
});
