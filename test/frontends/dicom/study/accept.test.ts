/** What the server that is to lead answers to the request. */
import { expect, test } from 'vitest';
import { noteEnd, type ScpScript } from '../../../peers/dicom-scp.ts';
import { associateAccept } from '../../../peers/pdus.ts';
import { scp } from '../setup.ts';
import { instanceOf, open, received, startStudy } from './start-study.ts';

/** Answers with an A-ASSOCIATE-AC in which the first item of this type has `value` at `offset`. */
function accepting(type: number, offset: number, value: number): ScpScript {
  return async (association) => {
    await association.receiveRequest();
    const accept = Buffer.from(associateAccept(association.request));
    accept[accept.indexOf(Buffer.of(type, 0), 74) + offset] = value;
    await association.write(accept);
    await noteEnd(association);
  };
}

test.each([
  ['a transfer syntax that is longer than its context', 0x40, 2, 0x10],
  ['a context ID that is even', 0x21, 4, 2],
  ['a maximum length of three bytes', 0x51, 3, 3],
])('malformed, with %s: another server leads, no slot stays taken', async (_, type, offset, value) => {
  const servers = [await scp(accepting(type, offset, value)), await scp()] as const;
  const rig = await startStudy(servers);
  const scu = await open(rig);
  expect(await scu.store(instanceOf('1.2.1'))).toBe(0);
  expect(received(servers[1])).toHaveLength(1);
  expect(rig.servers.map(({ active }) => active)).toEqual([0, 1]);
  await scu.release();
});
