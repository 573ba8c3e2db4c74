/**
 * One server of a pool: its state, its limits and its live load.
 *
 * Two words make the state: the operator's (online, drain, halt) goes before what health says (starting, up, down).
 * Health is the word of the checks; real traffic may only take a server out before the next check would. An agent of the
 * server's own may make both stricter, never milder. A server that the configuration no longer has is retired: it
 * drains, and nothing brings it back.
 */
import { describeEndpoint } from '../endpoint.ts';
import { events } from '../observe/events.ts';
import { type AgentReport, heardFrom, NO_AGENT } from './agent-word.ts';
import { type Duty, strictest } from './duty.ts';
import { FailedDials } from './failed-dials.ts';
import { Load } from './load.ts';
import type { ServerHome } from './server-home.ts';
import { Verdict } from './verdict.ts';

/**
 * starting: no check result yet, takes traffic. up / down: the check's word. draining: no new work, work in hand
 * finishes. drained: nothing left. halted: an operator took it out.
 */
export type ServerState = 'starting' | 'up' | 'down' | 'draining' | 'drained' | 'halted';

export interface ServerOptions {
  readonly pool: string;
  readonly name: string;
  readonly host: string;
  /** undefined: the port the client came to. */
  readonly port: number | undefined;
  /** DICOM: the called AE title this server wants. */
  readonly ae: string | undefined;
  readonly weight: number;
  readonly maxConnections: number | undefined;
  readonly backup: boolean;
}

/** What a check found. busy: it answers, but slowly or "not now". misconfigured: it will never take our work. */
export type CheckOutcome = 'up' | 'busy' | 'misconfigured' | 'down';

/** The part of its weight that a server has at the beginning of its slow start. */
const SLOW_START_SHARE = 0.1;
/** The part of its weight that a server has whose check found it busy. */
const BUSY_SHARE = 0.25;
/** Without a check, a server that could not be dialled is asked last for this long, in milliseconds. */
const ASKED_LAST_MS = 5000;

/** What may change while the server stays the same one. */
export type ServerSettings = Pick<ServerOptions, 'weight' | 'maxConnections'>;

const WAITS = 'waits for its first check';
const UNCHECKED = 'its health is not checked';

export class Server {
  readonly pool: string;
  readonly name: string;
  readonly host: string;
  readonly port: number | undefined;
  readonly ae: string | undefined;
  readonly backup: boolean;
  readonly load: Load;
  /** Since the start: work taken, and dials that failed. */
  readonly totals = { connections: 0, failures: 0 };
  readonly #home: ServerHome;
  readonly #verdict: Verdict;
  readonly #doubters = new Set<() => void>();
  /** What the configuration says, whatever an operator has set since. */
  #configured: ServerSettings;
  #weight: number;
  #maxConnections: number | undefined;
  /** What the operator says; `#duty` is the stricter of this and what the agent says. */
  #order: Duty = 'online';
  #duty: Duty = 'online';
  #agent = NO_AGENT;
  #agentReason = '';
  #isRetired = false;
  #drainBegan = 0;
  #state: ServerState;
  #since: number;
  #reason: string;
  /** Why health is what it is: the reason again when an operator puts the server online. */
  #healthReason: string;
  #active = 0;
  #forwarded = 0;
  /** It has been drained since its drain began: what comes by persistence is no news. */
  #wasDrained = false;
  readonly #failedDials = new FailedDials();
  #askedLastUntil = 0;
  #isBusy = false;
  /** When it came up after having been down: the begin of its slow start. */
  #cameUp = -Infinity;

  constructor(options: ServerOptions, home: ServerHome) {
    this.pool = options.pool;
    this.name = options.name;
    this.host = options.host;
    this.port = options.port;
    this.ae = options.ae;
    this.backup = options.backup;
    this.load = new Load(home.load);
    this.#configured = options;
    this.#weight = options.weight;
    this.#maxConnections = options.maxConnections;
    this.#home = home;
    this.#verdict = new Verdict(home.health);
    this.#state = this.#verdict.state;
    this.#since = home.now();
    this.#healthReason = home.health.isChecked ? WAITS : UNCHECKED;
    this.#reason = this.#healthReason;
  }

  get state(): ServerState {
    return this.#state;
  }

  /** Clock time, milliseconds, at which it entered its state. */
  get since(): number {
    return this.#since;
  }

  /** Why it is in its state. */
  get reason(): string {
    return this.#reason;
  }

  /** `HOST:PORT`, or `HOST` when it takes the port the client came to. */
  get address(): string {
    return this.port === undefined ? this.host : describeEndpoint({ host: this.host, port: this.port });
  }

  get weight(): number {
    return this.#weight;
  }

  /** Weight 0: gets nothing new. */
  set weight(weight: number) {
    this.#weight = weight;
    this.#home.stateChanged(this);
  }

