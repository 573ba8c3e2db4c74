/**
 * The same bytes, read by us and by real servers: whatever is forwarded is, for the server behind, as many requests with
 * the same bodies as for us; what is refused is answered, and not one byte of it forwarded (RFC 9112 11.2).
 */

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readResponse, send } from '../frontends/http/messages.ts';
import { describeWith } from '../peers/processes.ts';
import { type Recording, type RecordingRelay, startRecordingRelay } from '../peers/recording-relay.ts';
import { startTestBalancer, type TestBalancer } from '../peers/start-balancer.ts';
import { openConnection, type TestConnection } from '../peers/test-connection.ts';
import { until } from '../peers/waiting.ts';
import { type Judgement, judgeRequests, judgeResponses } from '../protocols/http/judgement.ts';
import { mutated, REQUESTS, randomNumbers } from '../protocols/http/mutations.ts';
import { REFUSED } from './http-corpus.ts';
import { BROKEN_OFF, SERVED } from './http-corpus-served.ts';
import { type HttpOrigin, ORIGINS, startFileServer } from './http-origins.ts';

const MUTATIONS = Number(process.env.GANTRY_HTTP_MUTATIONS ?? 300);
const SEED = Number(process.env.GANTRY_FUZZ_SEED ?? 1);
const REFUSALS = [400, 408, 413, 414, 417, 431, 501, 505];

interface Bench {
  readonly origin: HttpOrigin;
  readonly relay: RecordingRelay;
  readonly balancer: TestBalancer;
  /** Asks in between, over the connections that are left. */
  readonly witness: TestConnection;
}

async function startBench(startOrigin: () => Promise<HttpOrigin>): Promise<Bench> {
  const origin = await startOrigin();
  const relay = await startRecordingRelay(origin.address);
  const balancer = await startTestBalancer(`
pools:
  web: { servers: ["${relay.endpoint}"], health: { check: none } }
vips:
  WEB: { protocol: http, listen: "127.0.0.1:0", pool: web }
`);
  const witness = await openConnection(balancer.address('WEB'));
  return { origin, relay, balancer, witness };
}

/** What of a recording was looked at before. */
const lookedAt = new WeakMap<Recording, number>();

/** What was forwarded since this was asked last, a text for each connection. */
function forwarded({ relay }: Bench): string[] {
  const texts: string[] = [];
  for (const recording of relay.recordings.items) {
    const from = lookedAt.get(recording) ?? 0;
    const { toServer } = recording;
    if (toServer.length > from) texts.push(toServer.toString('latin1', from));
    lookedAt.set(recording, toServer.length);
  }
  return texts;
}

/** What both sides have to agree about. */
interface Essence {
  readonly start: string;
  readonly body: string;
}

/** An absolute target goes on as a path. */
function essenceOf({ messages }: Judgement): Essence[] {
  return messages.map(({ start, body }) => ({
    start: start.replace(/ https?:\/\/[^/?]*\/?/i, ' /'),
    body,
  }));
}

const sorted = (requests: readonly Essence[]) => requests.map((request) => JSON.stringify(request)).sort();

/** Sends `raw`, and nothing after it; what came of it is what we say of it, at the server and at the client. */
async function check(bench: Bench, raw: string): Promise<Judgement> {
  const expected = judgeRequests([raw]);
  const served = untilClose(expected);
  forwarded(bench);
  const client = await openConnection(bench.balancer.address('WEB'));
  await send(client, raw);
  client.end();
  const { bytes, ending } = await client.readToEnd();
  client.reset();
  // A connection that was given up in the middle of a request is closed; all others are between two of them.
  const { recordings } = bench.relay;
  for (const recording of recordings.items.slice(-3)) {
    const isSettled = () =>
      recording.over || judgeRequests([recording.toServer.toString('latin1')]).end === 'whole';
    await recordings.find(isSettled);
  }

  const texts = forwarded(bench);
  const judged = texts.map((text) => judgeRequests([text]));
  expect(sorted(judged.flatMap(essenceOf)), 'forwarded').toEqual(sorted(served.requests));
  const left = judged.filter(({ end }) => end !== 'whole').map(({ end }) => end);
  expect(left, 'forwarded, and not whole').toEqual(
    served.end === 'waits' ? left.filter((end) => end === 'waits') : [],
  );

  await checkAnswers(served, bytes.toString('latin1'), ending);
  await checkWitness(bench);
  return expected;
}

