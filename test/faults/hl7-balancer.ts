/** The balancer of the HL7 runs: a process that can be killed and comes back to the same port and the same files. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type GantryProcess, type LogLine, startGantry } from '../peers/gantry-process.ts';
import { freePort } from '../peers/processes.ts';
import type { Address } from '../peers/test-connection.ts';
import type { LedgerReceiver } from './hl7-receivers.ts';

export type Delivery = 'relay' | 'store';

export interface BalancerOptions {
  readonly delivery: Delivery;
  readonly receivers: readonly LedgerReceiver[];
  /** More keys of `vips.RIS.hl7`, as YAML: `key: value` each. */
  readonly hl7?: readonly string[];
  /** Outbound connections to each server, and messages at once on each. Default 8 and 1. */
  readonly connections?: number;
  readonly pipeline?: number;
  /** `maxConnections` of each server. */
  readonly most?: number;
}

export class Hl7Balancer {
  readonly address: Address;
  /** MSH-10 of messages of which its log says `maybe twice`, over all its lives. */
  readonly marks = new Set<string>();
  /** Lines of level error. */
  readonly errors: string[] = [];
  /** Rejects when it ends though nobody ended it. */
  readonly died: Promise<never>;
  readonly #file: string;
  readonly #die: (error: Error) => void;
  #gantry: GantryProcess | undefined;

  private constructor(file: string, port: number) {
    this.#file = file;
    this.address = { host: '127.0.0.1', port };
    const { promise, reject } = Promise.withResolvers<never>();
    this.died = promise;
    this.#die = reject;
    promise.catch(() => {});
  }

  static async start(folder: string, options: BalancerOptions): Promise<Hl7Balancer> {
    const port = await freePort();
    const file = join(folder, 'gantry.yaml');
    writeFileSync(file, configurationOf(folder, port, options));
    const balancer = new Hl7Balancer(file, port);
    await balancer.restart();
    return balancer;
  }

  async restart(): Promise<void> {
    const gantry = await startGantry(this.#file, (line) => this.#read(line));
    this.#gantry = gantry;
    void gantry.ended.then(({ code, complaints }) => {
      if (this.#gantry === gantry) this.#die(new Error(`the balancer ended with ${code}:\n${complaints}`));
    });
  }

  /** SIGKILL, if it is there. */
  async kill(): Promise<void> {
    const gantry = this.#gantry;
    this.#gantry = undefined;
    await gantry?.kill();
  }

  /** Sends SIGTERM; resolves with the exit code. */
  async end(): Promise<number | null> {
    const gantry = this.#gantry!;
    this.#gantry = undefined;
    return gantry.end();
  }

  /** Bytes that it has resident. */
  get memory(): number {
    return this.#gantry!.memory();
  }

  #read(text: string): void {
    if (text.includes('"outcome":"delivered"')) return;
    const { level, msg, controlId, outcome } = JSON.parse(text) as LogLine;
    if (level === 'error') this.errors.push(text);
    if (msg === 'message' && outcome === 'maybe twice') this.marks.add(String(controlId));
  }
}

function configurationOf(folder: string, port: number, options: BalancerOptions): string {
  const { delivery, receivers, hl7 = [], connections = 8, pipeline = 1, most } = options;
  const limit = most === undefined ? '' : `, maxConnections: ${most}`;
  const servers = receivers.map(({ name, endpoint }) => `{ name: ${name}, address: "${endpoint}"${limit} }`);
  const keys = [
    `delivery: ${delivery}`,
    `pipeline: ${pipeline}`,
    ...(delivery === 'store' ? [`queue: { file: ${join(folder, 'queue')}, size: 16GiB }`] : []),
    ...hl7,
  ];
  return `version: 1
admin: off
pools:
  ris:
    servers: [${servers.join(', ')}]
    hl7: { connections: ${connections} }
    health: { check: connect, interval: 200ms, timeout: 20s, rise: 1, fall: 1 }
vips:
  RIS:
    protocol: hl7
    listen: "127.0.0.1:${port}"
    pool: ris
    hl7: { ${keys.join(', ')} }
`;
}
