/** From the configuration of a VIP to its front-end: each is handed plain options of its own. */
import { randomBytes } from 'node:crypto';
import { PDU } from '../protocols/dicom/pdu.ts';
import { parseTag } from '../protocols/dicom/tags.ts';
import { fieldPath } from '../protocols/hl7/field-path.ts';
import { compileRedirect } from '../protocols/http/redirect.ts';
import { compileRewrite } from '../protocols/http/rewrite.ts';
import { type Assembly, affinityOwner, poolNamesOf, poolsOf } from './assemble.ts';
import type { Configuration, DicomVip, Hl7Vip, HttpVip, ProxyVip } from './config/schema.ts';
import { compileNetwork } from './director/address.ts';
import { createDestinations, createDicomVip, egressOf } from './egress.ts';
import { affinityOfEgress, createAffinity } from './frontends/dicom/affinity/affinity.ts';
import { STORAGE_COMMITMENT } from './frontends/dicom/affinity/commitment.ts';
import type { DicomFrontEndOptions, StudyRouting } from './frontends/dicom/front-end.ts';
import type { FrontEnd } from './frontends/front-end.ts';
import { createHl7FrontEnd, type Hl7FrontEndOptions } from './frontends/hl7/front-end.ts';
import { createHttpFrontEnd } from './frontends/http/front-end.ts';
import type { HttpFrontEndOptions } from './frontends/http/settings.ts';
import { createTcpFrontEnd } from './frontends/tcp/front-end.ts';
import type { Queue } from './queue/queue.ts';
import type { Entrance } from './relay/accept.ts';
import type { Deadlines } from './relay/deadlines.ts';
import type { ServerLink } from './relay/dial.ts';
import type { Listener } from './relay/listen.ts';
import type { ClientSource } from './relay/source.ts';
import { createTlsIdentity } from './relay/tls-identity.ts';

/** A front-end and what it is made of next; nothing has happened yet. */
export interface PreparedFrontEnd {
  readonly name: string;
  readonly protocol: ProxyVip['protocol'];
  /** What it keeps messages in; never another one while the front-end lives. */
  readonly queue: Queue | undefined;
  create(): FrontEnd;
  reconfigure(frontEnd: FrontEnd): void;
  /** Takes its listeners from a front-end that was made of this. */
  disown(frontEnd: FrontEnd): void;
}

export interface FrontEndSurroundings {
  readonly configuration: Configuration;
  readonly assembly: Assembly;
  /** By VIP; undefined: it keeps nothing. */
  readonly queueOf: (vip: string) => Queue | undefined;
  /** Of VIPs whose servers see the clients' addresses. */
  readonly clientSource: ClientSource;
  readonly deadlines: Deadlines;
  readonly now: () => number;
}

/** Reads certificates and compiles patterns; throws an Error with an operator's sentence when one cannot be used. */
export function prepareFrontEnd(
  vip: ProxyVip,
  listenersOf: (name: string) => readonly Listener[],
  surroundings: FrontEndSurroundings,
): PreparedFrontEnd {
  const common = commonOptions(vip, listenersOf(vip.name), surroundings);
  switch (vip.protocol) {
    case 'dicom': {
      const options = { ...common, ...dicomOptions(vip, surroundings.assembly) };
      const egress = vip.dicom.egress && egressOptions(vip, options, listenersOf(egressOf(vip)));
      return prepared(vip, createDicomVip, { ...options, egress }, { egress: undefined });
    }
    case 'hl7':
      return prepared(vip, createHl7FrontEnd, { ...common, ...hl7Options(vip, surroundings) });
    case 'http':
      return prepared(vip, createHttpFrontEnd, {
        ...common,
        ...httpOptions(vip, surroundings.configuration),
      });
    case 'tcp':
      return prepared(vip, createTcpFrontEnd, { ...common, ...vip.tcp });
  }
}

function prepared<
  Options extends { readonly listeners: readonly Listener[]; readonly queue?: Queue | undefined },
>(
  { name, protocol }: ProxyVip,
  create: (options: Options) => FrontEnd<Options>,
  options: Options,
  /** What else goes when its listeners do. */
  without: Partial<Options> = {},
): PreparedFrontEnd {
  return {
    name,
    protocol,
    queue: options.queue,
    create: () => create(options) as FrontEnd,
    reconfigure: (frontEnd) => frontEnd.reconfigure(options),
    disown: (frontEnd) => frontEnd.reconfigure({ ...options, ...without, listeners: [] }),
  };
}

function commonOptions(
  vip: ProxyVip,
  listeners: readonly Listener[],
  { configuration, assembly, clientSource, deadlines, now }: FrontEndSurroundings,
) {
  return {
    vip: vip.name,
    listeners,
    entrance: entranceOf(vip, deadlines),
    director: assembly.directors.get(vip.name)!,
    pools: poolsOf(vip, assembly),
    links: linksOf(vip, configuration, clientSource),
    deadlines,
    now,
  };
}

/** How servers are reached, by their pool. Where connections come from is the VIP's to say: pools are shared. */
function linksOf(
  { source: from }: ProxyVip,
  { pools }: Configuration,
  clientSource: ClientSource,
): ReadonlyMap<string, ServerLink> {
  const own = from === undefined ? undefined : { address: from };
  const source = from === 'client' ? { ofClients: clientSource } : own;
  return new Map(pools.map(({ name, link }) => [name, source ? { ...link, source } : link]));
}

function entranceOf(vip: ProxyVip, deadlines: Deadlines): Entrance {
  const { name, tls, proxyProtocol, trustedProxies, handshakeTimeout } = vip;
  const alpn = vip.protocol === 'http' ? ['h2', 'http/1.1'] : undefined;
  const from = trustedProxies.length === 0 ? () => true : isIn(trustedProxies);
  return {
    vip: name,
    tls: tls && createTlsIdentity({ ...tls, alpn }),
    plain: beginningOf(vip),
    proxyProtocol: proxyProtocol ? { from } : undefined,
    handshakeTimeout,
    deadlines,
  };
}

