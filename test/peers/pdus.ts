/**
 * DICOM PDUs for tests, written and read by hand after PS3.8 9.3 and PS3.7 9.3, so that the peers do not rest on the code
 * they test. Nothing here is complete or careful; it is what a test needs to say.
 */

export const PDU_TYPE = { RQ: 1, AC: 2, RJ: 3, DATA: 4, RELEASE_RQ: 5, RELEASE_RP: 6, ABORT: 7 } as const;

export const VERIFICATION = '1.2.840.10008.1.1';
export const CT_IMAGE_STORAGE = '1.2.840.10008.5.1.4.1.1.2';
export const MR_IMAGE_STORAGE = '1.2.840.10008.5.1.4.1.1.4';
export const IMPLICIT_LITTLE = '1.2.840.10008.1.2';
export const EXPLICIT_LITTLE = '1.2.840.10008.1.2.1';
export const APPLICATION_CONTEXT = '1.2.840.10008.3.1.1.1';

export interface Pdu {
  readonly type: number;
  /** Whole, the six header bytes included. */
  readonly bytes: Buffer;
}

export interface ProposedContext {
  readonly id: number;
  readonly abstractSyntax: string;
  readonly transferSyntaxes: readonly string[];
}

export interface RequestOptions {
  readonly called?: string;
  readonly calling?: string;
  readonly contexts?: readonly ProposedContext[];
  /** Shorthand: a context per abstract syntax, both little endian transfer syntaxes. */
  readonly propose?: readonly string[];
  readonly maxLength?: number;
  readonly protocolVersion?: number;
  readonly applicationContext?: string;
  readonly implementationClassUid?: string;
  readonly implementationVersionName?: string;
  /** More user-information items, whole (`item(0x58, …)`). */
  readonly userItems?: readonly Buffer[];
  /** More variable items at the end, whole. */
  readonly items?: readonly Buffer[];
}

export interface AcceptOptions {
  /** Result and transfer syntax of a proposed context; default: accepted with its first transfer syntax. */
  readonly judge?: (context: ProposedContext) => { result: number; transferSyntax: string };
  readonly maxLength?: number;
  readonly implementationVersionName?: string;
  /** More user-information items, whole. */
  readonly userItems?: readonly Buffer[];
}

/** What a peer reads out of an A-ASSOCIATE-RQ. */
export interface ParsedRequest {
  readonly called: string;
  readonly calling: string;
  readonly contexts: readonly ProposedContext[];
  readonly maxLength: number;
}

/** type, reserved, 4-byte length, then the parts. */
export function pdu(type: number, ...parts: readonly Buffer[]): Buffer {
  const header = Buffer.alloc(6);
  header[0] = type;
  header.writeUInt32BE(
    parts.reduce((sum, part) => sum + part.length, 0),
    2,
  );
  return Buffer.concat([header, ...parts]);
}

/** type, reserved, 2-byte length, then the parts. */
export function item(type: number, ...parts: readonly (Buffer | string)[]): Buffer {
  const body = Buffer.concat(
    parts.map((part) => (typeof part === 'string' ? Buffer.from(part, 'latin1') : part)),
  );
  const header = Buffer.alloc(4);
  header[0] = type;
  header.writeUInt16BE(body.length, 2);
  return Buffer.concat([header, body]);
}

export function associateRequest(options: RequestOptions = {}): Buffer {
  const contexts = options.contexts ?? (options.propose ?? [VERIFICATION]).map(standardContext);
  return pdu(
    PDU_TYPE.RQ,
    associateHead(options.protocolVersion ?? 1, options.called ?? 'ANY-SCP', options.calling ?? 'TEST-SCU'),
    item(0x10, options.applicationContext ?? APPLICATION_CONTEXT),
    ...contexts.map((context) =>
      item(
        0x20,
        Buffer.of(context.id, 0, 0, 0),
        item(0x30, context.abstractSyntax),
        ...context.transferSyntaxes.map((uid) => item(0x40, uid)),
      ),
    ),
    userInformation(options),
    ...(options.items ?? []),
  );
}

/** The n-th context of a proposal: ids are odd. */
export function standardContext(abstractSyntax: string, index: number): ProposedContext {
  return { id: index * 2 + 1, abstractSyntax, transferSyntaxes: [EXPLICIT_LITTLE, IMPLICIT_LITTLE] };
}

/** Answers a request; its reserved bytes and AE titles come back as they were (PS3.8 Table 9-17). */
export function associateAccept(request: Buffer, options: AcceptOptions = {}): Buffer {
  const judge =
    options.judge ?? ((context) => ({ result: 0, transferSyntax: context.transferSyntaxes[0] ?? '' }));
  return pdu(
    PDU_TYPE.AC,
    request.subarray(6, 74),
    item(0x10, APPLICATION_CONTEXT),
    ...readRequest(request).contexts.map((context) => {
      const { result, transferSyntax } = judge(context);
      return item(0x21, Buffer.of(context.id, 0, result, 0), item(0x40, transferSyntax));
    }),
    userInformation({ implementationVersionName: 'TEST-SCP', ...options }),
  );
}

