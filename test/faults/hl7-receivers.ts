/** The HL7 receivers of a run: processes with ledgers, which can be killed and come back to the same port and ledger. */
import { statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort, type PeerProcess, startProgram, waitForPort } from '../peers/processes.ts';

export interface LedgerReceiver {
  readonly name: string;
  readonly endpoint: string;
  /** The file of its ledger. */
  readonly ledger: string;
  /** Bytes of the ledger. */
  readonly written: number;
  readonly isUp: boolean;
  /** SIGKILL, if it is up. */
  stop(): Promise<void>;
  /** Comes back. */
  restart(): Promise<void>;
}

/** `speed`: bytes a second that each of their connections is read with. */
export async function startReceivers(
  folder: string,
  names: readonly string[],
  speed = Infinity,
): Promise<readonly LedgerReceiver[]> {
  return Promise.all(names.map((name) => startReceiver(folder, name, speed)));
}

async function startReceiver(folder: string, name: string, speed: number): Promise<LedgerReceiver> {
  const program = new URL('hl7-receiver.ts', import.meta.url).pathname;
  const port = await freePort();
  const ledger = join(folder, `ledger-${name}`);
  writeFileSync(ledger, '');
  let process_: PeerProcess | undefined;
  const receiver: LedgerReceiver = {
    name,
    endpoint: `127.0.0.1:${port}`,
    ledger,
    get written() {
      return statSync(ledger).size;
    },
    get isUp() {
      return process_ !== undefined;
    },
    async stop() {
      const running = process_;
      process_ = undefined;
      await running?.stop();
    },
    async restart() {
      const started = startProgram(process.execPath, [program, name, String(port), ledger, String(speed)]);
      await waitForPort(port, started);
      process_ = started;
    },
  };
  await receiver.restart();
  return receiver;
}
