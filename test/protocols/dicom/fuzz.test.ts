/**
 * Mutated A-ASSOCIATE-RQ, -AC and P-DATA-TF: whatever the bytes, nothing but a PduFault is thrown, nothing hangs, and no
 * more memory is taken than arrived. `GANTRY_FUZZ` is the number of mutations of each kind (a million for the long
 * run), `GANTRY_FUZZ_SEED` starts elsewhere.
 */
import { describe, expect, test } from 'vitest';
import { indexAssociate } from '../../../protocols/dicom/associate.ts';
import { associationFacts } from '../../../protocols/dicom/facts.ts';
import { createPduCollector } from '../../../protocols/dicom/pdu-collector.ts';
import { faultIfAny, fixture, pieces, randomNumbers } from './fixture.ts';
import { followInPieces, followNaively } from './naive-follower.ts';

const COUNT = Number(process.env.GANTRY_FUZZ ?? 20_000);
const SEED = Number(process.env.GANTRY_FUZZ_SEED ?? 1);
const FACTS = ['called', 'calling', 'modality', 'sopClass', 'user', 'implementation'];
/** Values that lengths and types go wrong at. */
const INTERESTING = [
  0x00, 0x01, 0x02, 0x03, 0x04, 0x07, 0x10, 0x20, 0x30, 0x40, 0x50, 0x58, 0x7f, 0x80, 0xff,
];

type Random = (below: number) => number;

/** `bytes` with one to four changes: a byte, a piece cut out, doubled or filled. */
function mutated(bytes: Buffer, random: Random): Buffer {
  let mutant = Buffer.from(bytes);
  for (let changes = 1 + random(4); changes > 0 && mutant.length > 0; changes--) {
    const at = random(mutant.length);
    const end = Math.min(mutant.length, at + 1 + random(12));
    switch (random(6)) {
      case 0:
        mutant[at] = random(256);
        break;
      case 1:
      case 2:
        mutant[at] = INTERESTING[random(INTERESTING.length)]!;
        break;
      case 3:
        mutant = Buffer.concat([mutant.subarray(0, at), mutant.subarray(end)]);
        break;
      case 4:
        mutant = Buffer.concat([mutant.subarray(0, end), mutant.subarray(at)]);
        break;
      default:
        mutant.fill(INTERESTING[random(INTERESTING.length)]!, at, end);
    }
  }
  return mutant;
}

function randomCuts(length: number, random: Random): number[] {
  return Array.from({ length: random(6) }, () => random(length + 1));
}

/** The length field set right again, so that mutations inside are reached. */
function withLength(pdu: Buffer): Buffer {
  if (pdu.length >= 6) pdu.writeUInt32BE(pdu.length - 6, 2);
  return pdu;
}

describe(`${COUNT} mutations of each`, () => {
  const minutes = { timeout: 60_000 + COUNT };

  test('A-ASSOCIATE-RQ and -AC: read or refused, facts never throw', minutes, () => {
    const random = randomNumbers(SEED);
    const originals = [
      'echo-associate-rq',
      'store-ct-associate-rq',
      'user-identity-associate-rq',
      'by-hand-associate-rq',
      'by-hand-associate-ac',
    ].map(fixture);
    let read = 0;
    for (let done = 0; done < COUNT; done++) {
      const mutant = withLength(mutated(originals[done % originals.length]!, random));
      const fault = faultIfAny(() => {
        const associate = indexAssociate(mutant);
        const facts = associationFacts(associate);
        for (const name of FACTS) expect(facts.get(name)).not.toBe('');
        associate.presentationContexts.map(({ transferSyntaxes }) => transferSyntaxes);
      });
      if (!fault) read++;
    }
    expect(read).toBeGreaterThan(0);
    expect(read).toBeLessThan(COUNT);
  });

  test('A-ASSOCIATE-RQ in pieces: collected whole, refused, or waited for', minutes, () => {
    const random = randomNumbers(SEED + 1);
    const originals = ['echo-associate-rq', 'by-hand-associate-rq', 'abort'].map(fixture);
    for (let done = 0; done < COUNT; done++) {
      const mutant = mutated(originals[done % originals.length]!, random);
      const collector = createPduCollector();
      let taken = 0;
      const fault = faultIfAny(() => {
        for (const chunk of pieces(mutant, randomCuts(mutant.length, random))) {
          for (let rest = chunk; rest.length > 0; ) {
            const collected = collector.push(rest);
            if (!collected) break;
            expect(collected.pdu).toEqual(mutant.subarray(taken, taken + collected.pdu.length));
            taken += collected.pdu.length;
            rest = collected.rest;
          }
        }
      });
      if (!fault) expect(collector.atBoundary).toBe(taken === mutant.length);
    }
  });

  test('P-DATA-TF in pieces: followed as a naive reading of all the bytes follows it', minutes, () => {
    const random = randomNumbers(SEED + 2);
    const originals = [
      ['c-store-rq', 'c-store-data'],
      ['c-echo-rq', 'c-echo-rq', 'release-rq'],
      ['c-store-rsp', 'abort'],
    ].map((names) => Buffer.concat(names.map(fixture)));
    for (let done = 0; done < COUNT; done++) {
      const mutant = mutated(originals[done % originals.length]!, random);
      const cuts = randomCuts(mutant.length, random);
      const naive = followNaively(mutant);
      const followed = followInPieces(pieces(mutant, cuts));
      if (followed.events.join() !== naive.events.join()) expect(followed.events).toEqual(naive.events);
      for (const boundary of followed.boundaries) {
        if (!naive.boundaries.has(boundary)) expect(naive.boundaries).toContain(boundary);
      }
    }
  });
});
