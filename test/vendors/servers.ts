/** The servers of a vendor system, in a network namespace: real programs where there are some, an echo otherwise. */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Certificate } from '../peers/certificates.ts';
import type { NamespaceAgent } from '../peers/namespace-agent.ts';
import type { Namespace } from '../peers/namespaces.ts';
import type { PeerProcess } from '../peers/processes.ts';
import type { Layout, Service } from './plan.ts';

export interface VendorServer {
  readonly name: string;
  readonly namespace: Namespace;
  /** Has the instance with this UID come, at this port? */
  hasStored(port: number, sopInstance: string): boolean;
  /** Its web pages answer with 200 or 503 where they are asked for health. */
  setPages(scheme: 'http' | 'https', isWell: boolean): void;
  setPing(isWell: boolean): Promise<void>;
  /** Kills every program. */
  kill(): Promise<void>;
  /** Starts them; resolves when every port listens. */
  start(): Promise<void>;
}

export const WORKLIST_AE = 'WORKLIST';
export const ARCHIVE_AE = 'ARCHIVE';
/** Debian's own, which has Debian's packages. */
const PYTHON = '/usr/bin/python3';
const HL7_RECEIVER = fileURLToPath(new URL('./hl7-receiver.py', import.meta.url));
/** Where nginx leaves WebSockets, inside the namespace. */
const WEB_SOCKET_PORT = 19_999;

export interface ServerOptions {
  readonly name: string;
  readonly namespace: Namespace;
  readonly layout: Layout;
  /** Paths that health checks ask for. */
  readonly healthPaths: ReadonlySet<string>;
  readonly certificate: Certificate;
  /** A folder of its own. */
  readonly folder: string;
}

export function createServer({ name, namespace, layout, ...options }: ServerOptions): VendorServer {
  const { certificate, healthPaths, folder } = options;
  const sick = join(folder, 'sick');
  const running: { stop(): Promise<void> }[] = [];
  const portsOf = (...services: readonly Service[]) =>
    Object.keys(layout)
      .map(Number)
      .filter((port) => services.includes(layout[port]!));
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'cert.pem'), certificate.cert);
  writeFileSync(join(folder, 'key.pem'), certificate.key);
  const keep = (process: PeerProcess) => running.push(process);
  const nginxFile = writeNginx(folder, name, portsOf('http'), portsOf('https'), healthPaths, sick);
  const storeFolder = (port: number) => join(folder, `store-${port}`);
  for (const port of portsOf('store', 'store-tls')) mkdirSync(storeFolder(port), { recursive: true });
  const archives = portsOf('archive').map((port) => writeArchive(folder, port));
  if (portsOf('worklist').length > 0) writeWorklistFolder(folder);

  const startAgent = async (): Promise<NamespaceAgent> => {
    const agent = await namespace.startAgent();
    running.push(agent);
    await Promise.all([
      agent.ask('listenEcho', { name, ports: portsOf('echo') }),
      agent.ask('listenWebSocket', { name, port: WEB_SOCKET_PORT }),
    ]);
    return agent;
  };
  return {
    name,
    namespace,
    hasStored(port, sopInstance) {
      if (layout[port] !== 'archive') {
        return readdirSync(storeFolder(port)).some((file) => file.includes(sopInstance));
      }
      const at = archiveFolder(folder, port);
      const files = readdirSync(at).filter((file) => file !== 'index.dat');
      // Another one's may be there in part only.
      return files.some((file) => readFileSync(join(at, file)).includes(sopInstance));
    },
    setPages(scheme, isWell) {
      if (isWell) rmSync(`${sick}-${scheme}`, { force: true });
      else writeFileSync(`${sick}-${scheme}`, '');
    },
    setPing: (isWell) => namespace.sysctl(`net.ipv4.icmp_echo_ignore_all=${isWell ? 0 : 1}`),
    async kill() {
      await Promise.all(running.splice(0).map((one) => one.stop()));
    },
    async start() {
      keep(namespace.start('nginx', ['-p', folder, '-e', join(folder, 'error.log'), '-c', nginxFile]));
      for (const port of portsOf('store')) {
        keep(namespace.start('storescp', ['-q', '+B', '-od', storeFolder(port), '--fork', String(port)]));
      }
      for (const port of portsOf('store-tls')) {
        const tls = ['+tls', join(folder, 'key.pem'), join(folder, 'cert.pem'), '-ic'];
        keep(
          namespace.start('storescp', ['-q', '+B', '-od', storeFolder(port), '--fork', ...tls, String(port)]),
        );
      }
      for (const file of archives) keep(namespace.start('dcmqrscp', ['-q', '-c', file]));
      if (portsOf('worklist').length > 0) await writeWorklist(namespace, folder, name);
      for (const port of portsOf('worklist')) {
        keep(namespace.start('wlmscpfs', ['-q', '-dfp', join(folder, 'worklists'), String(port)]));
      }
      const hl7 = portsOf('hl7').map(String);
      if (hl7.length > 0) keep(namespace.start(PYTHON, [HL7_RECEIVER, name, ...hl7]));
      const agent = await startAgent();
      await agent.ask('listening', { host: namespace.address, ports: Object.keys(layout).map(Number) });
    },
  };
}