interface Served {
  readonly requests: readonly Essence[];
  readonly end: Judgement['end'];
  /** Method and target of what was refused. */
  readonly refused: string;
}

/** Without what comes behind a request that closes the connection. */
function untilClose(judgement: Judgement): Served {
  const all = essenceOf(judgement);
  const last = judgement.messages.findIndex(({ closes }) => closes);
  if (last === -1) return { requests: all, end: judgement.end, refused: judgement.refused };
  return { requests: all.slice(0, last + 1), end: 'whole', refused: '' };
}

/** Every request that was served has one answer, in their order, then the one that was refused, then nothing. */
async function checkAnswers(served: Served, text: string, ending: string): Promise<void> {
  const starts = [...served.requests.map(({ start }) => start), served.refused];
  const methods = starts.map((start) => start.split(' ')[0]!);
  const answers = judgeResponses([text], methods);
  const statuses = answers.messages.map(({ start }) => Number(start));
  const isRefused = typeof served.end === 'number';
  expect(answers.end, 'the answers').toBe('whole');
  expect(statuses.length, `answers: ${statuses.join()}`).toBe(served.requests.length + (isRefused ? 1 : 0));
  for (const [index, { start, body }] of answers.messages.entries()) {
    const request = served.requests[index];
    const method = methods[index];
    if (request === undefined) {
      expect(Number(start)).toBe(served.end);
      expect(REFUSALS).toContain(Number(start));
    } else if (start === '200' && method !== 'HEAD') {
      const { start: asked, body: sent } = JSON.parse(body) as Essence;
      expect({ start: asked, body: sent }).toEqual(request);
    } else if (start !== '200') {
      // The server's own doubts.
      expect(Number(start)).toBeGreaterThanOrEqual(400);
    }
  }
  expect(ending).toBe(served.end === 'waits' ? ending : 'end');
}

/** What was written on a connection and the server did not answer itself; of what it then closed it read no more. */
function passedOnBy({ toServer, toClient }: Recording): Essence[] {
  const written = essenceOf(judgeRequests([toServer.toString('latin1')]));
  const methods = written.map(({ start }) => start.split(' ')[0]!);
  const { messages } = judgeResponses([toClient.toString('latin1')], methods);
  return written.filter((_one, index) => messages[index]?.start === '200');
}

let asked = 0;

/** The connections to the server are in step: another client gets its own answer. */
async function checkWitness({ witness }: Bench): Promise<string> {
  const path = `/witness/${++asked}`;
  await send(witness, `GET ${path} HTTP/1.1\r\nHost: portal.example\r\n\r\n`);
  const response = await readResponse(witness);
  expect(response.status, 'the answer of another client').toBe(200);
  expect(JSON.parse(response.body)).toMatchObject({ start: `GET ${path}`, body: '' });
  return path;
}

/** `check`, with the bytes in what it says when it fails. */
async function checkAll(bench: Bench, raws: readonly string[]): Promise<Judgement[]> {
  const judgements: Judgement[] = [];
  for (const raw of raws) {
    try {
      judgements.push(await check(bench, raw));
    } catch (error) {
      throw new Error(`${JSON.stringify(raw)}: ${(error as Error).message}`, { cause: error });
    }
  }
  return judgements;
}

