/** The conversations that show a row's persistence, or that it has none. */
import type { RowPlan, Way } from './plan.ts';
import { type Answer, converse, type VendorClient } from './speakers.ts';
import type { Row } from './table.ts';
import type { VendorSite } from './vendor-site.ts';

export interface Exercise {
  readonly conversations: number;
  /** What was spoken. */
  readonly traffic: string;
  /** What was seen of it. */
  readonly persistence: string;
}

/** Tries until both servers got work, before that counts as never. */
const TRIES = 8;
/** Of those, so many are one by one. The least busy server may be the same one, when the other was slow a moment ago. */
const ALONE = 4;
/** Beyond what slowness counts for: one of them goes elsewhere. */
const AT_ONCE = 8;

/** Talks with a row's service on every port that it has; throws when it isn't as the table says. */
export async function exercise(plan: RowPlan, vendor: VendorSite, withWebSocket: boolean): Promise<Exercise> {
  const talk = new Talk(plan, vendor);
  const first = vendor.clients[0]!;
  if (withWebSocket) await talk.webSocket(first);
  const answers: Answer[] = [];
  for (const way of plan.ways) answers.push(await talk.ask(first, way));
  const persistence = await SHOWS[plan.row.persistence](talk, answers, plan, vendor.clients);
  const services = new Set(plan.ways.map(({ service }) => service));
  const traffic = [...services, ...(withWebSocket ? ['WebSocket'] : [])].join(' ');
  return { conversations: talk.conversations, traffic, persistence };
}

type Show = (
  talk: Talk,
  /** Of the first client, on each port. */
  answers: readonly Answer[],
  plan: RowPlan,
  clients: readonly VendorClient[],
) => Promise<string>;

const SHOWS: Readonly<Record<Row['persistence'], Show>> = {
  async none(talk, _answers, _plan, [first]) {
    await talk.untilBothWork((tries) => talk.askAgain(first!, tries));
    return 'both servers got work';
  },

  async 'http-cookie'(talk, [answer], { ways }, [first]) {
    const { server, cookies } = answer!;
    if (cookies?.length !== 1) throw new Error(`${cookies?.length} cookies`);
    for (let again = 0; again < 2; again++) {
      expectSame([{ server }, await talk.ask(first!, ways[0], cookies[0])], 'who shows its cookie');
    }
    await talk.untilBothWork((tries) => talk.askAgain(first!, tries));
    return 'held by its cookie';
  },

  async 'source-ip'(talk, answers, { ways }, clients) {
    expectSame([...answers, await talk.ask(clients[0]!)], 'one client');
    await talk.untilBothWork(async (tries) => {
      const client = clients[tries % clients.length]!;
      expectSame([await talk.ask(client), await talk.ask(client, ways.at(-1))], 'one client');
    });
    return `held by its address${ways.length > 1 ? ` over ${ways.length} ports` : ''}`;
  },
};

function expectSame(answers: readonly Answer[], who: string): void {
  const servers = answers.map(({ server }) => server);
  if (new Set(servers).size !== 1) throw new Error(`${who} was on ${servers.join()}`);
}

/** Counts conversations, and holds each against what its server saw. */
class Talk {
  conversations = 0;
  readonly #servers = new Set<string>();
  readonly #plan: RowPlan;
  readonly #vendor: VendorSite;

  constructor(plan: RowPlan, vendor: VendorSite) {
    this.#plan = plan;
    this.#vendor = vendor;
  }

  async ask(client: VendorClient, way: Way = this.#plan.ways[0]!, cookie?: string): Promise<Answer> {
    this.conversations++;
    const answer = await converse(client, way, this.#vendor, cookie);
    this.#servers.add(answer.server);
    this.#expectSeen(answer, client, way);
    return answer;
  }

  /** Once, and then many times at once. */
  askAgain(client: VendorClient, tries: number): Promise<unknown> {
    const count = tries < ALONE ? 1 : AT_ONCE;
    return Promise.all(Array.from({ length: count }, () => this.ask(client)));
  }

  async webSocket({ agent }: VendorClient): Promise<void> {
    this.conversations++;
    const { host, port, path } = this.#plan.ways[0]!;
    const said = await agent.ask('webSocket', { url: `ws://${host}:${port}${path}`, text: 'hello' });
    const { server, text } = JSON.parse(said) as { server: string; text: string };
    if (text !== 'hello') throw new Error(`the WebSocket of ${server} said ${text}`);
  }

  async untilBothWork(next: (tries: number) => Promise<unknown>): Promise<void> {
    for (let tries = 0; this.#servers.size < 2; tries++) {
      if (tries === TRIES) throw new Error(`only ${[...this.#servers].join()} got work`);
      await next(tries);
    }
  }

  /** With DR a server sees the client's own address and the VIP; otherwise its own address. No path is rewritten. */
  #expectSeen({ server, local, remote, uri }: Answer, client: VendorClient, way: Way): void {
    const isDirect = this.#plan.vip.mode === 'dr';
    const own = this.#vendor.servers.find(({ name }) => name === server)!.namespace.address;
    const called = `${isDirect ? way.host : own}:${way.serverPort}`;
    if (local !== undefined && local !== called)
      throw new Error(`${server} was called ${local}, not ${called}`);
    const { address } = client.namespace;
    if (isDirect && remote !== undefined && !remote.startsWith(`${address}:`)) {
      throw new Error(`${server} saw ${remote}, not ${address}`);
    }
    if (uri !== undefined && uri !== way.path) throw new Error(`${way.path} became ${uri}`);
  }
}