/** The first byte of TLS (RFC 8446 5.1). */
const TLS_HANDSHAKE = 0x16;

/** What a client that speaks no TLS sends first, where that is sure. */
function beginningOf(vip: ProxyVip): Entrance['plain'] {
  switch (vip.protocol) {
    case 'dicom':
      return { protocol: 'DICOM', firstByte: PDU.A_ASSOCIATE_RQ };
    case 'hl7':
      return vip.hl7.startBlock === TLS_HANDSHAKE
        ? undefined
        : { protocol: 'HL7', firstByte: vip.hl7.startBlock };
    default:
      return undefined;
  }
}

/** Does an address lie in one of these networks? */
function isIn(networks: readonly string[]): (address: string) => boolean {
  const tests = networks.map(compileNetwork);
  return (address) => tests.some((test) => test(address));
}

type Own<Options> = Omit<Options, keyof ReturnType<typeof commonOptions>>;

function dicomOptions(vip: DicomVip, assembly: Assembly): Own<DicomFrontEndOptions> {
  const { limits, pool, dicom, urgent } = vip;
  const { route, wait, whenUnavailable, ignoreCase, timeouts } = dicom;
  const orders = urgent.fromOrders.flatMap((name) => assembly.statOrders.get(name) ?? []);
  return {
    pool: assembly.pools.get(pool ?? ''),
    limits,
    wait,
    isUrgentOrder: (accession, study) => orders.some((known) => known.isUrgent(accession, study)),
    whenUnavailable,
    ignoreCase,
    study: route === 'study' ? studyRouting(vip, assembly) : undefined,
    timeouts,
  };
}

function studyRouting(vip: DicomVip, { tables }: Assembly): StudyRouting {
  const { storage, replay, tags, egress } = vip.dicom;
  const table = (what: string) => tables.get(`${what} ${affinityOwner(vip)}`)!;
  const affinity = createAffinity({
    objects: table('objects'),
    instances: table('instances'),
    transactions: table('transactions'),
    storage,
    hasEgress: egress !== undefined,
    randomBytes,
  });
  return { storage, replay, tags: tags.map(tagOf), affinity };
}

/** A tag that the configuration was checked for. */
function tagOf(written: string): number {
  return parseTag(written)!;
}

/** Of the front-end for what servers begin: in plain DICOM, whatever clients speak, and with no limits. */
function egressOptions(
  vip: DicomVip,
  options: DicomFrontEndOptions,
  listeners: readonly Listener[],
): DicomFrontEndOptions {
  return {
    ...options,
    ...createDestinations(vip, options.now),
    listeners,
    entrance: { ...options.entrance, tls: undefined, proxyProtocol: undefined },
    study: options.study && studyRoutingOfEgress(options.study),
    links: new Map(),
    pool: undefined,
    whenUnavailable: 'reject',
    limits: { associations: undefined, perCalling: undefined, perServer: undefined },
    wait: 0,
  };
}

/** Only reports on commitments have to be looked into; instances are relayed as fast as they come. */
function studyRoutingOfEgress({ affinity, ...study }: StudyRouting): StudyRouting {
  return { ...study, affinity: affinity && affinityOfEgress(affinity), onlyFor: STORAGE_COMMITMENT };
}

function hl7Options(
  { name, routes, hl7 }: Hl7Vip,
  { configuration, assembly, queueOf }: FrontEndSurroundings,
): Own<Hl7FrontEndOptions> {
  const ofRules = routes.flatMap(({ onAmbiguous }, index) =>
    onAmbiguous === undefined ? [] : [[`routes[${index + 1}]`, onAmbiguous] as const],
  );
  return {
    hl7: { ...hl7, accession: hl7.accession.map(fieldPath) },
    onAmbiguousByRule: Object.fromEntries(ofRules),
    connections: Object.fromEntries(configuration.pools.map((pool) => [pool.name, pool.hl7.connections])),
    release2Pools: new Set(configuration.pools.flatMap((pool) => (pool.hl7.release2 ? [pool.name] : []))),
    orderMemory: assembly.orderMemories.get(name),
    statOrders: assembly.statOrders.get(name),
    queue: queueOf(name),
  };
}

function httpOptions(vip: HttpVip, configuration: Configuration): Own<HttpFrontEndOptions> {
  const { actions, headers, forwarded, limits, timeouts } = vip.http;
  return {
    actions: actions.map(({ paths, rewrite, redirect, respond }, index) => ({
      rewrite: rewrite === undefined ? undefined : compileRewrite(paths, rewrite),
      ...(redirect && { redirect: { ...redirect, to: compileRedirect(paths, redirect.to) } }),
      ...(respond && { respond }),
      reject: Number(vip.routes[index]!.reject) || undefined,
    })),
    headers,
    forwarded,
    trusts: isIn(vip.trustedProxies),
    cookieKey: cookieKeyOf(vip, configuration),
    limits,
    timeouts,
  };
}

/** Of cookies whose configuration names no key; a new one with each start. */
const ownCookieKey = randomBytes(32);

/** The key of a VIP's cookies: its own, or that of the first of its pools that names one. */
function cookieKeyOf(vip: HttpVip, { pools }: Configuration): Buffer {
  const names = poolNamesOf(vip);
  const all = [vip, ...pools.filter(({ name }) => names.has(name))];
  const key = all.map(({ persistence }) => persistence?.cookie?.key).find((one) => one !== undefined);
  return key === undefined ? ownCookieKey : Buffer.from(key);
}
