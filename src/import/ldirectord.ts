/**
 * A configuration of ldirectord, which keeps the kernel's virtual servers (LVS) → the draft of one for Gantry:
 *
 *     checkinterval=10                 of all virtual services
 *     virtual=10.0.0.6:104             a VIP at layer 4
 *         real=10.0.0.11:104 gate 2    a server of its pool: gate is mode dr, masq is mode nat
 *         checktype=connect            of this one
 */
import { describeEndpoint } from '../endpoint.ts';
import { type Draft, Names, type Part } from './draft.ts';
import { adminAddress, type Imported, type ImportOptions } from './haproxy.ts';
import { judgeGlobals, readVirtuals, type Virtual } from './ldirectord-lines.ts';
import { readReals } from './ldirectord-reals.ts';
import { healthOf, persistenceOf, spreadOf } from './ldirectord-settings.ts';
import { Ledger, Loss } from './losses.ts';
import { likelyProtocol } from './well-known.ts';

export function importLdirectord(text: string, options: ImportOptions): Imported {
  const { globals, virtuals, lines, strays } = readVirtuals(text);
  const ledger = new Ledger(lines);
  const result = (draft: Draft | undefined, reason: string | undefined): Imported => ({
    draft,
    reason,
    notes: ledger.notes(),
    lines: {
      all: lines.map(({ number }) => number),
      taken: lines.filter((line) => ledger.isTaken(line)).map(({ number }) => number),
      covered: [],
    },
  });
  for (const line of strays) ledger.lost(line, 'it is indented, and no `virtual` stands before it');
  if (virtuals.length === 0) {
    for (const line of ledger.unjudged()) ledger.lost(line, 'it belongs to no `virtual`');
    return result(undefined, 'is not a configuration of ldirectord: it has no `virtual`');
  }
  const names = new Names();
  const parts = virtuals.flatMap((virtual) => {
    try {
      return [partsOf(virtual, { ...options, ledger, names })];
    } catch (error) {
      if (!(error instanceof Loss)) throw error;
      ledger.lost(virtual.line, error.message);
      for (const { line } of virtual.settings.filter((setting) => !ledger.isToldOf(setting.line)))
        ledger.lost(line, 'its `virtual` could not be taken over');
      return [];
    }
  });
  judgeGlobals(globals, ledger);
  for (const line of ledger.unjudged()) ledger.lost(line, 'it is not known here');
  if (parts.length === 0) return result(undefined, 'has no `virtual` that could be taken over');
  const vips = parts.map(({ vip }) => vip);
  const comments = [
    `From ${options.file}, a configuration of ldirectord.`,
    'Modes dr and nat need root or CAP_NET_ADMIN, and nft; servers stay prepared as they are (docs/layer4.md).',
    'Remove the rules of LVS (ipvsadm -C) before Gantry takes the addresses over.',
  ];
  const top = { admin: { listen: adminAddress(vips) } };
  return result({ comments, top, pools: parts.map(({ pool }) => pool), vips }, undefined);
}

interface Context extends ImportOptions {
  readonly ledger: Ledger;
  readonly names: Names;
}

/** Throws a Loss when the whole of it cannot be. */
function partsOf(
  virtual: Virtual,
  { ledger, names, protocolAware, file }: Context,
): { pool: Part; vip: Part } {
  const { host, port, line } = virtual;
  const { servers, mode } = readReals(virtual, ledger);
  const likely = likelyProtocol(virtual.label ?? '', [port]);
  const isProxied = protocolAware && likely !== undefined;
  const { balance, isWeighted } = spreadOf(virtual, ledger);
  const name = names.take(virtual.label ?? `${host}-${port}`);
  const pool = {
    servers: servers.map((server) => ({
      ...server,
      // A server of mode dr is reached at the VIP's own port; a proxy dials one.
      address:
        isProxied && server.address === server.host
          ? describeEndpoint({ host: server.host, port })
          : server.address,
      host: undefined,
      weight: isWeighted || server.weight === 0 ? server.weight : undefined,
    })),
    balance,
    health: healthOf(virtual, ledger),
  };
  const listen = [describeEndpoint({ host, port })];
  const comments = [`${file}, line ${line.number}`];
  if (likely !== undefined && !isProxied) {
    comments.push(
      `This looks like ${likely === 'dicom' ? 'DICOM' : 'HL7'}: as \`protocol: ${likely}\` it is routed by what it says (gantry import --protocol-aware).`,
    );
  }
  const persistence = persistenceOf(virtual, ledger);
  const way = isProxied ? { protocol: likely } : { mode };
  ledger.take(line);
  return {
    pool: { name, comments: [`${file}, line ${line.number}`], body: pool },
    vip: { name, comments, body: { ...way, listen, pool: name, persistence } },
  };
}
