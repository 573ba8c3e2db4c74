/** What both sides of a scripted association share: PDUs and DIMSE messages, read and written on one connection. */
import { type Command, readCommand, writeCommand } from './commands.ts';
import { PDU_TYPE, type Pdu, pDataSeries, readPdvs } from './pdus.ts';
import { ConnectionEnded, type Ending, type TestConnection } from './test-connection.ts';

export interface DimseMessage {
  readonly contextId: number;
  readonly command: Command;
  /** Empty when there is none. */
  readonly dataSet: Buffer;
}

/** What came next on an association. */
export type Arrival =
  | ({ readonly kind: 'message' } & DimseMessage)
  | { readonly kind: 'release-request' | 'release-response' | 'abort' | 'pdu'; readonly pdu: Pdu }
  | { readonly kind: 'ended'; readonly ending: Ending };

export class DicomConnection {
  readonly connection: TestConnection;
  /** Largest P-DATA-TF the other side takes, its header not counted. */
  maxLength = 16_384;

  constructor(connection: TestConnection) {
    this.connection = connection;
  }

  /** The next PDU, whole; rejects with `ConnectionEnded`. */
  async readPdu(what = 'a PDU'): Promise<Pdu> {
    const header = await this.connection.read(6, what);
    const body = await this.connection.read(header.readUInt32BE(2), `the rest of ${what}`);
    return { type: header[0]!, bytes: Buffer.concat([header, body]) };
  }

  /** The next DIMSE message, whole, or whatever came instead of one. */
  async next(): Promise<Arrival> {
    const command: Buffer[] = [];
    const dataSet: Buffer[] = [];
    let decoded: Command | undefined;
    for (;;) {
      let pdu: Pdu;
      try {
        pdu = await this.readPdu();
      } catch (error) {
        if (error instanceof ConnectionEnded) return { kind: 'ended', ending: error.ending };
        throw error;
      }
      if (pdu.type === PDU_TYPE.RELEASE_RQ) return { kind: 'release-request', pdu };
      if (pdu.type === PDU_TYPE.RELEASE_RP) return { kind: 'release-response', pdu };
      if (pdu.type === PDU_TYPE.ABORT) return { kind: 'abort', pdu };
      if (pdu.type !== PDU_TYPE.DATA) return { kind: 'pdu', pdu };
      for (const { contextId, isCommand, isLast, fragment } of readPdvs(pdu.bytes)) {
        (isCommand ? command : dataSet).push(fragment);
        if (!isLast) continue;
        if (isCommand) decoded = readCommand(Buffer.concat(command));
        if (decoded && (!isCommand || !decoded.hasDataSet)) {
          return { kind: 'message', contextId, command: decoded, dataSet: Buffer.concat(dataSet) };
        }
      }
    }
  }

  async write(bytes: Buffer): Promise<void> {
    await this.connection.write(bytes);
  }

  /** Sends a whole DIMSE message, cut to what the other side takes. */
  async send(contextId: number, command: Command, dataSet?: Buffer): Promise<void> {
    const maxLength = this.maxLength === 0 ? 131_072 : this.maxLength;
    for (const one of pDataSeries(contextId, 'command', writeCommand(command), maxLength))
      await this.write(one);
    if (!dataSet) return;
    for (const one of pDataSeries(contextId, 'data', dataSet, maxLength)) await this.write(one);
  }
}

/** `source/reason` of an A-ABORT, `result/source/reason` of an A-ASSOCIATE-RJ. */
export function codeOf(pdu: Buffer): string {
  return pdu[0] === PDU_TYPE.RJ ? `${pdu[7]}/${pdu[8]}/${pdu[9]}` : `${pdu[8]}/${pdu[9]}`;
}
