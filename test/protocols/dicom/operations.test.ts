import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  COMMAND,
  type Command,
  decodeCommand,
  encodeCommand,
  RESPONSE_BIT,
} from '../../../protocols/dicom/command-set.ts';
import { createOperations, type Direction } from '../../../protocols/dicom/operations.ts';

const { C_STORE, C_FIND, C_MOVE, C_GET, C_ECHO, C_CANCEL, N_EVENT_REPORT } = COMMAND;

function request(commandField: number, messageId: number, hasDataSet = commandField !== C_ECHO): Command {
  return decodeCommand(encodeCommand({ commandField, messageId, hasDataSet }));
}

function response(
  operation: number,
  messageIdRespondedTo: number,
  status: number,
  hasDataSet = false,
): Command {
  return decodeCommand(
    encodeCommand({ commandField: operation | RESPONSE_BIT, messageIdRespondedTo, status, hasDataSet }),
  );
}

/** Operations with a clock that the test turns, and what they reported. */
function observed() {
  const clock = { ms: 0 };
  const reports: string[] = [];
  const operations = createOperations({
    now: () => clock.ms,
    started: () => reports.push('started'),
    ended: (ms, outcome, kind, status) => reports.push(`${kind} ${status.toString(16)} ${outcome} ${ms}`),
  });
  return { clock, reports, operations };
}

describe('an operation', () => {
  test('is open from its request until its response', () => {
    const { clock, reports, operations } = observed();
    operations.command(request(C_ECHO, 7), 'toServer');
    expect(operations.inFlight).toBe(1);
    clock.ms = 5;
    operations.command(response(C_ECHO, 7, 0), 'toClient');
    expect(operations.inFlight).toBe(0);
    expect(reports).toEqual(['started', 'C-ECHO 0 success 5']);
    expect(operations.counts).toEqual({ 'C-ECHO': { '0000': 1 } });
  });

  test('is not ended by pending responses: a silent C-MOVE is open', () => {
    const { operations } = observed();
    operations.command(request(C_MOVE, 1), 'toServer');
    for (let sent = 0; sent < 3; sent++) operations.command(response(C_MOVE, 1, 0xff00), 'toClient');
    operations.command(response(C_MOVE, 1, 0xff01), 'toClient');
    expect(operations.inFlight).toBe(1);
    operations.command(response(C_MOVE, 1, 0xb000), 'toClient');
    expect(operations.inFlight).toBe(0);
    expect(operations.counts).toEqual({ 'C-MOVE': { B000: 1 } });
  });

  test('is not opened by C-CANCEL, and ended by the response that it causes', () => {
    const { operations } = observed();
    operations.command(request(C_FIND, 3), 'toServer');
    const cancel = encodeCommand({ commandField: C_CANCEL, messageIdRespondedTo: 3 });
    operations.command(decodeCommand(cancel), 'toServer');
    expect(operations.inFlight).toBe(1);
    operations.command(response(C_FIND, 3, 0xfe00), 'toClient');
    expect(operations.inFlight).toBe(0);
    expect(operations.counts).toEqual({ 'C-FIND': { FE00: 1 } });
  });

  test('several at once, answered in another order', () => {
    const { operations, reports } = observed();
    operations.command(request(C_STORE, 1), 'toServer');
    operations.command(request(C_STORE, 2), 'toServer');
    operations.command(response(C_STORE, 2, 0xa700), 'toClient');
    operations.command(response(C_STORE, 1, 0x0000), 'toClient');
    expect(reports.slice(2)).toEqual(['C-STORE a700 refused 0', 'C-STORE 0 success 0']);
    expect(operations.counts).toEqual({ 'C-STORE': { A700: 1, '0000': 1 } });
  });

  test('of the server (C-GET sub-operations, N-EVENT-REPORT) counts, but is no load of the server', () => {
    const { operations, reports } = observed();
    operations.command(request(C_GET, 1), 'toServer');
    operations.command(request(C_STORE, 1), 'toClient');
    operations.command(request(N_EVENT_REPORT, 2), 'toClient');
    expect(operations.inFlight).toBe(3);
    operations.command(response(C_STORE, 1, 0), 'toServer');
    operations.command(response(N_EVENT_REPORT, 2, 0x0110), 'toServer');
    expect(operations.inFlight).toBe(1);
    operations.command(response(C_GET, 1, 0), 'toClient');
    expect(reports).toEqual(['started', 'C-GET 0 success 0']);
    expect(operations.counts).toEqual({
      'C-GET': { '0000': 1 },
      'C-STORE': { '0000': 1 },
      'N-EVENT-REPORT': { '0110': 1 },
    });
  });

  test('time is counted from the end of its data set: a slow sender is no slow server', () => {
    const { clock, operations, reports } = observed();
    operations.command(request(C_STORE, 1), 'toServer');
    clock.ms = 9000;
    operations.dataEnd('toServer');
    clock.ms = 9012;
    operations.command(response(C_STORE, 1, 0), 'toClient');
    expect(reports).toEqual(['started', 'C-STORE 0 success 12']);
  });
});

