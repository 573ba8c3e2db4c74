/** The order of what is in the queue holds through whatever happens to the configuration. */
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { acknowledgementOf } from '../../peers/hl7-messages.ts';
import { answering, answeringWith, connectSender } from '../../peers/mllp-peer.ts';
import { scratchFolder } from '../../queue/scratch.ts';
import { receiverFor } from './start-receivers.ts';
import { commit, queueAt, storing } from './start-storing.ts';

test('the order is changed while messages wait in the queue: they go before those that come then', async () => {
  const receiver = await receiverFor(answering('CA'));
  await receiver.stop();
  const queue = await queueAt(join(scratchFolder(), 'queue'), { pause: { first: 500, longest: 500 } });
  await using hl7 = await storing(queue, { pools: { main: { servers: [receiver.address] } } });
  const sender = await connectSender(hl7.address);
  await sender.send(commit('M1', { sendingApp: 'ONE' }));
  await hl7.messages.find(({ outcome }) => outcome === 'held');
  const settings = { ...hl7.options.hl7, order: 'sender' as const };
  hl7.frontEnd.reconfigure({ ...hl7.options, hl7: settings });
  await receiver.restart();
  await sender.send(commit('M2', { sendingApp: 'TWO' }));
  const got = await receiver.messages.count(2);
  expect(got.map(({ controlId }) => controlId)).toEqual(['M1', 'M2']);
});

test.each(['before', 'after'])(
  'the order is changed: nobody waits for what comes into quarantine %s that',
  async (when) => {
    const receiver = await receiverFor(
      answeringWith(({ bytes, controlId }) => acknowledgementOf(bytes, controlId === 'BAD' ? 'CE' : 'CA')),
    );
    const settings = { maxAttempts: when === 'before' ? 1 : 2, pause: { first: 300, longest: 300 } };
    const queue = await queueAt(join(scratchFolder(), 'queue'), settings);
    await using hl7 = await storing(queue, { pools: { main: { servers: [receiver.address] } } });
    const sender = await connectSender(hl7.address);
    await sender.send(commit('BAD', { sendingApp: 'ONE' }));
    await hl7.messages.find(({ outcome }) => outcome === (when === 'before' ? 'quarantined' : 'held'));
    hl7.frontEnd.reconfigure({ ...hl7.options, hl7: { ...hl7.options.hl7, order: 'sender' } });
    await sender.send(commit('M2', { sendingApp: 'TWO' }));
    await receiver.messages.find(({ controlId }) => controlId === 'M2');
  },
);
