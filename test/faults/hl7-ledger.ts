/** What senders were told, what receivers took, what the balancer says: and whether the one fits the other. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';

/** Nanoseconds of the machine's monotonic clock: the same for every process. */
export function nanoseconds(): number {
  return Number(process.hrtime.bigint());
}

export interface SentMessage {
  readonly controlId: string;
  /** In whose order it stands. */
  readonly patients: readonly string[];
  readonly hash: string;
  /** When it was sent first, nanoseconds. */
  readonly sentAt: number;
  /** How often it was sent. */
  sends: number;
  /** Nanoseconds. */
  acknowledgedAt: number | undefined;
  /** MSA-3 of that acknowledgement: which arrival it belongs to. Empty when it is the balancer's own. */
  token: string;
}

/** What senders sent, in the order in which they sent it, and what they were told. */
export class SentLedger {
  readonly #began = nanoseconds();
  readonly messages = new Map<string, SentMessage>();
  acknowledged = 0;
  /** The run is over: nothing is sent any more, acknowledged or not. */
  closed = false;
  /** Connections that ended instead of an answer, or could not be had. */
  lostConnections = 0;
  /** MSA-1 → answers that were no acknowledgement. */
  readonly refusals: Record<string, number> = {};
  /** A sentence for each answer that is not the message's. */
  readonly wrong: string[] = [];

  /** Since the run began, at `at` or now. */
  seconds(at = nanoseconds()): string {
    return `${((at - this.#began) / 1e9).toFixed(3)} s`;
  }

  sent(controlId: string, patients: readonly string[], bytes: Buffer): SentMessage {
    const hash = createHash('sha256').update(bytes).digest('hex');
    return this.note(controlId, patients, hash);
  }

  /** The same of a message whose hash is known. */
  note(controlId: string, patients: readonly string[], hash: string): SentMessage {
    const sentAt = nanoseconds();
    const message = { controlId, patients, hash, sentAt, sends: 1, acknowledgedAt: undefined, token: '' };
    this.messages.set(controlId, message);
    return message;
  }

  acknowledge(message: SentMessage, token: string): void {
    this.acknowledged++;
    message.acknowledgedAt = nanoseconds();
    message.token = token;
  }
}

/** A message that came to a receiver whole. */
export interface Arrival {
  readonly token: string;
  readonly controlId: string;
  readonly hash: string;
  /** Nanoseconds. */
  readonly at: number;
  /** Messages that the receiver had in hand then, this one included. */
  readonly inHand: number;
  /** Nanoseconds; undefined: never. */
  answeredAt: number | undefined;
}

/** What receivers took, all together, in the order of time. */
export function arrivalsIn(ledgers: readonly string[]): Arrival[] {
  const arrivals: Arrival[] = [];
  const byToken = new Map<string, Arrival>();
  for (const file of ledgers) {
    // What stands behind the last line feed is being written.
    for (const line of readFileSync(file, 'latin1').split('\n').slice(0, -1)) {
      const [word, token = '', ...rest] = line.split(' ');
      if (word === 'got') {
        const [controlId, hash, at, inHand] = rest as [string, string, string, string];
        const arrival = { token, controlId, hash, at: Number(at), inHand: Number(inHand) };
        arrivals.push({ ...arrival, answeredAt: undefined });
        byToken.set(token, arrivals.at(-1)!);
      } else if (word === 'answered') {
        byToken.get(token)!.answeredAt = Number(rest[0]);
      }
    }
  }
  return arrivals.sort((a, b) => a.at - b.at);
}

/** MSH-10 of those of which the balancer's log says that they may have been delivered twice. */
export type Marks = ReadonlySet<string>;

/** Lists name control ids. */
export interface Verdict {
  readonly sent: number;
  readonly acknowledged: number;
  /** Acknowledged, and no receiver has it. */
  readonly lost: readonly string[];
  /** Arrived with other bytes, or was never sent. */
  readonly altered: readonly string[];
  /** Acknowledged with an answer that belongs to another message. */
  readonly wrong: readonly string[];
  /** Arrived, for the first time or again, when a later message of the same patient had arrived already. */
  readonly inversions: readonly string[];
  /** Arrived while another message of the same patient was in a receiver's hands, which answered that one later. */
  readonly overlaps: readonly string[];
  /** Arrivals beyond the first. */
  readonly duplicates: number;
  /** Of those, that the log says may have arrived twice. */
  readonly marked: number;
  /** Of those that it does not, that the sender itself sent again: its connection had been lost. */
  readonly resent: number;
  /** The rest. */
  readonly unmarked: readonly string[];
}

