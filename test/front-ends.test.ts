/** What VIPs have of their own on the way to pools that they share. */
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { hl7Message } from './peers/hl7-messages.ts';
import { mllpFrame } from './peers/mllp-peer.ts';
import { associateRequest } from './peers/pdus.ts';
import { startTestBalancer } from './peers/start-balancer.ts';
import { openConnection } from './peers/test-connection.ts';
import { Journal } from './peers/waiting.ts';

test.each([
  ['tcp', Buffer.from('hello')],
  ['http', Buffer.from('GET / HTTP/1.1\r\nHost: a.test\r\n\r\n')],
  ['hl7', mllpFrame(hl7Message({ controlId: 'M1' }))],
  ['dicom', associateRequest()],
])(
  'protocol: %s: `source: ADDRESS` is where connections come from, not those of health checks or other VIPs',
  async (protocol, request) => {
    const seen = new Journal<string>('connections of the server');
    const server = createServer((socket) => {
      seen.add(socket.remoteAddress!);
      socket.on('error', () => {}).resume();
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    onTestFinished(() => void server.close());
    await using balancer = await startTestBalancer(`
pools:
  P: { servers: ["127.0.0.1:${(server.address() as AddressInfo).port}"], health: { check: connect, interval: 1h } }
vips:
  A: { protocol: ${protocol}, listen: ["127.0.0.1:0"], pool: P, source: 127.0.0.9 }
  B: { protocol: ${protocol}, listen: ["127.0.0.1:0"], pool: P }
`);
    await seen.find((from) => from === '127.0.0.1');
    for (const [vip, from] of [
      ['A', '127.0.0.9'],
      ['B', '127.0.0.1'],
    ] as const) {
      seen.clear();
      const client = await openConnection(balancer.address(vip));
      await client.write(request);
      await seen.find((one) => one === from);
      expect(seen.items).toEqual([from]);
      client.reset();
    }
  },
);
