/**
 * Loads of the four protocols that go on while somebody changes the balancer: real programs and strict little clients.
 * Each counts what it did, and names whatever did not go as it should.
 */
import { createHash } from 'node:crypto';
import { connect } from 'node:net';
import WebSocket from 'ws';
import { storescu } from '../peers/dcmtk.ts';
import { fieldOf, hl7Message } from '../peers/hl7-messages.ts';
import { connectSender } from '../peers/mllp-peer.ts';
import { runProgram } from '../peers/processes.ts';
import type { Address } from '../peers/test-connection.ts';

export interface LoadResult {
  readonly name: string;
  /** What one piece of work is called: `associations`, `messages`, … */
  readonly unit: string;
  readonly done: number;
  /** A sentence for each thing that failed. */
  readonly failures: readonly string[];
}

export interface Load {
  /** Finishes what is in hand, and tells. */
  stop(): Promise<LoadResult>;
}

/** `worker` does one piece of work again and again; it throws when one fails, and goes on with the next. */
function repeat(name: string, unit: string, workers: number, worker: (index: number) => Work): Load {
  let over = false;
  let done = 0;
  const failures: string[] = [];
  const running = Array.from({ length: workers }, async (_, index) => {
    let work: Work | undefined;
    while (!over) {
      try {
        work ??= worker(index);
        done += await work.once();
      } catch (error) {
        failures.push((error as Error).message);
        await work?.end?.();
        work = undefined;
      }
    }
    await work?.end?.();
  });
  return {
    async stop() {
      over = true;
      await Promise.all(running);
      return { name, unit, done, failures };
    },
  };
}

interface Work {
  /** Returns how many pieces of work that was. */
  once(): Promise<number>;
  end?(): void | Promise<void>;
}

/** storescu, one association after the other, each with all files. */
export function storeAssociations(to: Address, files: readonly string[], workers: number): Load {
  return repeat('storescu', 'associations', workers, () => ({
    async once() {
      const { code, output } = await storescu(to, files, { called: 'ARCHIVE' });
      if (code !== 0) throw new Error(`storescu ended with ${code}: ${output.slice(0, 300)}`);
      return 1;
    },
  }));
}

/** Senders that keep their connection for as long as it lives, and wait for each acknowledgement. */
export function sendMessages(to: Address, senders: number, sent: Map<string, string>): Load {
  let number = 0;
  return repeat('HL7 senders', 'messages', senders, (index) => {
    const sender = connectSender(to);
    // Whoever waits for it hears of it.
    sender.catch(() => {});
    return {
      async once() {
        const controlId = `C${number++}`;
        const patient = `INV${index}-${number % 5}`;
        const bytes = hl7Message({ controlId, sendingApp: `SENDER${index}`, patient, length: 400 });
        const answer = await (await sender).send(bytes);
        if (!answer) throw new Error(`the connection ended instead of the answer to ${controlId}`);
        const said = `${fieldOf(answer, 'MSA', 1)} ${fieldOf(answer, 'MSA', 2)}`;
        if (said !== `AA ${controlId}`) throw new Error(`"${said}" came as the answer to ${controlId}`);
        sent.set(controlId, createHash('sha256').update(bytes).digest('hex'));
        return 1;
      },
      end: async () => (await sender.catch(() => undefined))?.end(),
    };
  });
}

/** wrk, two seconds at a time. */
export function keepAliveRequests(url: string, connections: number): Load {
  return repeat('wrk', 'requests', 1, () => ({
    async once() {
      const { code, output } = await runProgram('wrk', [
        ...['-t1', `-c${connections}`, '-d2s', '--timeout', '10s'],
        url,
      ]);
      const trouble = output.split('\n').filter((line) => /Socket errors|Non-2xx/.test(line));
      if (code !== 0 || trouble.length > 0) throw new Error(`wrk: ${code} ${trouble.join(' ')}`);
      return Number(/(\d+) requests in/.exec(output)?.[1]);
    },
  }));
}

/** h2load over TLS with HTTP/2, two seconds at a time. */
export function http2Requests(url: string, clients: number): Load {
  return repeat('h2load', 'requests', 1, () => ({
    async once() {
      const { code, output } = await runProgram('h2load', ['-D2', `-c${clients}`, '-m4', url]);
      const counts = /requests: .* (\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout/.exec(output);
      const [, succeeded, failed, errored, timeout] = (counts ?? []).map(Number);
      if (code !== 0 || !succeeded || failed || errored || timeout)
        throw new Error(`h2load: ${code} ${counts?.[0] ?? output.slice(-300)}`);
      return succeeded;
    },
  }));
}

/** A WebSocket for as long as it lives; each message must come back before the next one goes. */
export function webSocketMessages(url: string, ca: string, sockets: number): Load {
  return repeat('WebSockets', 'messages', sockets, (index) => {
    const socket = new WebSocket(url, { ca });
    let answer: ((text: string) => void) | undefined;
    const ended = new Promise<never>((_, reject) => {
      socket.on('close', (code) => reject(new Error(`a WebSocket was closed: ${code}`)));
      socket.on('error', reject);
    });
    ended.catch(() => {});
    socket.on('message', (data: Buffer) => answer?.(data.toString()));
    const opened = new Promise((resolve) => socket.on('open', resolve));
    let number = 0;
    return {
      async once() {
        await Promise.race([opened, ended]);
        const text = `${index}:${number++}`;
        const back = new Promise<string>((resolve) => {
          answer = resolve;
        });
        socket.send(text);
        const said = await Promise.race([back, ended]);
        if (said !== text) throw new Error(`"${said}" came back over a WebSocket instead of "${text}"`);
        return 1;
      },
      end: () => socket.close(),
    };
  });
}

/** A TCP connection for as long as it lives; what is sent must come back, byte for byte. */
export function tcpEchoes(to: Address, connections: number): Load {
  return repeat('TCP', 'echoes', connections, (index) => {
    const socket = connect(to.port, to.host);
    let got = Buffer.alloc(0);
    let look = () => {};
    const ended = new Promise<never>((_, reject) => {
      socket.on('close', () => reject(new Error('a TCP connection was closed')));
      socket.on('error', reject);
    });
    ended.catch(() => {});
    socket.on('data', (chunk: Buffer) => {
      got = Buffer.concat([got, chunk]);
      look();
    });
    let number = 0;
    return {
      async once() {
        const bytes = Buffer.alloc(1000 + ((number++ * 997) % 20_000), `${index}:${number} `);
        const back = new Promise<void>((resolve) => {
          look = () => {
            if (got.length >= bytes.length) resolve();
          };
        });
        socket.write(bytes);
        await Promise.race([back, ended]);
        if (!got.equals(bytes)) throw new Error('other bytes came back over TCP');
        got = Buffer.alloc(0);
        return 1;
      },
      end: () => void socket.destroy(),
    };
  });
}
