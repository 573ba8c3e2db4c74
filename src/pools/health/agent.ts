/**
 * agent: a small service beside the server tells how much work it wants, in the words of HAProxy's agent-check. Connect,
 * read one line, close:
 *
 *     75%                        the part of its configured weight that it wants
 *     maxconn:30                 connections at once; 0: no limit
 *     ready                      takes work: ends drain and maint
 *     drain                      nothing new but what persistence brings
 *     maint                      nothing new at all
 *     down, fail or stopped      is down, whatever the checks say; why may follow behind a #
 *     up                         the checks decide again
 *
 * Words are apart by spaces, tabs or commas, in any order and case. What a line does not mention stays as it was. An
 * agent that cannot be reached is no fault of the server: the checks tell whether that lives.
 */
import { dial } from '../../relay/dial.ts';
import { dismiss } from '../../relay/dismiss.ts';
import type { AgentReport } from '../agent-word.ts';
import type { Cancel, Check, CheckTarget } from './check.ts';
import { shownText } from './shown-text.ts';

/** What an agent said; without a report when it could not be had or understood. `reason`: a sentence. */
export interface AgentResult {
  readonly report: AgentReport | undefined;
  readonly reason: string;
}

/** Bytes of a line. */
const LONGEST_LINE = 1024;
/** A larger share of the weight is taken as this. */
const LARGEST_SHARE = 10;
/** How long the agent may take to close after us, in milliseconds. */
const LINGER_MS = 1000;
const END_OF_LINE = /[\r\n]/;

const DOWN: AgentReport = { health: 'down' };
const MEANINGS: ReadonlyMap<string, AgentReport> = new Map([
  ['ready', { duty: 'online' }],
  ['drain', { duty: 'drain' }],
  ['maint', { duty: 'strict-drain' }],
  ['up', { health: 'up' }],
  ['down', DOWN],
  ['fail', DOWN],
  ['failed', DOWN],
  ['stopped', DOWN],
]);

/** Words that are not known are passed over; undefined when none is. */
export function parseAgentLine(line: string): AgentReport | undefined {
  const words = line
    .split('#', 1)[0]!
    .toLowerCase()
    .split(/[ \t,]+/);
  const report = Object.assign({}, ...words.map(meaningOf)) as AgentReport;
  return Object.keys(report).length > 0 ? report : undefined;
}

function meaningOf(word: string): AgentReport | undefined {
  const share = /^(\d{1,6})%$/.exec(word);
  if (share) return { share: Math.min(Number(share[1]) / 100, LARGEST_SHARE) };
  const most = /^maxconn:(\d{1,9})$/.exec(word);
  if (most) return { maxConnections: Number(most[1]) || Infinity };
  return MEANINGS.get(word);
}

export function createAgentCheck(target: CheckTarget): Check<AgentResult> {
  const { host, port, timeout } = target;
  return {
    key: JSON.stringify(['agent', host, port, timeout]),
    start: (done) => startAgent(target, done),
  };
}

function startAgent(
  { host, port, timeout, deadlines }: CheckTarget,
  done: (result: AgentResult) => void,
): Cancel {
  let line = '';
  let isOver = false;
  const stop = () => {
    isOver = true;
    deadline.cancel();
  };
  const finish = (result: AgentResult) => {
    if (isOver) return;
    stop();
    dismiss(channel, deadlines, LINGER_MS);
    done(result);
  };
  const miss = (reason: string) => finish({ report: undefined, reason });
  const judge = () => {
    const [said = ''] = line.split(END_OF_LINE, 1);
    if (said.trim() === '') return miss('its agent says nothing');
    const reason = `its agent says: ${shownText(said)}`;
    const report = parseAgentLine(said);
    finish({ report, reason: report ? reason : `${reason}: no word that is known` });
  };
  const deadline = deadlines.after(timeout, () => miss(`its agent says nothing within ${timeout} ms`));
  const channel = dial(
    { host, port },
    {
      read(bytes) {
        if (isOver) return;
        line += bytes.toString('latin1');
        if (END_OF_LINE.test(line)) judge();
        else if (line.length > LONGEST_LINE) miss(`its agent says more than ${LONGEST_LINE} bytes in a line`);
      },
      // The line may end with the connection.
      ended: () => judge(),
      closed: (error) => miss(`its agent cannot be heard: ${error?.message ?? 'it closes at once'}`),
    },
  );
  return () => {
    stop();
    channel.reset();
  };
}