describeWith(['nginx-light', 'haproxy', 'python3-hl7'], 'in front of', () => {
  for (const [name, start] of Object.entries(ORIGINS)) {
    describe(name, () => {
      let bench: Bench;
      beforeAll(async () => {
        bench = await startBench(start);
      });
      afterAll(async () => {
        bench.witness.reset();
        await bench.balancer.stop();
        await bench.relay.stop();
        await bench.origin.stop();
      });

      test.each(Object.entries(REFUSED))('%s: refused, not one byte forwarded', async (_family, raws) => {
        for (const { messages, end } of await checkAll(bench, raws)) {
          expect(messages).toEqual([]);
          expect(REFUSALS).toContain(end);
        }
      });

      test.each(Object.entries(SERVED))(
        '%s: as many requests for the server as for us',
        async (_family, raws) => {
          for (const { messages } of await checkAll(bench, raws)) expect(messages.length).toBeGreaterThan(0);
        },
      );

      test.each(Object.entries(BROKEN_OFF))('%s: the server has none of the last', async (_family, raws) => {
        for (const { end } of await checkAll(bench, raws)) expect(end).toBe('waits');
      });

      test(`${MUTATIONS} mutated requests: as many for the server as for us`, async () => {
        const random = randomNumbers(SEED);
        // A head that comes in pieces may be refused for another of its faults than a whole one.
        const made = [SERVED, REFUSED].flatMap((families) => Object.values(families).flat());
        const originals = [...REQUESTS, ...made.filter(({ length }) => length < 4000)];
        const raws = Array.from({ length: MUTATIONS }, () =>
          mutated(originals[random(originals.length)]!, random),
        );
        const judgements = await checkAll(
          bench,
          raws.filter((raw) => raw.length > 0),
        );
        const ends = new Set(judgements.map(({ end }) => (typeof end === 'number' ? 'refused' : end)));
        expect(ends).toEqual(new Set(['whole', 'waits', 'refused']));
      });

      test('at the end, the server read each connection as we wrote it', async () => {
        const { origin, relay } = bench;
        const last = await checkWitness(bench);
        // What a process prints comes a little later than what it answers.
        await until(() => origin.seen.at(-1)?.start === `GET ${last}`, 'all that the server was asked');
        // A port may be used again when its connection is gone.
        const passedOn = new Map<number, Essence[]>();
        for (const recording of relay.recordings.items) {
          const { port = 0 } = recording;
          passedOn.set(port, [...(passedOn.get(port) ?? []), ...passedOnBy(recording)]);
        }
        for (const [port, written] of passedOn) {
          const read = origin.seen.filter((one) => one.port === port);
          expect(read.map(({ start: at, body }) => ({ start: at, body }))).toEqual(written);
        }
      });
    });
  }

  test("a server that reads no body of GET (Python's own file server): nothing of a body is a request", async () => {
    const files = await startFileServer();
    const stolen = 'GET /?stolen HTTP/1.1\r\nHost: a\r\n\r\n';
    const raw = `GET /?first HTTP/1.1\r\nHost: a\r\nContent-Length: ${stolen.length}\r\n\r\n${stolen}`;
    const balancer = await startTestBalancer(`
pools:
  web: { servers: ["127.0.0.1:${files.address.port}"], health: { check: none } }
vips:
  WEB: { protocol: http, listen: "127.0.0.1:0", pool: web }
`);
    try {
      const client = await openConnection(balancer.address('WEB'));
      await send(client, raw);
      expect((await readResponse(client)).status).toBe(200);
      await send(client, 'GET /?last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
      expect((await readResponse(client)).status).toBe(200);
      await client.readToEnd();
      await until(() => files.log.includes('/?last'), 'the last line of the log');
      expect(files.log).not.toContain('/?stolen');
      // Without a balancer between, it is one.
      const direct = await openConnection(files.address);
      await send(direct, raw);
      expect([(await readResponse(direct)).status, (await readResponse(direct)).status]).toEqual([200, 200]);
      await until(() => files.log.includes('/?stolen'), 'the last line of the log');
      direct.reset();
    } finally {
      await balancer.stop();
      await files.stop();
    }
  });
});
