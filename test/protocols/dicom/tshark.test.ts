/** What this codec writes and reads, against Wireshark's DICOM dissector: an oracle that the project did not write. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { indexAssociate } from '../../../protocols/dicom/associate.ts';
import {
  acceptedContexts,
  proposalOf,
  withMaxLength,
  withoutAsyncWindow,
} from '../../../protocols/dicom/associate-rewrite.ts';
import { writeAssociateAc, writeAssociateRq } from '../../../protocols/dicom/associate-write.ts';
import { writeCommand } from '../../../protocols/dicom/p-data.ts';
import {
  writeAbort,
  writeReject,
  writeReleaseRp,
  writeReleaseRq,
} from '../../../protocols/dicom/small-pdus.ts';
import { fixture } from './fixture.ts';

const CT = '1.2.840.10008.5.1.4.1.1.2';
const VERIFICATION = '1.2.840.10008.1.1';
const IMPLICIT = '1.2.840.10008.1.2';
const EXPLICIT = '1.2.840.10008.1.2.1';

const FIELDS = {
  type: 'dicom.pdu.type',
  length: 'dicom.pdu.len',
  called: 'dicom.assoc.ae.called',
  calling: 'dicom.assoc.ae.calling',
  context: 'dicom.actx',
  ids: 'dicom.pctx.id',
  results: 'dicom.pctx.result',
  abstractSyntaxes: 'dicom.pctx.abss.syntax',
  transferSyntaxes: 'dicom.pctx.xfer.syntax',
  maxLength: 'dicom.max_pdu_len',
  implementation: 'dicom.userinfo.uid',
  version: 'dicom.userinfo.version',
  invoked: 'dicom.userinfo.asyncneg.maxnumopsinv',
  performed: 'dicom.userinfo.asyncneg.maxnumopsper',
  roles: 'dicom.userinfo.rolesel.sopclassuid',
  scu: 'dicom.userinfo.rolesel.scurole',
  scp: 'dicom.userinfo.rolesel.scprole',
  extended: 'dicom.userinfo.extneg.sopclassuid',
  identity: 'dicom.userinfo.user_identify.type',
  primary: 'dicom.userinfo.user_identify.primary_field',
  result: 'dicom.assoc.reject.result',
  source: 'dicom.assoc.reject.source',
  reason: 'dicom.assoc.reject.reason',
  abortSource: 'dicom.assoc.abort.source',
  abortReason: 'dicom.assoc.abort.reason',
  pdv: 'dicom.pdv.ctx',
  flags: 'dicom.pdv.flags',
  malformed: '_ws.malformed',
} as const;

type Dissected = Readonly<Record<keyof typeof FIELDS, readonly string[]>>;

function hasTshark(): boolean {
  try {
    execFileSync('tshark', ['--version'], { stdio: 'ignore' });
    execFileSync('text2pcap', ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** Each PDU as one packet, as Wireshark reads it. */