export function associateReject(result: number, source: number, reason: number): Buffer {
  return pdu(PDU_TYPE.RJ, Buffer.of(0, result, source, reason));
}

export const releaseRequest = (): Buffer => pdu(PDU_TYPE.RELEASE_RQ, Buffer.alloc(4));
export const releaseResponse = (): Buffer => pdu(PDU_TYPE.RELEASE_RP, Buffer.alloc(4));
export const abort = (source = 0, reason = 0): Buffer => pdu(PDU_TYPE.ABORT, Buffer.of(0, 0, source, reason));

/** One P-DATA-TF with one PDV. */
export function pData(contextId: number, kind: 'command' | 'data', last: boolean, fragment: Buffer): Buffer {
  const header = Buffer.alloc(6);
  header.writeUInt32BE(fragment.length + 2, 0);
  header[4] = contextId;
  header[5] = (kind === 'command' ? 1 : 0) | (last ? 2 : 0);
  return pdu(PDU_TYPE.DATA, header, fragment);
}

/** A command or a data set as P-DATA-TFs of at most `maxLength` bytes behind the header. */
export function* pDataSeries(
  contextId: number,
  kind: 'command' | 'data',
  content: Buffer,
  maxLength = 16_384,
): Generator<Buffer> {
  const room = maxLength - 6;
  for (let at = 0; at < content.length || at === 0; at += room) {
    const last = at + room >= content.length;
    yield pData(contextId, kind, last, content.subarray(at, at + room));
  }
}

export interface Pdv {
  readonly contextId: number;
  readonly isCommand: boolean;
  readonly isLast: boolean;
  readonly fragment: Buffer;
}

export function readPdvs(dataPdu: Buffer): Pdv[] {
  const pdvs: Pdv[] = [];
  for (let at = 6; at + 6 <= dataPdu.length; ) {
    const length = dataPdu.readUInt32BE(at);
    const control = dataPdu[at + 5]!;
    pdvs.push({
      contextId: dataPdu[at + 4]!,
      isCommand: (control & 1) === 1,
      isLast: (control & 2) === 2,
      fragment: dataPdu.subarray(at + 6, at + 4 + length),
    });
    at += 4 + length;
  }
  return pdvs;
}

export function readRequest(bytes: Buffer): ParsedRequest {
  const contexts: ProposedContext[] = [];
  let maxLength = 0;
  for (const { type, body } of items(bytes, 74)) {
    if (type === 0x20) {
      const inner = [...items(body, 4)];
      contexts.push({
        id: body[0]!,
        abstractSyntax: text(inner.find((one) => one.type === 0x30)?.body),
        transferSyntaxes: inner.filter((one) => one.type === 0x40).map((one) => text(one.body)),
      });
    } else if (type === 0x50) {
      for (const one of items(body, 0)) if (one.type === 0x51) maxLength = one.body.readUInt32BE(0);
    }
  }
  return { called: text(bytes.subarray(10, 26)), calling: text(bytes.subarray(26, 42)), contexts, maxLength };
}

/** Context id → accepted transfer syntax, of an A-ASSOCIATE-AC; and the acceptor's maximum length. */
export function readAccept(bytes: Buffer): { accepted: Map<number, string>; maxLength: number } {
  const accepted = new Map<number, string>();
  let maxLength = 0;
  for (const { type, body } of items(bytes, 74)) {
    if (type === 0x21 && body[2] === 0) accepted.set(body[0]!, text([...items(body, 4)][0]?.body));
    if (type === 0x50)
      for (const one of items(body, 0)) if (one.type === 0x51) maxLength = one.body.readUInt32BE(0);
  }
  return { accepted, maxLength };
}

function* items(bytes: Buffer, from: number): Generator<{ type: number; body: Buffer }> {
  for (let at = from; at + 4 <= bytes.length; ) {
    const length = bytes.readUInt16BE(at + 2);
    yield { type: bytes[at]!, body: bytes.subarray(at + 4, at + 4 + length) };
    at += 4 + length;
  }
}

function associateHead(version: number, called: string, calling: string): Buffer {
  const head = Buffer.alloc(68);
  head.writeUInt16BE(version, 0);
  head.write(called.padEnd(16), 4, 16, 'latin1');
  head.write(calling.padEnd(16), 20, 16, 'latin1');
  return head;
}

function userInformation(options: RequestOptions): Buffer {
  const maxLength = Buffer.alloc(4);
  maxLength.writeUInt32BE(options.maxLength ?? 16_384);
  return item(
    0x50,
    item(0x51, maxLength),
    item(0x52, options.implementationClassUid ?? '1.2.826.0.1.3680043.10.1.1'),
    item(0x55, options.implementationVersionName ?? 'TEST-SCU'),
    ...(options.userItems ?? []),
  );
}

function text(bytes: Buffer | undefined): string {
  return (bytes?.toString('latin1') ?? '').replace(/[\0 ]+$/, '').replace(/^ +/, '');
}
