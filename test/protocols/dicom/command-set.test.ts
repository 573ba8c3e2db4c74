import dimse from 'dcmjs-dimse';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  COMMAND,
  type Command,
  commandName,
  decodeCommand,
  encodeCommand,
  isResponse,
  operationName,
  PRIORITY,
} from '../../../protocols/dicom/command-set.ts';
import { faultIfAny, faultOf, fixture, patched } from './fixture.ts';

/** The command set of a fixture: what is behind the PDU and PDV headers. */
function commandOf(name: string): Buffer {
  return fixture(name).subarray(12);
}

/** Only what a command says, without what it leaves out. */
function said(command: Command): Partial<Command> {
  return Object.fromEntries(Object.entries(command).filter(([, value]) => value !== undefined));
}

describe('command sets of DCMTK', () => {
  test('C-ECHO-RQ', () => {
    expect(decodeCommand(commandOf('c-echo-rq'))).toMatchObject({
      commandField: COMMAND.C_ECHO,
      messageId: 1,
      affectedSopClass: '1.2.840.10008.1.1',
      status: undefined,
      hasDataSet: false,
    });
  });

  test('C-STORE-RQ', () => {
    expect(decodeCommand(commandOf('c-store-rq'))).toMatchObject({
      commandField: COMMAND.C_STORE,
      messageId: 1,
      affectedSopClass: '1.2.840.10008.5.1.4.1.1.2',
      affectedSopInstance: '2.25.1001',
      priority: PRIORITY.MEDIUM,
      hasDataSet: true,
    });
  });

  test('C-STORE-RSP', () => {
    expect(decodeCommand(commandOf('c-store-rsp'))).toMatchObject({
      commandField: 0x8001,
      messageIdRespondedTo: 1,
      status: 0,
      hasDataSet: false,
    });
  });

  test.each(['c-echo-rq', 'c-echo-rsp', 'c-store-rq', 'c-store-rsp'])(
    '%s is written as DCMTK writes it',
    (name) => {
      expect(encodeCommand(decodeCommand(commandOf(name)))).toEqual(commandOf(name));
    },
  );
});

const uint16 = fc.nat({ max: 0xffff });
const uid = fc.stringMatching(/^[0-9.]{1,64}$/);
const ae = fc.stringMatching(/^[A-Z0-9_]{1,16}$/);
const command = fc.record(
  {
    commandField: uint16,
    messageId: uint16,
    messageIdRespondedTo: uint16,
    affectedSopClass: uid,
    requestedSopClass: uid,
    affectedSopInstance: uid,
    requestedSopInstance: uid,
    priority: uint16,
    status: uint16,
    moveDestination: ae,
    moveOriginatorAe: ae,
    moveOriginatorMessageId: uint16,
    eventTypeId: uint16,
    actionTypeId: uint16,
    remainingSubOperations: uint16,
    completedSubOperations: uint16,
    failedSubOperations: uint16,
    warningSubOperations: uint16,
    hasDataSet: fc.boolean(),
  },
  { requiredKeys: ['commandField', 'hasDataSet'] },
);

describe('any command set', () => {
  test('written and read again', () => {
    fc.assert(
      fc.property(command, (values) => {
        const { dataSetType: _, ...read } = said(decodeCommand(encodeCommand(values))) as Command & {
          dataSetType?: number;
        };
        expect(read).toEqual(values);
      }),
    );
  });

  test('elements are in ascending order and of even length, the group length is right', () => {
    fc.assert(
      fc.property(command, (values) => {
        const bytes = encodeCommand(values);
        expect(bytes.readUInt32LE(8)).toBe(bytes.length - 12);
        let last = -1;
        for (let at = 0; at < bytes.length; at += 8 + bytes.readUInt32LE(at + 4)) {
          expect(bytes.readUInt16LE(at + 2)).toBeGreaterThan(last);
          expect(bytes.readUInt32LE(at + 4) % 2).toBe(0);
          last = bytes.readUInt16LE(at + 2);
        }
      }),
    );
  });
});

