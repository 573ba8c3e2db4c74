/** What an operator does with a message that no server takes, from its refusal to its delivery. */
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { hl7Message } from '../peers/hl7-messages.ts';
import { answering, connectSender, startReceiver } from '../peers/mllp-peer.ts';
import { startTestBalancer } from '../peers/start-balancer.ts';
import { scratchFolder } from '../queue/scratch.ts';
import { runHere } from './run-cli.ts';

test('a message that is refused is listed, shown, released and delivered as it came', async () => {
  const receiver = await startReceiver(answering('AE'));
  onTestFinished(() => receiver.stop());
  const file = join(scratchFolder(), 'orders');
  const balancer = await startTestBalancer(`
admin: { listen: "127.0.0.1:0", token: open-sesame }
pools: { ris: { servers: [{ name: a, address: "${receiver.endpoint}" }], health: { check: none } } }
vips:
  ORDERS:
    protocol: hl7
    listen: "127.0.0.1:0"
    pool: ris
    hl7: { delivery: store, ackOnStore: AA, queue: ${file}, maxAttempts: 1 }
`);
  onTestFinished(() => balancer.stop());
  const { host, port } = balancer.admin;
  const admin = ['--admin', `http://${host}:${port}`, '--token', 'open-sesame'];
  const gantry = async (...words: string[]) => (await runHere([...words, ...admin])).stdout;

  const sender = await connectSender(balancer.address('ORDERS'));
  onTestFinished(() => sender.connection.reset());
  const message = hl7Message({ controlId: 'M1', patient: 'INVENTED-7' });
  expect(String(await sender.send(message))).toContain('MSA|AA|M1');
  await balancer.messages.find(({ outcome }) => outcome === 'quarantined');

  expect(await gantry('queue', 'list', 'ORDERS')).toMatch(
    /\n1 +20\S+Z +ADT\^A\d\d +M1 +\S+\^\S+ +\d+ B +1 +\S.*AE/,
  );
  expect(await gantry('queue', 'list', 'ORDERS')).not.toContain('INVENTED');
  expect(await gantry('status')).toMatch(/\nORDERS +1 +\d+ B +0 +1 +- +\S+orders\n/);
  expect(await gantry('queue', 'show', 'ORDERS', '1')).toBe(message.toString());
  await balancer.notices.find(
    ({ message: text, fields }) => text === 'quarantine' && fields.action === 'show',
  );

  receiver.script = answering();
  expect(await gantry('queue', 'release', 'ORDERS', '1')).toBe('ORDERS 1: released\n');
  await balancer.messages.find((event) => event.outcome === 'delivered' && event.acknowledgement === 'AA');
  expect(receiver.messages.items.map(({ bytes }) => bytes)).toEqual([message, message]);
  expect(await gantry('queue', 'list', 'ORDERS')).toBe('nothing is in quarantine\n');
});
