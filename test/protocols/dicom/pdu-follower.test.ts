import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type CommandToWrite, encodeCommand } from '../../../protocols/dicom/command-set.ts';
import { COMMAND_CAP, createPduFollower, type PduSink } from '../../../protocols/dicom/pdu-follower.ts';
import { writeAbort, writeReject } from '../../../protocols/dicom/small-pdus.ts';
import { fixture, patched, pieces } from './fixture.ts';
import { followInPieces, followNaively } from './naive-follower.ts';

const SILENT: PduSink = { pduEnd() {}, command() {}, fault() {} };

const ASSOCIATION = ['echo-associate-rq', 'c-store-rq', 'c-store-data', 'c-echo-rq', 'release-rq'];

interface Pdv {
  readonly context: number;
  readonly control: number;
  readonly fragment: Buffer;
}

function pdu(type: number, field: Buffer): Buffer {
  const header = Buffer.from([type, 0x5a, 0, 0, 0, 0]);
  header.writeUInt32BE(field.length, 2);
  return Buffer.concat([header, field]);
}

function pdata(...pdvs: Pdv[]): Buffer {
  return pdu(
    4,
    Buffer.concat(
      pdvs.map(({ context, control, fragment }) => {
        const header = Buffer.alloc(6);
        header.writeUInt32BE(fragment.length + 2);
        header[4] = context;
        header[5] = control;
        return Buffer.concat([header, fragment]);
      }),
    ),
  );
}

/** A message as PDVs: its command set and, perhaps, its data set, each cut into fragments, empty ones among them. */
const message: fc.Arbitrary<Pdv[]> = fc
  .record({
    context: fc.integer({ min: 0, max: 255 }),
    field: fc.constantFrom(0x0001, 0x8001, 0x0020, 0x8020, 0x0fff),
    messageId: fc.nat({ max: 65535 }),
    commandCuts: fc.array(fc.nat({ max: 80 }), { maxLength: 4 }),
    data: fc.option(fc.uint8Array({ maxLength: 200 })),
    dataCuts: fc.array(fc.nat({ max: 200 }), { maxLength: 4 }),
    emptyFragment: fc.boolean(),
  })
  .map(({ context, field, messageId, commandCuts, data, dataCuts, emptyFragment }) => {
    const command = encodeCommand({ commandField: field, messageId, hasDataSet: data !== null });
    const fragments = (bytes: Buffer, cuts: number[], isCommand: number): Pdv[] => {
      const parts = pieces(bytes, cuts);
      if (emptyFragment) parts.unshift(Buffer.alloc(0));
      return parts.map((fragment, index) => ({
        context,
        control: isCommand | (index === parts.length - 1 ? 2 : 0),
        fragment,
      }));
    };
    return [
      ...fragments(command, commandCuts, 1),
      ...(data ? fragments(Buffer.from(data), dataCuts, 0) : []),
    ];
  });

/** Whole PDUs: messages packed one or two PDVs to a P-DATA-TF, and others of any type and length between them. */
const stream: fc.Arbitrary<Buffer[]> = fc
  .array(
    fc.oneof(
      { weight: 3, arbitrary: fc.tuple(message, fc.boolean()).map(([pdvs, paired]) => packed(pdvs, paired)) },
      {
        weight: 1,
        arbitrary: fc
          .tuple(fc.constantFrom(1, 2, 3, 5, 6, 7), fc.uint8Array({ maxLength: 40 }))
          .map(([type, field]) => [pdu(type, Buffer.from(field))]),
      },
    ),
    { maxLength: 6 },
  )
  .map((groups) => groups.flat());

function packed(pdvs: Pdv[], paired: boolean): Buffer[] {
  if (!paired) return pdvs.map((pdv) => pdata(pdv));
  return Array.from({ length: Math.ceil(pdvs.length / 2) }, (_, index) =>
    pdata(...pdvs.slice(index * 2, index * 2 + 2)),
  );
}

const cuts = fc.array(fc.nat({ max: 2000 }), { maxLength: 30 });

function oneByteAtATime(bytes: Buffer): Buffer[] {
  return Array.from(bytes, (_, at) => bytes.subarray(at, at + 1));
}

describe('an association of DCMTK', () => {
  const bytes = Buffer.concat(ASSOCIATION.map(fixture));
  const events = [
    'start 1 205',
    'end 1 0 0',
    'start 4 110',
    'command 1 1 @1',
    'end 4 0 0',
    'start 4 252',
    'data @1',
    'end 4 0 0',
    'start 4 74',
    'command 48 1 @1',
    'end 4 0 0',
    'start 5 4',
    'end 5 0 0',
  ];

  test('whole', () => {
    expect(followInPieces([bytes]).events).toEqual(events);
  });

  test('one byte at a time', () => {
    expect(followInPieces(oneByteAtATime(bytes)).events).toEqual(events);
  });

  test('cut in two at every place', () => {
    for (let cut = 1; cut < bytes.length; cut++) {
      expect(followInPieces([bytes.subarray(0, cut), bytes.subarray(cut)]).events).toEqual(events);
    }
  });
});