  get maxConnections(): number | undefined {
    const most = Math.min(this.#maxConnections ?? Infinity, this.#agent.maxConnections);
    return most === Infinity ? undefined : most;
  }

  set maxConnections(most: number | undefined) {
    this.#maxConnections = most;
    this.#home.roomChanged(this);
  }

  /** Associations or connections it has right now. */
  get active(): number {
    return this.#active + this.#forwarded;
  }

  /** Connections that the kernel forwards to it past this process, as of the last count. */
  set forwarded(count: number) {
    if (count === this.#forwarded) return;
    this.#forwarded = count;
    if (this.#state === 'drained' && count > 0) this.#enter('draining', 'persistence brought it work', true);
    this.#workEnded();
  }

  /** May it have one more association or connection? */
  get hasRoom(): boolean {
    return this.active < (this.maxConnections ?? Infinity);
  }

  /** May it have one more that is not urgent, where `reserve` slots are kept for urgent work? One is always left. */
  hasRoomBeside(reserve: number): boolean {
    const most = this.maxConnections ?? Infinity;
    return this.active < Math.min(most, Math.max(most - reserve, 1));
  }

  /** May it get new work? */
  get eligible(): boolean {
    return this.isWanted && this.#health !== 'down';
  }

  /** Would it be eligible if health were ignored? */
  get isWanted(): boolean {
    return this.#duty === 'online' && this.#weight > 0 && this.#agent.share > 0 && !this.#isRetired;
  }

  /** Is it down, whatever an operator says? */
  get isDown(): boolean {
    return this.#health === 'down';
  }

  /** May it get the work that persistence keeps there? A draining server still does, unless it drains strictly. */
  get honoursPersistence(): boolean {
    const isOpen = this.#duty === 'online' || this.#duty === 'drain';
    return isOpen && !this.#isRetired && this.#health !== 'down';
  }

  /**
   * May it get the work of a client who has its cookie? A cookie is renewed by nobody and ends with the browser, so
   * that of a draining server counts for the time of the pool only.
   */
  get honoursCookies(): boolean {
    if (!this.honoursPersistence) return false;
    return this.#duty === 'online' || this.#home.now() - this.#drainBegan < this.#home.drain;
  }

  /** An operator took it out: open work ends at its next safe point. */
  get isHalted(): boolean {
    return this.#duty === 'halt';
  }

  /** What persistence has here is not renewed. */
  get isDraining(): boolean {
    return this.#duty === 'drain' || this.#duty === 'strict-drain' || this.#isRetired;
  }

  /** The configuration no longer has it: what it has in hand finishes, and it is never handed out again. */
  get isRetired(): boolean {
    return this.#isRetired;
  }

  /** There are signs that its health is about to change: it is checked at shorter intervals. */
  get isInDoubt(): boolean {
    return this.#verdict.isInDoubt || (this.#failedDials.count > 0 && this.#verdict.state !== 'down');
  }

  /** Could not be dialled a moment ago, and has no check to tell more: asked when nobody else is left. */
  isAskedLast(now: number): boolean {
    return now < this.#askedLastUntil;
  }

  /** Its weight as of now: less during its slow start, while it is busy, and while it refuses work. */
  effectiveWeight(now: number): number {
    const wanted = this.#weight * this.#agent.share;
    const weight = wanted * this.load.share(now) * (this.#isBusy ? BUSY_SHARE : 1);
    const { slowStart } = this.#home;
    const age = now - this.#cameUp;
    return age < slowStart ? weight * Math.max(SLOW_START_SHARE, age / slowStart) : weight;
  }

  /** Takes a slot, for one association or connection. `kept`: kept open in advance, which is no load by itself. */
  acquire(kept = false): void {
    this.#active++;
    this.totals.connections++;
    if (!kept) this.load.connections++;
    if (this.#state === 'drained') this.#enter('draining', 'persistence brought it work', true);
  }

  /** Gives back a slot that `acquire` took, with the same `kept`. */
  release(kept = false): void {
    this.#active--;
    if (!kept) this.load.connections--;
    this.#workEnded();
  }

  #workEnded(): void {
    if (this.active === 0 && this.#state === 'draining') {
      this.#enter('drained', 'nothing is left', this.#wasDrained);
    }
    this.#home.roomChanged(this);
  }

  /** A check has a result. The first one alone decides; after that `rise` and `fall` count. */
  checked(outcome: CheckOutcome, reason: string): void {
    const { state: before, isDecided: wasDecided } = this.#verdict;
    const wasBusy = this.#isBusy;
    this.#isBusy = outcome === 'busy';
    if (this.#verdict.result(outcome === 'up' || outcome === 'busy')) this.#cameUp = this.#home.now();
    if (this.#verdict.state !== before) this.#failedDials.forget();
    if (!wasDecided || this.#verdict.state !== before || this.#isBusy !== wasBusy) this.#healthTurned(reason);
  }

  /** No connection for work, or no answer on it in time: counts before the next check does. `suspect`: see FailedDials. */
  dialFailed(reason: string, now: number, suspect?: string): void {
    this.totals.failures++;
    this.#failedDials.add(suspect);
    const { isChecked, fall, state } = this.#verdict;
    if (!isChecked) {
      this.#askedLastUntil = now + ASKED_LAST_MS;
    } else if (state !== 'down' && this.#failedDials.count >= fall && this.#home.hasOther(this)) {
      this.#verdict.takeDown();
      this.#healthTurned(`${this.#failedDials.count} connections in a row failed, the last: ${reason}`);
      this.#failedDials.forget();
    }
    for (const doubt of this.#doubters) doubt();
  }

  /** A connection for work was had, and answered. */
  dialAnswered(_now: number): void {
    this.#failedDials.forget();
    this.#askedLastUntil = 0;
  }

  /** No new work; what is in hand finishes. Persistence is honoured, not renewed; `strict`: not even honoured. */
  drain(strict = false): void {
    this.#order = strict ? 'strict-drain' : 'drain';
    this.#dutyTurned('drained by an operator');
  }

  /** Out, at once. Ending what is still open is the front-ends' work. */
  halt(): void {
    if (this.#duty === 'halt') return;
    this.#order = 'halt';
    this.#dutyTurned('halted by an operator');
    this.#home.hasToLeave(this, 'halted');
  }

  /** Back from drain or halt, to what health and the agent say. */
  online(): void {
    this.#order = 'online';
    this.#dutyTurned(`put online by an operator; ${this.#reasonOfItself}`);
  }

  /** Its agent has said something; `reason`: what, a sentence. */
  agent(report: AgentReport, reason: string): void {
    const before = this.#agent;
    this.#agent = heardFrom(before, report);
    if (this.#agent === before) return;
    this.#agentReason = reason;
    const { duty, health } = this.#agent;
    if (health === 'up' && before.health === 'down') this.#cameUp = this.#home.now();
    if (duty === before.duty && health === before.health) this.#home.stateChanged(this);
    else this.#dutyTurned(this.#isHeldByAgent ? reason : `${reason}; ${this.#healthReason}`);
  }

  /** Out for ever, as the configuration no longer has it. */
  retire(): void {
    this.#isRetired = true;
    if (this.#duty === 'halt') this.#home.stateChanged(this);
    else this.#settle('no longer in the configuration');
  }

  /**
   * Takes over the settings of a new configuration, and those of its pool's health. What an operator has set stays
   * while the configuration says the same as before.
   */
  reconfigure(settings: ServerSettings): void {
    const before = this.#configured;
    this.#configured = settings;
    if (settings.weight !== before.weight) this.weight = settings.weight;
    if (settings.maxConnections !== before.maxConnections) this.maxConnections = settings.maxConnections;
    if (!this.#verdict.reconfigure(this.#home.health)) return;
    this.#isBusy = false;
    this.#healthTurned(this.#verdict.isChecked ? WAITS : UNCHECKED);
  }

  /** Calls `doubt` whenever a dial failed, so that a check may look into it. Returns how to stop that. */
  onDoubt(doubt: () => void): () => void {
    this.#doubters.add(doubt);
    return () => this.#doubters.delete(doubt);
  }

  get #health(): 'starting' | 'up' | 'down' {
    return this.#agent.health === 'down' ? 'down' : this.#verdict.state;
  }

  get #isHeldByAgent(): boolean {
    return this.#agent.duty !== 'online' || this.#agent.health === 'down';
  }

  /** Why it is what it is when no operator has a say. */
  get #reasonOfItself(): string {
    return this.#isHeldByAgent ? this.#agentReason : this.#healthReason;
  }

  #healthTurned(reason: string): void {
    this.#healthReason = reason;
    const isDecisive = this.#duty === 'online' && !this.#isRetired && !this.#isHeldByAgent;
    if (isDecisive) this.#settle(reason);
    else this.#home.stateChanged(this);
  }

  #dutyTurned(reason: string): void {
    const before = this.#duty;
    this.#duty = strictest(this.#order, this.#agent.duty);
    if (before === 'online' || before === 'halt') this.#drainBegan = this.#home.now();
    this.#settle(reason);
  }

  /** Enters the state that follows from all that is said. */
  #settle(reason: string): void {
    if (this.#duty === 'halt') this.#enter('halted', reason);
    else if (!this.isDraining) this.#enter(this.#health, reason);
    else if (this.active > 0) this.#enter('draining', reason);
    else this.#enter('drained', `${reason}; nothing was left`);
  }

  /** `isRepeated`: it comes and goes with each piece of work, and was told once. */
  #enter(state: ServerState, reason: string, isRepeated = false): void {
    const previous = this.#state;
    this.#reason = reason;
    if (state !== previous) {
      this.#state = state;
      this.#since = this.#home.now();
      this.#wasDrained = state === 'drained' || (this.#wasDrained && state === 'draining' && isRepeated);
      if (events.server.hasSubscribers && !isRepeated) {
        const { pool, name: server, address } = this;
        events.server.publish({ pool, server, address, state, previous, reason });
      }
    }
    this.#home.stateChanged(this);
  }
}