/** Every answer tells who gave it, and what he saw. WebSockets go to the agent. */
function writeNginx(
  folder: string,
  name: string,
  plain: readonly number[],
  tls: readonly number[],
  healthPaths: ReadonlySet<string>,
  sick: string,
): string {
  for (const part of ['body', 'proxy']) mkdirSync(join(folder, part), { recursive: true });
  const answer = JSON.stringify({
    server: name,
    local: '$server_addr:$server_port',
    remote: '$remote_addr:$remote_port',
    uri: '$request_uri',
  });
  const listens = [...plain.map((port) => `${port}`), ...tls.map((port) => `${port} ssl`)];
  const file = join(folder, 'nginx.conf');
  writeFileSync(
    file,
    `user root;
worker_processes 1;
pid ${folder}/pid;
error_log ${folder}/error.log;
daemon off;
events { worker_connections 1024; }
http {
  access_log off;
  default_type application/json;
  client_body_temp_path ${folder}/body;
  proxy_temp_path ${folder}/proxy;
  fastcgi_temp_path ${folder}/proxy;
  uwsgi_temp_path ${folder}/proxy;
  scgi_temp_path ${folder}/proxy;
  ssl_certificate ${folder}/cert.pem;
  ssl_certificate_key ${folder}/key.pem;
  server {
    ${listens.map((listen) => `listen ${listen};`).join(' ')}
    ${listens.length === 0 ? 'listen 127.0.0.1:19998;' : ''}
    error_page 418 = @socket;
    ${[...healthPaths].map((path) => `location = ${path} { if (-f ${sick}-$scheme) { return 503; } return 200 '${answer}'; }`).join('\n    ')}
    location / { if ($http_upgrade) { return 418; } return 200 '${answer}'; }
    location @socket {
      proxy_pass http://127.0.0.1:${WEB_SOCKET_PORT};
      proxy_http_version 1.1;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection upgrade;
    }
  }
}
`,
  );
  return file;
}

function archiveFolder(folder: string, port: number): string {
  return join(folder, `archive-${port}`);
}

function writeArchive(folder: string, port: number): string {
  const storage = archiveFolder(folder, port);
  mkdirSync(storage, { recursive: true });
  const file = join(folder, `archive-${port}.cfg`);
  const lines = [
    `NetworkTCPPort = ${port}`,
    'MaxPDUSize = 16384',
    'MaxAssociations = 16',
    'HostTable BEGIN',
    'HostTable END',
    'VendorTable BEGIN',
    'VendorTable END',
    'AETable BEGIN',
    `${ARCHIVE_AE} ${storage} RW (200, 1024mb) ANY`,
    'AETable END',
  ];
  writeFileSync(file, `${lines.join('\n')}\n`);
  return file;
}

function writeWorklistFolder(folder: string): void {
  const place = join(folder, 'worklists', WORKLIST_AE);
  mkdirSync(place, { recursive: true });
  writeFileSync(join(place, 'lockfile'), '');
}

/** One item: a procedure that nobody ordered, at a station named for the server. */
async function writeWorklist(namespace: Namespace, folder: string, name: string): Promise<void> {
  const dump = join(folder, 'item.dump');
  writeFileSync(
    dump,
    `(0008,0050) SH INVENTED
(0010,0010) PN INVENTED^PERSON
(0010,0020) LO INV0001
(0020,000d) UI 1.2.276.0.7230010.3.2.101
(0032,1060) LO INVENTED
(0040,0100) SQ
(fffe,e000) -
(0008,0060) CS MR
(0040,0001) AE STATION
(0040,0002) DA 20261122
(0040,0003) TM 120000
(0040,0007) LO INVENTED
(0040,0009) SH STEP
(0040,0010) SH ${name}
(fffe,e00d) -
(fffe,e0dd) -
(0040,1001) SH INVENTED
`,
  );
  await namespace.must('dump2dcm', [dump, join(folder, 'worklists', WORKLIST_AE, 'item.wl')]);
}