describe('atBoundary, on which the safety of an A-ABORT hangs', () => {
  test('is true after each whole PDU and nowhere else, one byte at a time', () => {
    fc.assert(
      fc.property(stream, (pdus) => {
        const bytes = Buffer.concat(pdus);
        const ends = new Set([0]);
        let end = 0;
        for (const { length } of pdus) {
          end += length;
          ends.add(end);
        }
        expect(followInPieces(oneByteAtATime(bytes)).boundaries).toEqual(ends);
      }),
      { numRuns: 300 },
    );
  });

  test('is false for ever after a byte that begins no PDU', () => {
    fc.assert(
      fc.property(stream, fc.constantFrom(0, 8, 0x16, 0xff), stream, (before, garbage, after) => {
        const head = Buffer.concat(before);
        const bytes = Buffer.concat([head, Buffer.from([garbage]), ...after]);
        const { events, boundaries } = followInPieces(oneByteAtATime(bytes));
        expect(Math.max(...boundaries)).toBe(head.length);
        expect(events.at(-1)).toBe('fault');
      }),
      { numRuns: 100 },
    );
  });

  test('a follower that went blind says so, and keeps quiet', () => {
    const faults: string[] = [];
    const follower = createPduFollower({ ...SILENT, fault: (text) => faults.push(text) });
    follower.push(Buffer.from([0x16, 3, 1]));
    follower.push(fixture('c-echo-rq'));
    expect(faults).toEqual(['a byte where a PDU should begin begins none']);
    expect(follower).toMatchObject({ blind: true, atBoundary: false, insidePdu: false, pduType: 0 });
  });
});

describe('the same as a naive reading of all the bytes', () => {
  test('any PDUs, cut anywhere', () => {
    fc.assert(
      fc.property(stream, cuts, (pdus, at) => {
        const bytes = Buffer.concat(pdus);
        expect(followInPieces(pieces(bytes, at)).events).toEqual(followNaively(bytes).events);
      }),
      { numRuns: 300 },
    );
  });

  test('any PDUs with a byte changed, and any prefix of them', () => {
    fc.assert(
      fc.property(
        stream,
        fc.nat(),
        fc.nat({ max: 255 }),
        fc.nat(),
        cuts,
        (pdus, place, value, length, at) => {
          const whole = Buffer.concat(pdus);
          if (whole.length === 0) return;
          const bytes = patched(whole, { [place % whole.length]: value }).subarray(
            0,
            1 + (length % whole.length),
          );
          const naive = followNaively(bytes);
          expect(followInPieces(pieces(bytes, at)).events).toEqual(naive.events);
          expect(followInPieces(oneByteAtATime(bytes))).toEqual(naive);
        },
      ),
      { numRuns: 1000 },
    );
  });

  test('every single-byte corruption of an association of DCMTK', () => {
    const bytes = Buffer.concat(['c-store-rq', 'c-store-data', 'abort'].map(fixture));
    for (let offset = 0; offset < bytes.length; offset++) {
      for (const flip of [0x01, 0x02, 0x80, 0xff]) {
        const corrupt = patched(bytes, { [offset]: bytes[offset]! ^ flip });
        expect(followInPieces(pieces(corrupt, [offset, offset + 1]))).toMatchObject({
          events: followNaively(corrupt).events,
        });
      }
    }
  });
});

describe('what it tells', () => {
  test('source and reason of A-ABORT and A-ASSOCIATE-RJ', () => {
    const bytes = Buffer.concat([writeReject(2, 3, 1), writeAbort(2, 6)]);
    for (const chunks of [[bytes], oneByteAtATime(bytes)]) {
      expect(followInPieces(chunks).events).toEqual(['start 3 4', 'end 3 3 1', 'start 7 4', 'end 7 2 6']);
    }
  });

  test('the PDU under way, and whether it is inside one', () => {
    const follower = createPduFollower(SILENT);
    const bytes = fixture('c-store-data');
    expect(follower).toMatchObject({ pduType: 0, insidePdu: false, atBoundary: true });
    follower.push(bytes.subarray(0, 1));
    expect(follower).toMatchObject({ insidePdu: true, atBoundary: false });
    follower.push(bytes.subarray(1, 7));
    expect(follower).toMatchObject({ pduType: 4, insidePdu: true, atBoundary: false });
    follower.push(bytes.subarray(7));
    expect(follower).toMatchObject({ pduType: 0, insidePdu: false, atBoundary: true, dataBytes: 246 });
  });

  test('the command, decoded', () => {
    const commands: CommandToWrite[] = [];
    const follower = createPduFollower({ ...SILENT, command: (command) => commands.push(command) });
    follower.push(fixture('c-store-rq'));
    expect(commands).toMatchObject([
      { commandField: 1, messageId: 1, affectedSopClass: '1.2.840.10008.5.1.4.1.1.2', hasDataSet: true },
    ]);
  });

  test('keeps nothing of its chunks', () => {
    const events: string[] = [];
    const follower = createPduFollower({
      ...SILENT,
      command: ({ messageId }) => events.push(`${messageId}`),
    });
    const chunk = Buffer.alloc(1);
    for (const byte of fixture('c-store-rq')) {
      chunk[0] = byte;
      follower.push(chunk);
      chunk[0] = 0xff;
    }
    expect(events).toEqual(['1']);
  });

  test('a boundary is there for whoever asks in pduEnd', () => {
    const asked: boolean[] = [];
    const follower = createPduFollower({ ...SILENT, pduEnd: () => asked.push(follower.atBoundary) });
    follower.push(Buffer.concat([fixture('c-echo-rq'), fixture('release-rq')]));
    expect(asked).toEqual([true, true]);
  });
});