describe('the safe point', () => {
  test('is where nothing is in flight and no data set is under way', () => {
    const { operations } = observed();
    expect(operations.atSafePoint).toBe(true);
    operations.command(request(C_FIND, 1), 'toServer');
    operations.dataEnd('toServer');
    operations.command(response(C_FIND, 1, 0xff00, true), 'toClient');
    operations.dataEnd('toClient');
    expect(operations.atSafePoint).toBe(false);
    operations.command(response(C_FIND, 1, 0xc000, true), 'toClient');
    expect([operations.inFlight, operations.atSafePoint]).toEqual([0, false]);
    operations.dataEnd('toClient');
    expect(operations.atSafePoint).toBe(true);
  });
});

describe('peers that break the rules', () => {
  test('a response without a request is counted apart', () => {
    const { operations, reports } = observed();
    operations.command(response(C_STORE, 9, 0), 'toClient');
    operations.command(decodeCommand(encodeCommand({ commandField: 0x8001 })), 'toClient');
    expect([operations.inFlight, operations.unmatched]).toEqual([0, 2]);
    expect(operations.counts).toEqual({});
    expect(reports).toEqual([]);
  });

  test('a message id that is used again while it is open counts once', () => {
    const { operations, reports } = observed();
    operations.command(request(C_STORE, 1), 'toServer');
    operations.command(request(C_ECHO, 1), 'toServer');
    expect(operations.inFlight).toBe(1);
    operations.command(response(C_ECHO, 1, 0), 'toClient');
    expect(operations.inFlight).toBe(0);
    expect(reports).toEqual(['started', 'C-ECHO 0 success 0']);
  });

  test('a request without a message id opens nothing', () => {
    const { operations } = observed();
    operations.command(decodeCommand(encodeCommand({ commandField: C_ECHO })), 'toServer');
    expect(operations.inFlight).toBe(0);
  });

  test('an unknown command is an operation all the same; statuses without end are cut', () => {
    const { operations } = observed();
    for (let id = 0; id < 100; id++) {
      operations.command(request(0x00aa, id), 'toServer');
      operations.command(response(0x00aa, id, 0xc000 + id), 'toClient');
    }
    expect(Object.keys(operations.counts)).toEqual(['unknown']);
    expect(Object.keys(operations.counts.unknown!).length).toBe(33);
    expect(operations.counts.unknown!.other).toBe(68);
  });

  test('abandon forgets what is open', () => {
    const { operations, reports } = observed();
    operations.command(request(C_STORE, 1), 'toServer');
    operations.abandon();
    expect(operations.atSafePoint).toBe(true);
    expect(reports).toEqual(['started']);
  });
});

test('as many ended as started, and none in flight, when every request is answered once', () => {
  const step = fc.record({
    id: fc.nat({ max: 5 }),
    kind: fc.constantFrom(C_STORE, C_FIND, C_ECHO),
    direction: fc.constantFrom<Direction>('toServer', 'toClient'),
    pending: fc.nat({ max: 2 }),
  });
  fc.assert(
    fc.property(fc.array(step), (steps) => {
      const { operations, reports } = observed();
      const open = new Map<string, [number, number, Direction]>();
      for (const { id, kind, direction } of steps) {
        operations.command(request(kind, id), direction);
        operations.dataEnd(direction);
        open.set(`${id} ${direction}`, [kind, id, direction]);
      }
      expect(operations.inFlight).toBe(open.size);
      for (const [kind, id, direction] of open.values()) {
        const back = direction === 'toServer' ? 'toClient' : 'toServer';
        operations.command(response(kind, id, 0xff00), back);
        operations.command(response(kind, id, 0), back);
      }
      expect(operations.atSafePoint).toBe(true);
      const started = reports.filter((report) => report === 'started').length;
      expect(reports.length).toBe(2 * started);
    }),
  );
});
