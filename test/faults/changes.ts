/**
 * Changes under load: while associations, messages, requests, WebSockets and TCP connections run through a balancer, it
 * is reloaded, drained, weighted and given new certificates at random. Nothing may fail, be cut or be lost.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { createAuthority } from '../peers/certificates.ts';
import { writeInstances } from '../peers/dicom-files.ts';
import { type GantryProcess, type LogLine, startGantry } from '../peers/gantry-process.ts';
import { freePort } from '../peers/processes.ts';
import { randomFrom } from '../peers/random.ts';
import {
  http2Requests,
  keepAliveRequests,
  type Load,
  type LoadResult,
  sendMessages,
  storeAssociations,
  tcpEchoes,
  webSocketMessages,
} from './loads.ts';
import { type Endpoints, startServers, writeCertificate } from './surroundings.ts';

export interface ChangesOptions {
  readonly changes: number;
  /** The same seed makes the same changes. */
  readonly seed: number;
  /** Milliseconds between two changes. */
  readonly pause: number;
  /** Told what happens. */
  readonly print: (line: string) => void;
}

export interface ChangesResult {
  /** What was done, in order. */
  readonly changes: readonly string[];
  readonly loads: readonly LoadResult[];
  /** DICOM associations that the balancer's log says did not end by release. */
  readonly cutAssociations: number;
  /** Messages that were acknowledged, and that no receiver has. */
  readonly lostMessages: number;
  /** Messages that a receiver has twice. */
  readonly doubledMessages: number;
  /** Errors in the balancer's log. */
  readonly errors: readonly string[];
  readonly exitCode: number | null;
}

/** Everything about the configuration that changes. */
interface Shape {
  weights: Record<string, number>;
  balance: Record<string, string>;
  /** A pool whose last server is left out. */
  without: string | undefined;
  extraRule: boolean;
  extraVip: boolean;
  idle: number;
}

const HOST = 'gantry.test';
const POOLS = ['archive', 'ris', 'web', 'chat', 'raw'] as const;

