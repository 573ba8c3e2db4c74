/**
 * Servers whose answers have something wrong with them: the client gets one well-formed response - the server's, as we
 * read it, or an error of ours - or a connection that is cut; never parts of two. `GANTRY_HTTP_MUTATIONS` is the number
 * of mutations, `GANTRY_FUZZ_SEED` starts elsewhere.
 */
import { expect, test } from 'vitest';
import { until } from '../../peers/waiting.ts';
import { type Judged, judgeResponses } from '../../protocols/http/judgement.ts';
import { mutated, RESPONSES, randomNumbers } from '../../protocols/http/mutations.ts';
import { naiveResponses } from '../../protocols/http/naive-reader.ts';
import { ask, get, send } from './messages.ts';
import { isIdle, main, ok, startHttp, webServer } from './setup.ts';

const COUNT = Number(process.env.GANTRY_HTTP_MUTATIONS ?? 600);
const SEED = Number(process.env.GANTRY_FUZZ_SEED ?? 1);

const REQUESTS = [
  'GET /odd HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
  'HEAD /odd HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
  'GET /odd HTTP/1.0\r\n\r\n',
];

/** What the first answer in these bytes is for us; undefined: there is none that is whole. */
function answerIn(bytes: string, methods: readonly string[]): Judged | undefined {
  return judgeResponses([bytes], methods).messages[0];
}

test(`${COUNT} mutated responses: one well-formed response or a connection that is cut, never a mixture`, {
  timeout: 60_000 + 10 * COUNT,
}, async () => {
  const random = randomNumbers(SEED);
  let mutant = '';
  let cut = 0;
  let mustEnd = false;
  const one = await webServer(async ({ start }, connection) => {
    if (!start.includes('/odd')) return ok(start);
    void connection.ending.then(() => connection.end());
    await send(connection, mutant.slice(0, cut));
    // In a packet of its own, when the first has been read.
    for (let turns = 0; turns < 3; turns++) await new Promise((next) => setImmediate(next));
    await send(connection, mutant.slice(cut));
    if (mustEnd) connection.end();
    return '';
  });
  const vip = await startHttp({ pools: main(one) });
  const witness = await vip.open();
  const seen = { served: 0, refused: 0, cut: 0 };
  for (let count = 0; count < COUNT; count++) {
    mutant = mutated(RESPONSES[count % RESPONSES.length]!, random);
    const request = REQUESTS[random(REQUESTS.length)]!;
    const method = request.split(' ')[0]!;
    // What is never whole unless its connection ends, ends.
    const answer = answerIn(mutant, [method]);
    mustEnd = answer === undefined || answerIn(`${mutant}more`, [method])?.body !== answer.body;
    // What comes behind an answer that is whole comes with it: later, it would be the answer to the next request.
    const from = random(2) === 0 ? 0 : Math.max(0, mutant.indexOf('\r\n\r\n'));
    cut = from + random(mutant.length + 1 - from);
    if (answerIn(mutant.slice(0, cut), [method]) !== undefined) cut = mutant.length;
    const client = await vip.open();
    await send(client, request);
    const { bytes, ending } = await client.readToEnd();
    client.reset();
    const text = bytes.toString('latin1');
    const got = naiveResponses(text, [method]);
    const what = JSON.stringify({ mutant, request, text, ending });

    if (ending === 'reset') {
      expect(answer, what).toBeUndefined();
      seen.cut++;
    } else {
      expect([got.end, got.messages.length], what).toEqual(['whole', 1]);
      const { start, body } = got.messages[0]!;
      const expected = answer ?? { start: '502', body };
      expect({ start, body }, what).toEqual({ start: expected.start, body: expected.body });
      seen[answer === undefined ? 'refused' : 'served']++;
    }
    const path = `/witness/${count}`;
    expect((await ask(witness, get(path))).body, what).toBe(`GET ${path} HTTP/1.1`);
  }
  await until(() => isIdle(vip), 'no request under way');
  for (const times of Object.values(seen)) expect(times).toBeGreaterThan(0);
});