describe('tolerated', () => {
  const element = (number: number, value: Buffer) => {
    const header = Buffer.alloc(8);
    header.writeUInt16LE(number, 2);
    header.writeUInt32LE(value.length, 4);
    return Buffer.concat([header, value]);
  };
  const field = element(0x0100, Buffer.from([0x30, 0x80]));

  test('unknown elements, those of other groups, empty values', () => {
    const other = Buffer.concat([Buffer.from([8, 0]), element(0x0110, Buffer.from([9, 0])).subarray(2)]);
    const bytes = Buffer.concat([
      field,
      element(0x0110, Buffer.alloc(0)),
      element(0x5555, Buffer.alloc(300)),
      other,
    ]);
    expect(decodeCommand(bytes)).toMatchObject({ commandField: 0x8030, messageId: undefined });
  });

  test('a UID padded with a space, a data set type that is not there', () => {
    const bytes = Buffer.concat([element(0x0002, Buffer.from('1.2.3 ')), field]);
    expect(decodeCommand(bytes)).toMatchObject({ affectedSopClass: '1.2.3', hasDataSet: false });
  });

  test('an error comment is not read: it may carry patient data', () => {
    const bytes = Buffer.concat([field, element(0x0902, Buffer.from('INVENTED^NAME'))]);
    expect(JSON.stringify(decodeCommand(bytes))).not.toContain('INVENTED');
  });
});

describe('malformed', () => {
  test.each(['c-store-rq', 'c-store-rsp'])('every prefix of %s is a fault or a command set', (name) => {
    const bytes = commandOf(name);
    for (let length = 0; length < bytes.length; length++) {
      const fault = faultIfAny(() => decodeCommand(bytes.subarray(0, length)));
      if (length < 56) expect(fault).toBeDefined();
    }
  });

  test.each(['c-store-rq', 'c-store-rsp'])('every single-byte corruption of %s', (name) => {
    const bytes = commandOf(name);
    for (let offset = 0; offset < bytes.length; offset++) {
      for (let value = 0; value < 256; value++)
        faultIfAny(() => decodeCommand(patched(bytes, { [offset]: value })));
    }
  });

  test('empty, an undefined length, a length beyond the end', () => {
    expect(faultOf(() => decodeCommand(Buffer.alloc(0))).abortReason).toBe(6);
    expect(
      faultOf(() => decodeCommand(Buffer.from('0000000100000000', 'hex').fill(0xff, 4))).abortReason,
    ).toBe(6);
    expect(faultOf(() => decodeCommand(Buffer.from('00000001030000003080', 'hex'))).abortReason).toBe(6);
  });
});

