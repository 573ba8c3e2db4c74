/** What goes over both connections of an association, byte for byte, captured on both sides of the balancer. */
import { expect, test } from 'vitest';
import {
  type ClientOptions,
  echoscu,
  findscu,
  getscu,
  startDcmqrscp,
  startStorescp,
  storescu,
} from '../peers/dcmtk.ts';
import { writeInstances } from '../peers/dicom-files.ts';
import { startOrthanc } from '../peers/orthanc.ts';
import { describeWith } from '../peers/processes.ts';
import { type Recording, type RecordingRelay, splitPdus } from '../peers/recording-relay.ts';
import type { Address } from '../peers/test-connection.ts';
import { pathOf, record, startVip, stopLater } from './dicom-setup.ts';

/** PS3.8 Table 9-11: where the called and the calling AE title are in a request, and in an accept (Table 9-17). */
const CALLED_AE = [10, 26] as const;
const CALLING_AE = [26, 42] as const;

describeWith(['dcmtk', 'orthanc'], 'captured on both sides of the balancer', () => {
  test.for([
    ['dcmqrscp', async () => (await startArchive(['ARCHIVE'])).address],
    ['Orthanc', async () => stopLater(await startOrthanc(pathOf('orthanc'))).address],
  ] as const)('AC bytes identical (captured both ways): %s', async ([, start]) => {
    const { outside, inside } = await capture(await start());
    const pairs = await associateWith(outside, inside, 'ARCHIVE');
    for (const { atClient, atServer } of pairs) {
      expect(hex(atServer.request)).toBe(hex(atClient.request));
      expect(hex(atClient.accept)).toBe(hex(atServer.accept));
      expect(atServer.toServer.equals(atClient.toServer)).toBe(true);
      expect(atClient.toClient.equals(atServer.toClient)).toBe(true);
    }
  });

  test('with an AE title of the server’s own: rewritten in the RQ, the client’s own bytes back in the AC, all else identical', async () => {
    const archive = await startArchive(['ARCHIVE2']);
    const { outside, inside } = await capture(archive.address, 'ARCHIVE2');
    const pairs = await associateWith(outside, inside, 'PACS');
    for (const { atClient, atServer } of pairs) {
      expect(atClient.request.toString('latin1', ...CALLED_AE)).toBe('PACS'.padEnd(16));
      const rewritten = Buffer.from(atClient.toServer);
      rewritten.write('ARCHIVE2'.padEnd(16), CALLED_AE[0], 'latin1');
      expect(atServer.toServer.equals(rewritten)).toBe(true);

      for (const place of [CALLED_AE, CALLING_AE]) {
        expect(hex(atClient.accept.subarray(...place))).toBe(hex(atClient.request.subarray(...place)));
      }
      const restored = Buffer.from(atServer.toClient);
      restored.write('PACS'.padEnd(16), CALLED_AE[0], 'latin1');
      expect(atServer.accept.toString('latin1', ...CALLED_AE)).toBe('ARCHIVE2'.padEnd(16));
      expect(atClient.toClient.equals(restored)).toBe(true);
    }
  });

  test('a request that proposes every SOP class, rejections and their bytes', async () => {
    const storescp = stopLater(await startStorescp(pathOf('storescp')));
    const { outside, inside } = await capture(storescp.address);
    const [instance] = writeInstances(pathOf('files'), 1);
    expect((await storescu(outside.address, [instance!.path], { args: [] })).code).toBe(0);
    const refusing = stopLater(await startStorescp(pathOf('refusing'), { args: ['--refuse'] }));
    const refused = await capture(refusing.address);
    expect((await echoscu(refused.outside.address)).code).not.toBe(0);

    const [accepted] = await pairsOf(outside, inside, 1);
    expect(accepted!.atClient.request.length).toBeGreaterThan(9000);
    const [rejected] = await pairsOf(refused.outside, refused.inside, 1);
    expect(splitPdus(rejected!.atServer.toClient).pdus.map(({ type }) => type)).toEqual([3]);
    for (const { atClient, atServer } of [accepted!, rejected!]) {
      expect(atServer.toServer.equals(atClient.toServer)).toBe(true);
      expect(hex(atClient.toClient)).toBe(hex(atServer.toClient));
    }
  });
});

interface Capture {
  /** In front of the balancer, and in front of the server. */
  readonly outside: RecordingRelay;
  readonly inside: RecordingRelay;
}

/** One association, as the client and as the server saw it. */
interface Pair {
  readonly atClient: Recording;
  readonly atServer: Recording;
}

/** client → recording → balancer → recording → server */
async function capture(server: Address, ae?: string): Promise<Capture> {
  const inside = await record(server);
  const balancer = await startVip([{ name: 'server', endpoint: inside.endpoint, ...(ae && { ae }) }]);
  return { inside, outside: await record(balancer.vip) };
}

/** Echo, store, find and get: plain contexts, several of them, and role selection. */
async function associateWith(
  outside: RecordingRelay,
  inside: RecordingRelay,
  called: string,
): Promise<Pair[]> {
  const to = outside.address;
  const instances = writeInstances(pathOf('files'), 4);
  const keys = [`StudyInstanceUID=${instances[0]!.studyInstance}`];
  const options: ClientOptions = { called };
  const runs = [
    () => echoscu(to, options),
    () =>
      storescu(
        to,
        instances.map(({ path }) => path),
        options,
      ),
    () => findscu(to, keys, options),
    () => getscu(to, pathOf('got'), keys, options),
  ];
  for (const run of runs) expect(await run()).toMatchObject({ code: 0 });
  return pairsOf(outside, inside, runs.length);
}

async function pairsOf(outside: RecordingRelay, inside: RecordingRelay, count: number): Promise<Pair[]> {
  const isOver = ({ over }: Recording) => over;
  const atClient = await outside.recordings.count(count, isOver);
  const atServer = await inside.recordings.count(count, isOver);
  expect([outside.recordings.length, inside.recordings.length]).toEqual([count, count]);
  return atClient.map((recording, index) => ({ atClient: recording, atServer: atServer[index]! }));
}

async function startArchive(aes: readonly string[]) {
  return stopLater(await startDcmqrscp(pathOf('archive'), { aes }));
}

function hex(bytes: Buffer): string {
  return bytes.toString('hex');
}