describe('broken structure', () => {
  const echo = encodeCommand({ commandField: 0x30, messageId: 1 });
  const cases: [string, Buffer, string][] = [
    [
      'a PDV longer than its PDU',
      patched(fixture('c-store-data'), { 9: 0xf9 }),
      'a PDV is longer than its PDU',
    ],
    ['a PDV of one byte', pdu(4, Buffer.from([0, 0, 0, 1, 1, 3])), 'a PDV is too short for its own header'],
    [
      'a PDV header cut off',
      pdu(4, Buffer.from([0, 0, 0, 2, 1])),
      'a P-DATA-TF ends inside the header of a PDV',
    ],
    [
      'data inside a command set',
      pdata({ context: 1, control: 1, fragment: echo }, { context: 1, control: 2, fragment: echo }),
      'another message begins inside a command set',
    ],
    [
      'a command of another context inside a command set',
      pdata({ context: 1, control: 1, fragment: echo }, { context: 3, control: 3, fragment: echo }),
      'another message begins inside a command set',
    ],
    [
      'a command set without a command field',
      pdata({ context: 1, control: 3, fragment: Buffer.alloc(0) }),
      'a command set has no command field',
    ],
    [
      'a command set that is cut off',
      pdata({ context: 1, control: 3, fragment: echo.subarray(0, -1) }),
      'an element of a command set is longer than the set',
    ],
  ];

  test.each(cases)('%s', (_, bytes, fault) => {
    const faults: string[] = [];
    const follower = createPduFollower({ ...SILENT, fault: (text) => faults.push(text) });
    follower.push(Buffer.concat([bytes, fixture('c-echo-rq')]));
    expect(faults).toEqual([fault]);
    expect(follower.atBoundary).toBe(false);
  });

  test('command sets that lie about their length are a fault where they are read strictly', () => {
    const lying = Buffer.from(echo);
    lying.writeUInt32LE(2, 8);
    const bytes = pdata({ context: 1, control: 3, fragment: lying });
    const heard: string[] = [];
    const sink = {
      ...SILENT,
      command: () => heard.push('command'),
      fault: (text: string) => heard.push(text),
    };
    createPduFollower(sink).push(bytes);
    createPduFollower(sink, { strict: true }).push(bytes);
    expect(heard).toEqual(['command', 'the group length of a command set is not its length']);
  });

  test('an endless command set is not collected', () => {
    const faults: string[] = [];
    const follower = createPduFollower({ ...SILENT, fault: (text) => faults.push(text) });
    const fragment = Buffer.alloc(16384);
    for (let sent = 0; sent <= COMMAND_CAP; sent += fragment.length) {
      follower.push(pdata({ context: 1, control: 1, fragment }));
    }
    expect(faults).toEqual(['a command set is too long']);
  });

  test('a command fragment that announces more than the cap is refused by its header', () => {
    const faults: string[] = [];
    const follower = createPduFollower({ ...SILENT, fault: (text) => faults.push(text) });
    follower.push(Buffer.from('0400fffffff9fffffff50101', 'hex'));
    expect(faults).toEqual(['a command set is too long']);
  });
});

describe('huge PDUs', () => {
  test('one of 4 GiB is jumped over, and ends where it ends', () => {
    const ends: number[] = [];
    const follower = createPduFollower({ ...SILENT, pduEnd: (type) => ends.push(type) });
    follower.push(Buffer.from('0400ffffffff' + 'fffffffb' + '0102', 'hex'));
    const chunk = Buffer.alloc(256 * 1024, 4);
    let left = 0xffffffff - 6;
    for (; left > chunk.length; left -= chunk.length) follower.push(chunk);
    follower.push(chunk.subarray(0, left - 1));
    expect([ends, follower.atBoundary, follower.insidePdu]).toEqual([[], false, true]);
    follower.push(chunk.subarray(0, 1));
    expect([ends, follower.atBoundary]).toEqual([[4], true]);
    expect(follower.dataBytes).toBe(0xffffffff - 6);
  });
});