describe('command sets that lie about their length, read strictly', () => {
  const strictly = (bytes: Buffer) => decodeCommand(bytes, { strict: true });
  const store = commandOf('c-store-rq');

  test.each(['c-echo-rq', 'c-echo-rsp', 'c-store-rq', 'c-store-rsp'])('%s of DCMTK is right', (name) => {
    expect(strictly(commandOf(name))).toEqual(decodeCommand(commandOf(name)));
  });

  test('any command set that is written here is right', () => {
    fc.assert(
      fc.property(command, fc.stringMatching(/^[A-Za-z ]{0,80}$/), (values, errorComment) => {
        const bytes = encodeCommand({ ...values, errorComment });
        expect(strictly(bytes)).toEqual(decodeCommand(bytes));
      }),
    );
  });

  test('a group length that is too small, too large, of another size, or not the first', () => {
    const right = store.readUInt32LE(8);
    for (const wrong of [0, right - 2, right + 2, 0xffffffff]) {
      const lying = Buffer.from(store);
      lying.writeUInt32LE(wrong, 8);
      expect(decodeCommand(lying)).toEqual(decodeCommand(store));
      expect(faultOf(() => strictly(lying)).message).toBe(
        'the group length of a command set is not its length',
      );
    }
    const short = Buffer.concat([Buffer.from('00000000020000000000', 'hex'), store.subarray(12)]);
    expect(faultOf(() => strictly(short)).message).toBe(
      'the group length of a command set is not its length',
    );
    const long = Buffer.concat([Buffer.from('0000000006000000', 'hex'), Buffer.alloc(6), store.subarray(12)]);
    long.writeUInt32LE(long.length - 12, 8);
    expect(faultOf(() => strictly(long)).message).toBe('the group length of a command set is not its length');
    const last = Buffer.concat([store.subarray(12), store.subarray(0, 12)]);
    expect(faultOf(() => strictly(last)).message).toContain('ascending');
  });

  test('no group length tells no lie', () => {
    expect(strictly(store.subarray(12))).toEqual(decodeCommand(store));
  });

  const element = (number: number, value: string) => {
    const bytes = Buffer.from(value, 'latin1');
    const header = Buffer.alloc(8);
    header.writeUInt16LE(number, 2);
    header.writeUInt32LE(bytes.length, 4);
    return Buffer.concat([header, bytes]);
  };
  const field = element(0x0100, '\x30\0');

  test.each<[string, Buffer[], string]>([
    ['an odd length', [element(0x0002, '1.2'), field], 'an element of a command set has an odd length'],
    ['the same element twice', [field, field], 'the elements of a command set are not in ascending order'],
    [
      'elements that are not in order',
      [element(0x0110, '\x01\0'), field],
      'the elements of a command set are not in ascending order',
    ],
    [
      'another group',
      [field, Buffer.from('0800180000000000', 'hex')],
      'a command set has an element of another group',
    ],
    [
      'a number of four bytes',
      [field, element(0x0110, '\x01\0\0\0')],
      'a number in a command set has not two bytes',
    ],
  ])('%s', (_name, parts, message) => {
    expect(faultOf(() => strictly(Buffer.concat(parts)))).toMatchObject({ message, abortReason: 6 });
    expect(faultIfAny(() => decodeCommand(Buffer.concat(parts)))).toBeUndefined();
  });

  test('an optional number may be empty, and unknown elements may come', () => {
    const bytes = Buffer.concat([field, element(0x1031, ''), element(0x5010, 'INVENTED')]);
    expect(strictly(bytes)).toMatchObject({ commandField: 0x30, moveOriginatorMessageId: undefined });
  });

  test.each(['c-store-rq', 'c-store-rsp'])('every prefix of %s is a fault', (name) => {
    const bytes = commandOf(name);
    for (let length = 0; length < bytes.length; length++) faultOf(() => strictly(bytes.subarray(0, length)));
  });

  test('single-byte corruptions: a fault, or what it reads without', () => {
    for (let offset = 0; offset < store.length; offset++) {
      for (let value = 0; value < 256; value++) {
        const corrupt = patched(store, { [offset]: value });
        faultIfAny(() => expect(strictly(corrupt)).toEqual(decodeCommand(corrupt)));
      }
    }
  });
});

describe('an error comment', () => {
  test('is written at its place, at most 64 characters of it', () => {
    const bytes = encodeCommand({
      commandField: 0x8001,
      status: 0xa700,
      affectedSopInstance: '1.2.34',
      errorComment: `no server${'!'.repeat(70)}`,
    });
    const at = bytes.indexOf('no server');
    expect(bytes.subarray(at - 8, at).toString('hex')).toBe('0000020940000000');
    expect(bytes.toString('latin1', at, at + 64)).toBe(`no server${'!'.repeat(55)}`);
    expect(decodeCommand(bytes, { strict: true })).toMatchObject({
      status: 0xa700,
      affectedSopInstance: '1.2.34',
    });
  });
});

describe('names', () => {
  test('of requests and responses', () => {
    expect(commandName(0x0001)).toBe('C-STORE-RQ');
    expect(commandName(0x8100)).toBe('N-EVENT-REPORT-RSP');
    expect(commandName(0x0fff)).toBe('C-CANCEL-RQ');
    expect(operationName(0x8020)).toBe('C-FIND');
    expect(commandName(0x00aa)).toBe('command 00AAH');
    expect(operationName(0x00aa)).toBeUndefined();
    expect([isResponse(0x8001), isResponse(0x0fff)]).toEqual([true, false]);
  });

  test('command fields and priorities are those of dcmjs-dimse', () => {
    // Its type declarations leave the command fields out.
    const { CommandFieldType, Priority } = dimse.constants as typeof dimse.constants & {
      readonly CommandFieldType: Readonly<Record<string, number>>;
    };
    const theirs = Object.fromEntries(
      Object.entries(CommandFieldType).filter(([name]) => name.endsWith('Request')),
    );
    const ours = Object.fromEntries(
      Object.entries(COMMAND).map(([name, value]) => [
        `${name.toLowerCase().replaceAll(/(?:^|_)([a-z])/g, (_, letter) => letter.toUpperCase())}Request`,
        value,
      ]),
    );
    expect(ours).toEqual(theirs);
    expect(PRIORITY).toEqual({ LOW: Priority.Low, MEDIUM: Priority.Medium, HIGH: Priority.High });
  });
});
