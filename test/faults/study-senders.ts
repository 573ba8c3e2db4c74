/** Three implementations of C-STORE that nobody of this project wrote, told to send files; each says what became of them. */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { dcmsend, storescu } from '../peers/dcmtk.ts';
import type { RunResult } from '../peers/processes.ts';
import type { Address } from '../peers/test-connection.ts';
import type { Sent } from './dcmjs-sender.ts';

export interface StudySender {
  readonly name: string;
  /** On one association. */
  send(files: readonly string[]): Promise<Sent>;
  stop(): void;
}

/** AE title that the senders call. */
export const CALLED = 'ARCHIVE';

export const STUDY_SENDERS: readonly ((to: Address) => StudySender)[] = [
  (to) => ofDcmtk('storescu', (files) => storescu(to, files, { called: CALLED, args: ['-R', '-nh', '-d'] })),
  (to) => ofDcmtk('dcmsend', (files) => dcmsend(to, files, { called: CALLED, args: ['-nh', '-d'] })),
  ofDcmjs,
];

function ofDcmtk(name: string, run: (files: readonly string[]) => Promise<RunResult>): StudySender {
  return {
    name,
    async send(files) {
      try {
        const { code, output } = await run(files);
        const statuses = statusesIn(output);
        if (code === 0) return { statuses, dataSets: {} };
        const complaints = output.split('\n').filter((line) => /^[EF]: /.test(line));
        return { statuses, dataSets: {}, trouble: `ended with ${code}: ${complaints.join(' ')}` };
      } catch (error) {
        return { statuses: {}, dataSets: {}, trouble: (error as Error).message };
      }
    },
    stop() {},
  };
}

/** What DCMTK's tools print with `-d`: each command set that they sent and got. They send one at a time. */
const COMMAND_SETS =
  /C-STORE RQ\n[^=]*?Affected SOP Instance UID\s*: (\S+)|C-STORE RSP\n[^=]*?DIMSE Status\s*: 0x([0-9a-f]{4})/g;

function statusesIn(output: string): Record<string, number> {
  const statuses: Record<string, number> = {};
  let sopInstance = '';
  for (const [, asked, status] of output.matchAll(COMMAND_SETS)) {
    if (asked) sopInstance = asked;
    else statuses[sopInstance] = Number.parseInt(status!, 16);
  }
  return statuses;
}

function ofDcmjs(to: Address): StudySender {
  const program = new URL('dcmjs-sender.ts', import.meta.url).pathname;
  const child = spawn(process.execPath, [program, to.host, String(to.port), CALLED], {
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  const answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    name: 'dcmjs-dimse',
    async send(files) {
      child.stdin.write(`${JSON.stringify(files)}\n`);
      const { value, done } = await answers.next();
      if (done) return { statuses: {}, dataSets: {}, trouble: 'its process ended' };
      return JSON.parse(value) as Sent;
    },
    // It ends when nothing more can come.
    stop: () => void child.stdin.end(),
  };
}
