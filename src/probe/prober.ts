/**
 * Asks the servers of one pool, all at once and each one association at a time: first whether they know an AE title,
 * by Verification alone, then which contexts they take from it.
 */
import { isTransient, type Reject, rejectText } from '../../protocols/dicom/small-pdus.ts';
import { describeEndpoint } from '../endpoint.ts';
import { type Preamble, preambleOf, type ServerLink } from '../relay/dial.ts';
import { type Answer, type AskOptions, ask, MOST_CONTEXTS } from './ask.ts';
import { IMPLICIT_VR_LITTLE_ENDIAN, type Proposal, VERIFICATION } from './proposals.ts';

/** What a client calls itself, and what it calls the server. */
export interface Title {
  readonly calling: string;
  readonly called: string;
}

export interface ServerToProbe {
  readonly name: string;
  readonly host: string;
  /** undefined: nothing says where it could be asked. */
  readonly port: number | undefined;
  /** The called AE title that it gets, whatever the client calls it. */
  readonly ae: string | undefined;
}

export interface PoolToProbe {
  readonly name: string;
  readonly servers: readonly ServerToProbe[];
  readonly link: ServerLink;
  readonly titles: readonly Title[];
  readonly proposals: readonly Proposal[];
}

export interface TitleReport extends Title {
  /** rejected: for ever. busy: for now. refused: by an abort, a close, garbage. */
  readonly answer: 'accepted' | 'rejected' | 'busy' | 'refused';
  /** Of a rejection: `result/source/reason` (PS3.8 Table 9-21). */
  readonly code: string | undefined;
  /** Why it is not accepted, or, when it is, why its contexts are not known. */
  readonly reason: string | undefined;
  /** SOP class → transfer syntaxes that are taken, in the order asked; undefined: that could not be found out. */
  readonly contexts: Readonly<Record<string, readonly string[]>> | undefined;
}

export interface ServerReport {
  readonly server: string;
  readonly address: string;
  /** The called AE title that it got, whatever the title says. */
  readonly ae: string | undefined;
  /** Why there is nothing to tell; unreachable: something is wrong, left-out: it was not even tried. */
  readonly problem: { readonly kind: 'unreachable' | 'left-out'; readonly reason: string } | undefined;
  /** In the order of the pool's titles. */
  readonly titles: readonly TitleReport[];
}

export interface PoolReport {
  readonly pool: string;
  readonly titles: readonly Title[];
  /** SOP class → transfer syntaxes that were asked for. */
  readonly proposed: Readonly<Record<string, readonly string[]>>;
  readonly servers: readonly ServerReport[];
}

export interface ProbeOptions extends AskOptions {
  /** Before each association: why the server is not to be asked now; undefined: it may be. */
  readonly holdBack?: ((server: string) => string | undefined) | undefined;
  /** So often a server that rejects for now is asked again, after a pause. Default: not at all. */
  readonly retries?: number | undefined;
  /** Another question is answered; `count` of at most `total`. */
  readonly progress?: ((count: number, total: number) => void) | undefined;
}

/** From a rejection for now to the next try, in milliseconds: some servers count an association for a while after it. */
const RETRY_MS = 1500;

/** Proposed in each association: some servers abort one in which they take no context at all. */
const ALWAYS: Proposal = { sopClass: VERIFICATION, transferSyntax: IMPLICIT_VR_LITTLE_ENDIAN };

/** Never rejects. */
export async function probePool(pool: PoolToProbe, options: ProbeOptions): Promise<PoolReport> {
  const batches = batchesOf(pool.proposals);
  const total = pool.servers.length * pool.titles.length * (1 + batches.length);
  let count = 0;
  const counted = { ...options, progress: () => options.progress?.(++count, total) };
  const servers = await Promise.all(
    pool.servers.map((server) => new ServerProbe(pool, server, batches, counted).run()),
  );
  const proposed = byClass(pool.proposals);
  return { pool: pool.name, titles: pool.titles, proposed, servers };
}

/** Ends the questions to a server that cannot be asked. */
class Unaskable extends Error {
  readonly kind: 'unreachable' | 'left-out';

  constructor(kind: 'unreachable' | 'left-out', reason: string) {
    super(reason);
    this.kind = kind;
  }
}

class ServerProbe {
  readonly #pool: PoolToProbe;
  readonly #server: ServerToProbe;
  readonly #batches: readonly (readonly Proposal[])[];
  readonly #options: ProbeOptions & { readonly progress: () => void };
  readonly #link: Preamble;

  constructor(
    pool: PoolToProbe,
    server: ServerToProbe,
    batches: readonly (readonly Proposal[])[],
    options: ProbeOptions & { readonly progress: () => void },
  ) {
    this.#pool = pool;
    this.#server = server;
    this.#batches = batches;
    this.#options = options;
    this.#link = preambleOf(pool.link);
  }