function dissect(pdus: readonly Buffer[]): Dissected[] {
  const folder = mkdtempSync(join(tmpdir(), 'gantry-tshark-'));
  try {
    const hex = join(folder, 'pdus.txt');
    const capture = join(folder, 'pdus.pcap');
    writeFileSync(
      hex,
      pdus.map((pdu) => `000000 ${pdu.toString('hex').replaceAll(/../g, '$& ')}\n`).join('\n'),
    );
    execFileSync('text2pcap', ['-q', '-T', '40000,104', hex, capture], { stdio: 'ignore' });
    const fields = Object.values(FIELDS).flatMap((field) => ['-e', field]);
    const options = ['-d', 'tcp.port==104,dicom', '-T', 'fields', '-E', 'separator=|', '-E', 'aggregator=;'];
    const lines = execFileSync('tshark', ['-r', capture, ...options, ...fields], { stdio: 'pipe' });
    return lines.toString().trimEnd().split('\n').map(readLine);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function readLine(line: string): Dissected {
  const values = line.split('|').map((value) => (value === '' ? [] : value.split(';')));
  const entries = Object.keys(FIELDS).map((name, index) => [name, values[index] ?? []]);
  return Object.fromEntries(entries) as Dissected;
}

/** Wireshark writes UIDs behind their names: `CT Image Storage (1.2.…)`. */
function uids(values: readonly string[]): string[] {
  return values.map((value) => /([\d.]+)\)?$/.exec(value)?.[1] ?? '');
}

/** What we read of a request or accept, in the shape that Wireshark gives. */
function ours(bytes: Buffer) {
  const { presentationContexts, userInformation, ...associate } = indexAssociate(bytes);
  return {
    called: associate.calledAe,
    calling: associate.callingAe,
    context: associate.applicationContext,
    ids: presentationContexts.map(({ id }) => id),
    abstractSyntaxes: presentationContexts.map(({ abstractSyntax }) => abstractSyntax).filter(Boolean),
    transferSyntaxes: presentationContexts.flatMap(({ transferSyntaxes }) => transferSyntaxes),
    maxLength: userInformation.maxLength,
    implementation: userInformation.implementationClassUid,
    version: userInformation.implementationVersionName,
  };
}

function theirs(packet: Dissected) {
  return {
    called: packet.called[0]!.trim(),
    calling: packet.calling[0]!.trim(),
    context: uids(packet.context)[0],
    ids: packet.ids.map(Number),
    abstractSyntaxes: uids(packet.abstractSyntaxes),
    transferSyntaxes: uids(packet.transferSyntaxes).filter(Boolean),
    maxLength: Number(packet.maxLength[0]),
    implementation: packet.implementation[0],
    version: packet.version[0],
  };
}

describe.skipIf(!hasTshark())('Wireshark (Debian package tshark) agrees', () => {
  test('on what we write', () => {
    const rq = writeAssociateRq({
      calledAe: 'ARCHIVE',
      callingAe: 'CT_1',
      presentationContexts: [
        { id: 1, abstractSyntax: CT, transferSyntaxes: [EXPLICIT, IMPLICIT] },
        { id: 3, abstractSyntax: VERIFICATION, transferSyntaxes: [IMPLICIT] },
      ],
      maxLength: 65536,
      asyncWindow: { invoked: 3, performed: 2 },
      roles: [{ sopClass: CT, scu: true, scp: true }],
      extended: [{ sopClass: CT, information: Buffer.from([1, 2]) }],
      userIdentity: {
        type: 1,
        positiveResponse: false,
        primary: Buffer.from('invented'),
        secondary: Buffer.alloc(0),
      },
    });
    const ac = writeAssociateAc({
      request: indexAssociate(rq),
      presentationContexts: [
        { id: 1, result: 0, transferSyntax: EXPLICIT },
        { id: 3, result: 3, transferSyntax: '' },
      ],
    });
    const echo = writeCommand(1, { commandField: 0x30, messageId: 1, affectedSopClass: VERIFICATION });
    const packets = dissect([
      rq,
      ac,
      echo,
      writeReject(2, 3, 1),
      writeReleaseRq(),
      writeReleaseRp(),
      writeAbort(2, 6),
    ]);

    expect(packets.map(({ type }) => type.map(Number))).toEqual([[1], [2], [4], [3], [5], [6], [7]]);
    expect(packets.map(({ malformed }) => malformed.length)).toEqual(packets.map(() => 0));
    expect(theirs(packets[0]!)).toEqual(ours(rq));
    expect(theirs(packets[1]!)).toEqual(ours(ac));
    expect(packets[0]).toMatchObject({
      invoked: ['3'],
      performed: ['2'],
      identity: ['1'],
      primary: ['invented'],
    });
    expect([uids(packets[0]!.roles), uids(packets[0]!.extended)]).toEqual([[CT], [CT]]);
    expect([packets[0]!.scu, packets[0]!.scp]).toEqual([['0x01'], ['0x01']]);
    expect(packets[1]!.results.map(Number)).toEqual([0, 3]);
    expect(packets[2]).toMatchObject({ pdv: ['1'], flags: ['0x03'] });
    expect(packets[3]).toMatchObject({ result: ['2'], source: ['3'], reason: ['1'] });
    expect(packets[6]).toMatchObject({ abortSource: ['2'], abortReason: ['6'] });
  });

  test('on what we rewrite', () => {
    const rq = fixture('by-hand-associate-rq');
    const ac = fixture('by-hand-associate-ac');
    const all = indexAssociate(fixture('store-all-associate-rq'));
    const rewritten = [
      withMaxLength(withoutAsyncWindow(rq), 16384),
      withMaxLength(withoutAsyncWindow(ac), 16384),
      proposalOf(indexAssociate(rq), acceptedContexts(indexAssociate(ac))),
      proposalOf(all, acceptedContexts(indexAssociate(fixture('store-all-associate-ac')))),
    ];
    const packets = dissect(rewritten);
    expect(packets.map(theirs)).toEqual(rewritten.map(ours));
    expect(packets.map(({ malformed, invoked }) => [malformed, invoked])).toEqual(
      packets.map(() => [[], []]),
    );
    expect(packets.map(({ maxLength }) => maxLength[0])).toEqual(['16384', '16384', '131072', '16384']);
    expect(packets[2]).toMatchObject({ ids: ['0x01'], primary: ['invented'] });
    expect(packets[3]!.ids.length).toBe(all.presentationContexts.length);
    expect(uids(packets[3]!.transferSyntaxes)).toHaveLength(all.presentationContexts.length);
  });

  test.each([
    'echo-associate-rq',
    'store-ct-associate-rq',
    'store-all-associate-rq',
    'store-all-associate-ac',
    'by-hand-associate-rq',
    'by-hand-associate-ac',
  ])('on what we read in %s', (name) => {
    const [packet] = dissect([fixture(name)]);
    expect(theirs(packet!)).toEqual(ours(fixture(name)));
  });
});
