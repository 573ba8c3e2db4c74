/** DIMSE command sets for tests (PS3.7 E.1): implicit VR little endian, group 0000, the few elements that tests use. */

export const COMMAND = {
  C_STORE_RQ: 0x0001,
  C_STORE_RSP: 0x8001,
  C_GET_RQ: 0x0010,
  C_FIND_RQ: 0x0020,
  C_FIND_RSP: 0x8020,
  C_MOVE_RQ: 0x0021,
  C_MOVE_RSP: 0x8021,
  C_ECHO_RQ: 0x0030,
  C_ECHO_RSP: 0x8030,
  C_CANCEL_RQ: 0x0fff,
  N_EVENT_REPORT_RQ: 0x0100,
  N_ACTION_RQ: 0x0130,
} as const;

export const NO_DATA_SET = 0x0101;

export interface Command {
  /** (0000,0002) Affected SOP Class UID. */
  readonly sopClass?: string;
  /** (0000,0003) Requested SOP Class UID. */
  readonly requestedSopClass?: string;
  /** (0000,0100) Command Field. */
  readonly field: number;
  /** (0000,0110) Message ID. */
  readonly messageId?: number;
  /** (0000,0120) Message ID Being Responded To. */
  readonly respondsTo?: number;
  /** (0000,0600) Move Destination. */
  readonly moveDestination?: string;
  /** (0000,0700) Priority: 0 medium, 1 high, 2 low. */
  readonly priority?: number;
  /** (0000,0800): is a data set following? */
  readonly hasDataSet: boolean;
  /** (0000,0900) Status. */
  readonly status?: number;
  /** (0000,1000) Affected SOP Instance UID. */
  readonly sopInstance?: string;
  /** (0000,1001) Requested SOP Instance UID. */
  readonly requestedSopInstance?: string;
  /** (0000,1002) Event Type ID. */
  readonly eventType?: number;
  /** (0000,1008) Action Type ID. */
  readonly actionType?: number;
}

const ELEMENTS = [
  ['sopClass', 0x0002, 'text'],
  ['requestedSopClass', 0x0003, 'text'],
  ['field', 0x0100, 'number'],
  ['messageId', 0x0110, 'number'],
  ['respondsTo', 0x0120, 'number'],
  ['moveDestination', 0x0600, 'text'],
  ['priority', 0x0700, 'number'],
  ['status', 0x0900, 'number'],
  ['sopInstance', 0x1000, 'text'],
  ['requestedSopInstance', 0x1001, 'text'],
  ['eventType', 0x1002, 'number'],
  ['actionType', 0x1008, 'number'],
] as const;

export function writeCommand(command: Command): Buffer {
  const elements: [number, Buffer][] = [[0x0800, uint16(command.hasDataSet ? 0x0001 : NO_DATA_SET)]];
  for (const [name, element] of ELEMENTS) {
    const value = command[name];
    if (typeof value === 'string')
      elements.push([element, even(value, name === 'moveDestination' ? ' ' : '\0')]);
    if (typeof value === 'number') elements.push([element, uint16(value)]);
  }
  elements.sort(([a], [b]) => a - b);
  const body = Buffer.concat(
    elements.map(([element, value]) => Buffer.concat([tag(element, value.length), value])),
  );
  const groupLength = Buffer.alloc(4);
  groupLength.writeUInt32LE(body.length);
  return Buffer.concat([tag(0x0000, 4), groupLength, body]);
}

export function readCommand(bytes: Buffer): Command {
  const values = new Map<number, Buffer>();
  for (let at = 0; at + 8 <= bytes.length; ) {
    const length = bytes.readUInt32LE(at + 4);
    values.set(bytes.readUInt16LE(at + 2), bytes.subarray(at + 8, at + 8 + length));
    at += 8 + length;
  }
  const command: Record<string, string | number | boolean> = {
    hasDataSet: values.get(0x0800)?.readUInt16LE(0) !== NO_DATA_SET,
  };
  for (const [name, element, kind] of ELEMENTS) {
    const value = values.get(element);
    if (value === undefined) continue;
    command[name] = kind === 'text' ? value.toString('latin1').replace(/[\0 ]+$/, '') : value.readUInt16LE(0);
  }
  return command as unknown as Command;
}

/** The response that belongs to a request: its command field with the top bit, its SOP class and instance. */
export function responseTo(request: Command, status: number): Command {
  return {
    field: request.field | 0x8000,
    sopClass: request.sopClass,
    sopInstance: request.sopInstance,
    respondsTo: request.messageId,
    status,
    hasDataSet: false,
  };
}

function tag(element: number, length: number): Buffer {
  const header = Buffer.alloc(8);
  header.writeUInt16LE(element, 2);
  header.writeUInt32LE(length, 4);
  return header;
}

function uint16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16LE(value);
  return bytes;
}

function even(value: string, padding: string): Buffer {
  return Buffer.from(value.length % 2 === 0 ? value : value + padding, 'latin1');
}
