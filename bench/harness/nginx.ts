/** nginx as the server behind what is measured: one worker, small answers from memory. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Running, start, untilListening } from './processes.ts';

/** Answers every request with `body`. */
export async function startNginx(listen: number, body: string): Promise<Running> {
  const directory = await mkdtemp(join(tmpdir(), 'gantry-bench-'));
  const file = join(directory, 'nginx.conf');
  const configuration = `worker_processes 1;
daemon off;
pid ${directory}/pid;
error_log ${directory}/error.log;
events { worker_connections 4096; }
http {
  access_log off;
  keepalive_requests 1000000000;
  server {
    listen 127.0.0.1:${listen};
    location / { default_type text/plain; return 200 "${body}"; }
  }
}
`;
  await writeFile(file, configuration);
  const process = start('nginx', ['-p', directory, '-c', file]);
  await untilListening(listen);
  return {
    pid: process.pid,
    async stop() {
      await process.stop();
      await rm(directory, { recursive: true });
    },
  };
}
