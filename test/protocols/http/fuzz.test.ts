/**
 * Mutated requests and responses at the readers: nothing but a MessageFault is thrown, nothing hangs, and what is read is
 * what a plain reading of the whole text reads, however it is cut. `GANTRY_FUZZ` is the number of mutations of each kind
 * (a million for the long run), `GANTRY_FUZZ_SEED` starts elsewhere.
 */
import { isDeepStrictEqual } from 'node:util';
import { describe, expect, test } from 'vitest';
import { BodyReader } from '../../../protocols/http/body-reader.ts';
import { HeadCollector } from '../../../protocols/http/head-collector.ts';
import { MessageFault } from '../../../protocols/http/message-head.ts';
import { type Judgement, judgeRequests, judgeResponses } from './judgement.ts';
import { cutAnywhere, mutated, REQUESTS, RESPONSES, randomNumbers } from './mutations.ts';
import { type NaiveJudgement, naiveRequests, naiveResponses } from './naive-reader.ts';

const COUNT = Number(process.env.GANTRY_FUZZ ?? 20_000);
const SEED = Number(process.env.GANTRY_FUZZ_SEED ?? 1);
const minutes = { timeout: 60_000 + COUNT };

/** What has two faults may be refused for either, and what can come to nothing before all of it has come. */
function agree(judged: Judgement, naive: NaiveJudgement): boolean {
  const isRefused = typeof judged.end === 'number';
  const isSameEnd = isRefused ? naive.end !== 'whole' : judged.end === naive.end;
  return isSameEnd && isDeepStrictEqual(judged.messages, naive.messages);
}

interface Kind {
  readonly originals: readonly string[];
  readonly judge: (pieces: readonly string[]) => Judgement;
  readonly naive: (text: string) => NaiveJudgement;
}

const METHODS = Array.from({ length: 50 }, () => 'GET');
const KINDS: Readonly<Record<string, Kind>> = {
  requests: { originals: REQUESTS, judge: judgeRequests, naive: naiveRequests },
  responses: {
    originals: RESPONSES,
    judge: (pieces) => judgeResponses(pieces, METHODS),
    naive: (text) => naiveResponses(text, METHODS),
  },
};

describe(`${COUNT} mutations of each`, () => {
  test.each(Object.entries(KINDS))(
    '%s: read as a plain reading reads them, or refused',
    minutes,
    (_name, kind) => {
      const random = randomNumbers(SEED);
      const ends = { whole: 0, waits: 0, refused: 0 };
      for (let done = 0; done < COUNT; done++) {
        const mutant = mutated(kind.originals[done % kind.originals.length]!, random);
        const naive = kind.naive(mutant);
        const cut = cutAnywhere(mutant, random);
        for (const pieces of [[mutant], cut, mutant.split('')]) {
          const judged = kind.judge(pieces);
          if (!agree(judged, naive)) expect({ mutant, pieces: pieces.length, judged }).toEqual(naive);
          ends[typeof judged.end === 'number' ? 'refused' : judged.end]++;
        }
      }
      for (const count of Object.values(ends)) expect(count).toBeGreaterThan(COUNT / 100);
    },
  );

  test('requests without an end: no reader keeps more than its cap, or waits for more', minutes, () => {
    const random = randomNumbers(SEED + 1);
    for (let done = 0; done < COUNT / 20; done++) {
      const [head = '', body = ''] = mutated(REQUESTS[3]!, random).split('\r\n\r\n', 2);
      const most = 4096;
      const heads = new HeadCollector(most);
      const begin = head.slice(0, random(head.length + 1));
      const again = Buffer.from(head.slice(random(head.length)) || 'x', 'latin1');
      // A head that has its end is taken, and what comes is the next one.
      expect(refusedWithin(most + again.length, [begin], again, (bytes) => heads.push(bytes))).toBe(true);

      const reader = new BodyReader();
      reader.begin('chunked');
      const chunk = Buffer.from(body.slice(random(body.length)) || 'x', 'latin1');
      let content = 0;
      const isRefused = refusedWithin(20_000, [], chunk, (bytes) => {
        content += reader.read(bytes).length;
        return reader.isDone || content > 0 ? '' : undefined;
      });
      expect(isRefused).toBe(true);
    }
  });
});

/** Is a reader done, or refuses, before it has taken so many bytes of `first` and then `again` over and over? */
function refusedWithin(
  most: number,
  first: readonly string[],
  again: Buffer,
  push: (bytes: Buffer) => string | undefined,
): boolean {
  try {
    for (const text of first) if (text !== '' && push(Buffer.from(text, 'latin1')) !== undefined) return true;
    for (let taken = 0; taken <= most; taken += again.length) {
      if (push(Buffer.from(again)) !== undefined) return true;
    }
  } catch (error) {
    if (error instanceof MessageFault) return true;
    throw error;
  }
  return false;
}
