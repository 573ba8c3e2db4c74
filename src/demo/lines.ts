/** The demo's log: what happens, a short line each, for people who watch. */
import {
  type AssociationEvent,
  type MessageEvent,
  onEvent,
  type RequestEvent,
  type ServerEvent,
} from '../observe/events.ts';

/** Prints a line per event from now on; the function returned stops it. */
export function showEvents(print: (line: string) => void): () => void {
  const say = (kind: string, text: string) => {
    print(`${new Date().toLocaleTimeString('en-GB')}  ${kind.padEnd(6)}  ${text}`);
  };
  const undo = [
    onEvent('association', (event) => say('DICOM', associationLine(event))),
    onEvent('message', (event) => say('HL7', messageLine(event))),
    onEvent('request', (event) => say('HTTP', requestLine(event))),
    onEvent('server', (event) => say('server', serverLine(event))),
    onEvent('notice', ({ level, message }) => {
      if (level === 'warn' || level === 'error') say(level, message);
    }),
  ];
  return () => {
    for (const stop of undo) stop();
  };
}

function associationLine(event: AssociationEvent): string {
  const { calling, called, server, operations, end, code, detail, ms } = event;
  const work = Object.entries(operations).map(([name, statuses]) => {
    const counts = Object.entries(statuses).map(([status, count]) => `${count} × ${status}`);
    return `${name} ${counts.join(', ')}`;
  });
  const ending = code === undefined ? end : `${end} ${code}`;
  return sentence([
    `${printable(calling)} → ${printable(called)}`,
    server === undefined ? 'no server' : `by ${server} (${event.rule ?? 'default'})`,
    work.join('; '),
    ending,
    end === 'release' ? undefined : detail,
    `${Math.round(ms)} ms`,
  ]);
}

function messageLine(event: MessageEvent): string {
  const { type, controlId, server, acknowledgement, outcome, detail, ms } = event;
  return sentence([
    `${printable(type)}^${printable(event.event)} ${printable(controlId)}`,
    server === undefined ? 'no server' : `by ${server} (${event.rule ?? 'default'})`,
    acknowledgement,
    outcome,
    detail,
    `${Math.round(ms)} ms`,
  ]);
}

function requestLine({ method, version, status, server, rule, detail, ms }: RequestEvent): string {
  return sentence([
    `${printable(method)} HTTP/${version}`,
    server === undefined ? 'no server' : `by ${server} (${rule ?? 'default'})`,
    status === undefined ? 'no answer' : String(status),
    detail,
    `${Math.round(ms)} ms`,
  ]);
}

function serverLine({ pool, server, previous, state, reason }: ServerEvent): string {
  return `${pool}/${server}: ${previous} → ${state}: ${reason}`;
}

function sentence(parts: readonly (string | undefined)[]): string {
  return parts.filter((part) => part !== undefined && part !== '').join(' · ');
}

/** What a peer chose to call itself, fit for a terminal. */
function printable(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, '?');
}
