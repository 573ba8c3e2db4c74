/**
 * A WebSocket through TLS that lives through a reload, a drain of the other server, and a change of certificate: every
 * message that is sent comes back.
 */
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { connect } from 'node:tls';
import WebSocket from 'ws';
import { createAuthority } from '../peers/certificates.ts';
import { startGantry } from '../peers/gantry-process.ts';
import { freePort } from '../peers/processes.ts';
import { startChat, writeCertificate } from './surroundings.ts';

export interface WebSocketOptions {
  readonly seconds: number;
  readonly print: (line: string) => void;
}

export interface WebSocketResult {
  readonly sent: number;
  readonly received: number;
  /** Sent and never come back, or come back out of order. */
  readonly lost: number;
  /** The WebSockets were open to the end. */
  readonly open: boolean;
  /** New connections were shown another certificate after the change. */
  readonly certificateChanged: boolean;
}

/** Of each of them a message so often, in milliseconds. */
const PERIOD_MS = 20;
const SOCKETS = 4;

export async function runWebSocket({ seconds, print }: WebSocketOptions): Promise<WebSocketResult> {
  const folder = mkdtempSync(join(tmpdir(), 'gantry-websocket-'));
  const authority = await createAuthority();
  const renew = async () => writeCertificate(folder, await authority.issue({ names: ['127.0.0.1'] }));
  await renew();
  const chats = [await startChat(), await startChat()];
  const [admin, port] = [await freePort(), await freePort()];
  const file = join(folder, 'gantry.yaml');
  const write = (idle: number, weight: number) =>
    writeFileSync(
      file,
      `version: 1
admin: { listen: "127.0.0.1:${admin}" }
timeouts: { drain: 2s }
pools:
  chat:
    servers:
      - { name: one, address: "${chats[0]!.endpoint}", weight: ${weight} }
      - { name: two, address: "${chats[1]!.endpoint}" }
    balance: first
    persistence: { by: cookie, name: CHAT }
vips:
  CHAT:
    protocol: http
    listen: "127.0.0.1:${port}"
    tls: { cert: "file:server.pem", key: "file:server.key" }
    timeouts: { idle: ${idle}s }
    pool: chat
`,
    );
  write(60, 1);
  const gantry = await startGantry(file);
  const call = async (path: string) => {
    const answer = await fetch(`http://127.0.0.1:${admin}/api/v1/${path}`, { method: 'POST' });
    if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
    print(path);
  };
  const fingerprint = async () => {
    const socket = connect({ port, host: '127.0.0.1', ca: authority.ca });
    await once(socket, 'secureConnect');
    const { fingerprint256 } = socket.getPeerCertificate();
    socket.destroy();
    return fingerprint256;
  };
  try {
    const first = await fingerprint();
    let [sent, received, lost] = [0, 0, 0];
    const sockets = await Promise.all(
      Array.from({ length: SOCKETS }, async () => {
        const socket = new WebSocket(`wss://127.0.0.1:${port}/`, { ca: authority.ca });
        let next = 0;
        let expected = 0;
        socket.on('message', (data: Buffer) => {
          if (Number(data.toString()) !== expected) lost++;
          expected++;
          received++;
        });
        await once(socket, 'open');
        const timer = setInterval(() => {
          if (socket.readyState !== WebSocket.OPEN) return;
          socket.send(String(next++));
          sent++;
        }, PERIOD_MS);
        return { socket, timer };
      }),
    );
    const quarter = (seconds * 1000) / 4;
    await pause(quarter);
    write(90, 3);
    await call('reload');
    await pause(quarter);
    await call('pools/chat/servers/two/drain');
    await pause(quarter);
    await renew();
    await call('reload');
    const second = await fingerprint();
    await pause(quarter);
    for (const { timer } of sockets) clearInterval(timer);
    const open = sockets.every(({ socket }) => socket.readyState === WebSocket.OPEN);
    // What is still on its way comes, unless it is lost.
    const patience = AbortSignal.timeout(20_000);
    while (received < sent && !patience.aborted) await pause(20);
    for (const { socket } of sockets) socket.close();
    return { sent, received, lost: lost + sent - received, open, certificateChanged: first !== second };
  } finally {
    await gantry.kill();
    for (const chat of chats) chat.close();
    rmSync(folder, { recursive: true });
  }
}