export async function runChanges(options: ChangesOptions): Promise<ChangesResult> {
  const { changes: count, seed, print } = options;
  const folder = mkdtempSync(join(tmpdir(), 'gantry-changes-'));
  const random = randomFrom(seed);
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)]!;
  const servers = await startServers(folder);
  const authority = await createAuthority();
  const renew = async () => writeCertificate(folder, await authority.issue({ names: [HOST, '127.0.0.1'] }));
  await renew();
  const ports = {
    admin: await freePort(),
    dicom: await freePort(),
    hl7: await freePort(),
    http: await freePort(),
    https: await freePort(),
    raw: await freePort(),
    extra: await freePort(),
  };
  const shape: Shape = {
    weights: {},
    balance: {},
    without: undefined,
    extraRule: false,
    extraVip: false,
    idle: 60,
  };
  const file = join(folder, 'gantry.yaml');
  const write = () => writeFileSync(file, configurationOf(servers.endpoints, ports, shape));
  write();
  let gantry: GantryProcess | undefined;
  let loads: readonly Load[] = [];
  const done: string[] = [];
  try {
    gantry = await startGantry(file);
    const at = (port: number) => ({ host: '127.0.0.1', port });
    const instances = writeInstances(join(folder, 'instances'), 40, 64);
    const sent = new Map<string, string>();
    loads = [
      storeAssociations(
        at(ports.dicom),
        instances.map(({ path }) => path),
        3,
      ),
      sendMessages(at(ports.hl7), 6, sent),
      keepAliveRequests(`http://127.0.0.1:${ports.http}/`, 8),
      http2Requests(`https://127.0.0.1:${ports.https}/`, 2),
      webSocketMessages(`wss://127.0.0.1:${ports.https}/chat/`, authority.ca, 6),
      tcpEchoes(at(ports.raw), 6),
    ];

    const out = new Set<string>();
    const serversOf = (pool: (typeof POOLS)[number]) => servers.endpoints[pool];
    const call = async (method: string, path: string, body?: object) => {
      const answer = await fetch(`http://127.0.0.1:${ports.admin}/api/v1/${path}`, {
        method,
        ...(body && { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
      });
      if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
    };
    const serverPath = (name: string) => {
      const [pool, endpoint] = name.split(' ');
      return `pools/${pool}/servers/${encodeURIComponent(endpoint!)}`;
    };
    const reload = async (how: 'SIGHUP' | 'API') => {
      if (how === 'API') return call('POST', 'reload');
      const before = gantry!.log.length;
      gantry!.signal('SIGHUP');
      const isAnswer = (line: LogLine) => line.msg === 'reloaded' || line.msg === 'not reloaded';
      const { msg } = await gantry!.log.find(
        (line) => isAnswer(line) && gantry!.log.items.indexOf(line) >= before,
      );
      if (msg !== 'reloaded') throw new Error('the balancer did not reload');
    };
    const kinds: Readonly<Record<string, () => Promise<string>>> = {
      async drain() {
        const free = POOLS.filter(
          (pool) => pool !== shape.without && ![...out].some((name) => name.startsWith(`${pool} `)),
        );
        const [back] = out;
        if (free.length === 0 || (back && random() < 0.5)) {
          out.delete(back!);
          await call('POST', `${serverPath(back!)}/online`);
          return `online ${back}`;
        }
        const pool = pick(free);
        const name = `${pool} ${pick(serversOf(pool).slice(0, -1))}`;
        out.add(name);
        const strict = random() < 0.3;
        await call('POST', `${serverPath(name)}/drain${strict ? '?strict=true' : ''}`);
        return `drain ${name}${strict ? ' strictly' : ''}`;
      },
      async weight() {
        const pool = pick(POOLS);
        const name = `${pool} ${serversOf(pool)[0]}`;
        const weight = 1 + Math.floor(random() * 5);
        await call('PATCH', serverPath(name), { weight });
        return `weight of ${name} ${weight}`;
      },
      async certificate() {
        await renew();
        await reload(pick(['SIGHUP', 'API']));
        return 'certificate';
      },
      async reload() {
        const what = reshape(shape, pick, random, out, servers.endpoints);
        write();
        const how = pick(['SIGHUP', 'API'] as const);
        await reload(how);
        return `reload by ${how}: ${what}`;
      },
      async 'faulty reload'() {
        writeFileSync(file, `${configurationOf(servers.endpoints, ports, shape)}\nnonsense: true\n`);
        const answer = await fetch(`http://127.0.0.1:${ports.admin}/api/v1/reload`, { method: 'POST' });
        if (answer.status !== 422) throw new Error(`a faulty reload was answered with ${answer.status}`);
        write();
        return 'a faulty reload, refused';
      },
    };
    const names = ['reload', 'reload', 'drain', 'drain', 'weight', 'certificate', 'faulty reload'];
    for (let index = 0; index < count; index++) {
      await pause(options.pause);
      const what = await kinds[pick(names)]!();
      done.push(what);
      print(`${index + 1}/${count} ${what}`);
    }
    await pause(options.pause);
    const running = loads;
    loads = [];
    const results = await Promise.all(running.map((load) => load.stop()));
    const exitCode = await gantry.end();
    const log = gantry.log.items;
    return {
      changes: done,
      loads: results,
      cutAssociations: log.filter(({ msg, end }) => msg === 'association' && end !== 'release').length,
      ...compareLedgers(servers.ledgers, sent),
      errors: log
        .filter(({ level, msg }) => level === 'error' && msg !== 'not reloaded' && !isFaultLine(msg))
        .map((line) => JSON.stringify(line)),
      exitCode,
    };
  } finally {
    // After something went wrong they still run.
    const stopped = loads.map((load) => load.stop());
    await gantry?.kill();
    await Promise.all(stopped);
    await servers.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

const isFaultLine = (message: unknown) => message === 'a fault of the configuration';

function compareLedgers(ledgers: readonly string[], sent: ReadonlyMap<string, string>) {
  const got = ledgers
    .flatMap((ledger) => readFileSync(ledger, 'utf8').split('\n'))
    .filter((line) => line.startsWith('got '))
    .map((line) => line.split(' ').slice(1, 3).join(' '));
  const all = new Set(got);
  const lost = [...sent].filter(([controlId, hash]) => !all.has(`${controlId} ${hash}`));
  return { lostMessages: lost.length, doubledMessages: got.length - all.size };
}

/** Changes one thing of the configuration; says what. */
function reshape(
  shape: Shape,
  pick: <T>(list: readonly T[]) => T,
  random: () => number,
  out: ReadonlySet<string>,
  endpoints: Endpoints,
): string {
  const pool = pick(POOLS);
  switch (Math.floor(random() * 6)) {
    case 0: {
      const weight = 1 + Math.floor(random() * 5);
      shape.weights[endpoints[pool].at(-1)!] = weight;
      return `a weight in ${pool} is ${weight}`;
    }
    case 1:
      shape.balance[pool] = pick(['least-busy', 'round-robin', 'random-two', 'hash']);
      return `${pool} balances by ${shape.balance[pool]}`;
    case 2: {
      const free = POOLS.filter((one) => ![...out].some((name) => name.startsWith(`${one} `)));
      shape.without = shape.without || free.length === 0 ? undefined : pick(free);
      return shape.without ? `${shape.without} loses its last server` : 'every pool has all its servers';
    }
    case 3:
      shape.extraRule = !shape.extraRule;
      return `rules ${shape.extraRule ? 'come' : 'go'}`;
    case 4:
      shape.extraVip = !shape.extraVip;
      return `a VIP ${shape.extraVip ? 'comes' : 'goes'}`;
    default:
      shape.idle = 30 + Math.floor(random() * 60);
      return `idle time-outs of ${shape.idle}s`;
  }
}

type Ports = Readonly<Record<'admin' | 'dicom' | 'hl7' | 'http' | 'https' | 'raw' | 'extra', number>>;

function configurationOf(endpoints: Endpoints, ports: Ports, shape: Shape): string {
  const pools = POOLS.map((name) => {
    const present = shape.without === name ? endpoints[name].slice(0, -1) : endpoints[name];
    const servers = present.map(
      (address) => `{ address: "${address}", weight: ${shape.weights[address] ?? 1} }`,
    );
    const health = name === 'archive' ? 'dicom-echo, called: ARCHIVE' : 'connect';
    const check = `{ check: ${health}, interval: 1s }`;
    const cookie = name === 'web' ? ', persistence: { by: cookie, name: SRV }' : '';
    return `  ${name}: { servers: [${servers.join(', ')}], balance: ${shape.balance[name] ?? 'least-busy'}, health: ${check}${cookie} }`;
  });
  const extra = (rule: string) => (shape.extraRule ? rule : '[]');
  const web = `routes: [{ when: { path: "/chat/*" }, pool: chat, rewrite: { path: "/$1" } }]
    pool: web
    timeouts: { idle: ${shape.idle}s }`;
  return `version: 1
admin: { listen: "127.0.0.1:${ports.admin}" }
timeouts: { drain: 30s }
pools:
${pools.join('\n')}
vips:
  ARCHIVE:
    protocol: dicom
    listen: "127.0.0.1:${ports.dicom}"
    pool: archive
    persistence: calling
    routes: ${extra('[{ when: { called: NOBODY }, reject: called-ae-not-recognized }]')}
  RIS:
    protocol: hl7
    listen: "127.0.0.1:${ports.hl7}"
    pool: ris
    persistence: patient
    routes: ${extra('[{ when: { type: QRY }, pool: ris }]')}
  WEB:
    protocol: http
    listen: "127.0.0.1:${ports.http}"
    ${web}
  WEBS:
    protocol: http
    listen: "127.0.0.1:${ports.https}"
    tls: { cert: "file:server.pem", key: "file:server.key" }
    ${web}
  RAW:
    protocol: tcp
    listen: "127.0.0.1:${ports.raw}"
    pool: raw
    persistence: source-ip
${shape.extraVip ? `  EXTRA: { protocol: tcp, listen: "127.0.0.1:${ports.extra}", pool: raw }\n` : ''}`;
}