export function judge(ledger: SentLedger, arrivals: readonly Arrival[], marks: Marks): Verdict {
  const { messages } = ledger;
  const arrivalsOf = Map.groupBy(arrivals, ({ controlId }) => controlId);
  const altered = arrivals.filter(({ controlId, hash }) => messages.get(controlId)?.hash !== hash);
  const ownerOf = new Map(arrivals.map(({ token, controlId }) => [token, controlId]));
  const lost: string[] = [];
  const wrong = [...ledger.wrong];
  for (const { controlId, acknowledgedAt, token } of messages.values()) {
    if (acknowledgedAt !== undefined && !arrivalsOf.has(controlId)) lost.push(controlId);
    if (token !== '' && ownerOf.get(token) !== controlId) wrong.push(controlId);
  }
  let duplicates = 0;
  let marked = 0;
  let resent = 0;
  const unmarked: string[] = [];
  for (const [controlId, all] of arrivalsOf) {
    const count = all.length;
    if (count === 1) continue;
    duplicates += count - 1;
    if (marks.has(controlId)) marked += count - 1;
    else if ((messages.get(controlId)?.sends ?? 0) >= count) resent += count - 1;
    else {
      const times = all.map(({ token, at }) => `${token} at ${ledger.seconds(at)}`);
      unmarked.push(`${controlId}: ${times.join(', ')}`);
    }
  }
  return {
    sent: messages.size,
    acknowledged: ledger.acknowledged,
    lost,
    altered: altered.map(({ controlId }) => controlId),
    wrong,
    ...orderOf(messages, arrivals),
    duplicates,
    marked,
    resent,
    unmarked,
  };
}

function orderOf(messages: ReadonlyMap<string, SentMessage>, arrivals: readonly Arrival[]) {
  const places = placesOf(messages);
  /** Patient → the arrival that is furthest on in its order. */
  const furthest = new Map<string, Arrival>();
  const inversions: string[] = [];
  const overlaps: string[] = [];
  for (const arrival of arrivals) {
    const { controlId, at } = arrival;
    const place = places.get(controlId);
    if (place === undefined) continue;
    for (const patient of messages.get(controlId)!.patients) {
      const before = furthest.get(patient);
      const beforePlace = before ? places.get(before.controlId)! : -1;
      if (place < beforePlace) inversions.push(controlId);
      else {
        if (place > beforePlace && (before?.answeredAt ?? 0) > at) overlaps.push(controlId);
        furthest.set(patient, arrival);
      }
    }
  }
  return { inversions, overlaps };
}

/** Messages of one patient come from one sender: their order is that in which they were sent. */
function placesOf(messages: ReadonlyMap<string, SentMessage>): ReadonlyMap<string, number> {
  return new Map([...messages.keys()].map((controlId, place) => [controlId, place]));
}

/** What `npm run faults` prints of it. */
export function describe(verdict: Verdict): string[] {
  const { duplicates, marked, resent, unmarked } = verdict;
  const lists = ['lost', 'altered', 'wrong', 'inversions', 'overlaps', 'unmarked'] as const;
  return [
    `${verdict.sent} messages sent, ${verdict.acknowledged} acknowledged: ` +
      `${verdict.lost.length} lost, ${verdict.altered.length} altered, ${verdict.wrong.length} answers of other messages`,
    `order: ${verdict.inversions.length} inversions, ${verdict.overlaps.length} overlaps`,
    `${duplicates} duplicates: ${marked} marked in the log, ${resent} sent again by their senders, ${unmarked.length} unmarked`,
    ...lists.flatMap((list) => verdict[list].slice(0, 10).map((one) => `  ${list}: ${one}`)),
  ];
}