  async run(): Promise<ServerReport> {
    const { name, host, port, ae } = this.#server;
    const address = port === undefined ? host : describeEndpoint({ host, port });
    try {
      const titles: TitleReport[] = [];
      for (const title of this.#pool.titles) titles.push(await this.#title(title));
      return { server: name, address, ae, problem: undefined, titles };
    } catch (error) {
      if (!(error instanceof Unaskable)) throw error;
      const problem = { kind: error.kind, reason: error.message };
      return { server: name, address, ae, problem, titles: [] };
    }
  }

  async #title(title: Title): Promise<TitleReport> {
    const known = judge(await this.#ask(title, [ALWAYS]));
    if (known.answer !== 'accepted') return { ...title, ...known, contexts: undefined };
    const accepted: Proposal[] = [];
    for (const batch of this.#batches) {
      const answer = await this.#ask(title, [ALWAYS, ...batch]);
      // Accepted a moment ago: it has no place any more, or stumbles over this proposal.
      if (answer.kind !== 'accepted') {
        return { ...title, ...known, reason: judge(answer).reason, contexts: undefined };
      }
      accepted.push(...answer.accepted.filter((one) => batch.includes(one)));
    }
    return { ...title, ...known, contexts: byClass(accepted) };
  }

  async #ask(title: Title, proposals: readonly Proposal[]): Promise<Answer> {
    const { retries = 0, deadlines, progress } = this.#options;
    let answer = await this.#askOnce(title, proposals);
    for (let retry = 0; retry < retries && isBusy(answer); retry++) {
      await new Promise<void>((resolve) => {
        deadlines.after(RETRY_MS, resolve);
      });
      answer = await this.#askOnce(title, proposals);
    }
    progress();
    return answer;
  }

  async #askOnce({ calling, called }: Title, proposals: readonly Proposal[]): Promise<Answer> {
    const { name, host, port, ae } = this.#server;
    if (this.#options.signal?.aborted) throw new Unaskable('left-out', 'the probe was stopped');
    const held = this.#options.holdBack?.(name);
    if (held !== undefined) throw new Unaskable('left-out', held);
    if (port === undefined) throw new Unaskable('unreachable', 'neither the server nor a VIP has a port');
    const target = { host, port };
    const answer = await ask(
      { target, link: this.#link, calling, called: ae ?? called, proposals },
      this.#options,
    );
    // The other titles would only wait for it too.
    if (answer.kind === 'unreachable') throw new Unaskable('unreachable', answer.reason);
    return answer;
  }
}

function isBusy(answer: Answer): boolean {
  return answer.kind === 'rejected' && isTransient(answer.reject);
}

function judge(answer: Answer): Pick<TitleReport, 'answer' | 'code' | 'reason'> {
  switch (answer.kind) {
    case 'accepted':
      return { answer: 'accepted', code: undefined, reason: undefined };
    case 'rejected': {
      const { result, source, reason } = answer.reject;
      return {
        answer: isTransient(answer.reject) ? 'busy' : 'rejected',
        code: `${result}/${source}/${reason}`,
        reason: rejectionText(answer.reject),
      };
    }
    default:
      return { answer: 'refused', code: undefined, reason: answer.reason };
  }
}

/** `1/1/3: rejected permanently by the service user, calling AE title not recognized` (PS3.8 Table 9-21). */
function rejectionText(reject: Reject): string {
  const { result, source, reason } = reject;
  const how = isTransient(reject) ? 'for now' : 'permanently';
  const by = SOURCES[source] ?? `source ${source}`;
  const why = rejectText(reject).replaceAll('-', ' ');
  return `${result}/${source}/${reason}: rejected ${how} by the ${by}, ${why}`;
}

const SOURCES: Readonly<Record<number, string>> = {
  1: 'service user',
  2: 'service provider (ACSE)',
  3: 'service provider (presentation)',
};

/** As many as fit beside the one that is always there. */
function batchesOf(proposals: readonly Proposal[]): Proposal[][] {
  const most = MOST_CONTEXTS - 1;
  const count = Math.ceil(proposals.length / most);
  return Array.from({ length: count }, (_, index) => proposals.slice(index * most, (index + 1) * most));
}

function byClass(proposals: readonly Proposal[]): Record<string, string[]> {
  const classes = Map.groupBy(proposals, ({ sopClass }) => sopClass);
  return Object.fromEntries(
    [...classes].map(([sopClass, all]) => [sopClass, all.map(({ transferSyntax }) => transferSyntax)]),
  );
}
