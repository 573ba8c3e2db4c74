/** nginx as a web server behind the balancer, on a configuration and folder of the test's own. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort, type PeerProcess, startProgram, waitForPort } from './processes.ts';
import type { Address } from './test-connection.ts';

export interface NginxOptions {
  /** Lines of its `server` block. Without any: every request is answered with the server's name. */
  readonly server?: string;
  /** To come back where it was. */
  readonly port?: number;
  /** PEM, to speak TLS. */
  readonly certificate?: { readonly cert: string; readonly key: string };
}

export interface Nginx {
  readonly name: string;
  readonly address: Address;
  readonly endpoint: string;
  readonly process: PeerProcess;
  /** Where files that it serves (`root`) may be put. */
  readonly folder: string;
  /** SIGKILL unless said otherwise; its workers too. */
  stop(signal?: NodeJS.Signals): Promise<void>;
}

export async function startNginx(name: string, options: NginxOptions = {}): Promise<Nginx> {
  const port = options.port ?? (await freePort());
  const folder = mkdtempSync(join(tmpdir(), 'gantry-nginx-'));
  for (const part of ['body', 'proxy', 'html']) mkdirSync(join(folder, part));
  const { certificate } = options;
  if (certificate) {
    writeFileSync(join(folder, 'cert.pem'), certificate.cert);
    writeFileSync(join(folder, 'key.pem'), certificate.key);
  }
  const tls = certificate && `ssl_certificate ${folder}/cert.pem; ssl_certificate_key ${folder}/key.pem;`;
  // Its workers would be nobody, who may not read the folder.
  const asRoot = globalThis.process.getuid?.() === 0 ? 'user root;\n' : '';
  const server = options.server ?? `location / { add_header X-Server ${name}; return 200 "${name}\n"; }`;
  const file = join(folder, 'nginx.conf');
  writeFileSync(
    file,
    `${asRoot}worker_processes 1;
pid ${folder}/pid;
error_log ${folder}/error.log;
daemon off;
events { worker_connections 1024; }
http {
  access_log off;
  default_type text/plain;
  client_body_temp_path ${folder}/body;
  proxy_temp_path ${folder}/proxy;
  fastcgi_temp_path ${folder}/proxy;
  uwsgi_temp_path ${folder}/proxy;
  scgi_temp_path ${folder}/proxy;
  keepalive_requests 1000000;
  client_max_body_size 0;
  server {
    listen 127.0.0.1:${port}${certificate ? ' ssl' : ''};
    root ${folder}/html;
    ${tls ?? ''}
    ${server}
  }
}
`,
  );
  const process = startProgram('nginx', ['-p', folder, '-e', join(folder, 'error.log'), '-c', file]);
  await waitForPort(port, process);
  return {
    name,
    address: { host: '127.0.0.1', port },
    endpoint: `127.0.0.1:${port}`,
    process,
    folder: join(folder, 'html'),
    async stop(signal = 'SIGKILL') {
      await process.stop(signal);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
