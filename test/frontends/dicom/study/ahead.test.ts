/** A client is not read further than a little ahead of the servers that its messages are for. */
import { expect, test } from 'vitest';
import { accepting, dyingAfter } from '../../../peers/dicom-scp.ts';
import { createGate } from '../../../peers/waiting.ts';
import { scp } from '../setup.ts';
import { instanceOf, nextStatus, open, type StudyRig, startStudy, storeCommand } from './start-study.ts';

const MIB = 1024 * 1024;
/** What may be ahead, and what a read brings. */
const AHEAD = 2 * MIB;
const LARGE = { study: { replay: { perInstance: 64 * MIB, total: 256 * MIB } } };

/** Bytes of the only client that were read, once no more are. */
async function bytesRead({ frontEnd }: StudyRig): Promise<number> {
  const read = () => [...frontEnd.connections()][0]!.bytes.toServer;
  for (let before = -1; before !== read(); ) {
    before = read();
    await new Promise((resolve) => setTimeout(resolve, 60));
  }
  return read();
}

test('while a server is being asked', async () => {
  const gate = createGate();
  const servers = [await scp(), await scp(accepting({ holdAccept: gate.opened }))];
  const rig = await startStudy(servers, LARGE);
  rig.pin('1.2.2', 's2');
  const scu = await open(rig);
  const instance = instanceOf('1.2.2', 1, 24 * MIB);
  const stored = scu.store(instance);
  expect(await bytesRead(rig)).toBeLessThan(AHEAD);
  gate.open();
  expect(await stored).toBe(0);
  expect(servers[1]!.messages()[0]!.dataSet.equals(instance.dataSet)).toBe(true);
  await scu.release();
});

test('while another server is being asked, after the first was lost in the middle of an instance', async () => {
  const gate = createGate();
  const servers = [await scp(dyingAfter(MIB)), await scp(accepting({ holdAccept: gate.opened }))];
  const rig = await startStudy(servers, LARGE);
  const scu = await open(rig);
  const instance = instanceOf('1.2.3', 1, 48 * MIB);
  const stored = scu.store(instance);
  // What the first one was sent before it was lost is read already.
  expect(await bytesRead(rig)).toBeLessThan(24 * MIB);
  gate.open();
  expect(await stored).toBe(0);
  expect(servers[1]!.messages()[0]!.dataSet.equals(instance.dataSet)).toBe(true);
  await scu.release();
});

test('of a client that does not wait for responses, all messages together', async () => {
  const gate = createGate();
  const servers = [await scp(), await scp(accepting({ holdAccept: gate.opened }))];
  const rig = await startStudy(servers, LARGE);
  rig.pin('1.2.2', 's2');
  const scu = await open(rig);
  const count = 24;
  const sending = (async () => {
    for (let number = 1; number <= count; number++) {
      const instance = instanceOf('1.2.2', number, 600_000);
      await scu.start(storeCommand(instance), instance.dataSet);
    }
  })();
  expect(await bytesRead(rig)).toBeLessThan(AHEAD);
  gate.open();
  for (let number = 1; number <= count; number++) expect(await nextStatus(scu)).toBe(`0000 @${number}`);
  await sending;
  expect(servers[1]!.messages()).toHaveLength(count);
  await scu.release();
});
