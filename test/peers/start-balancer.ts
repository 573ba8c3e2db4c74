/** A balancer inside the test's own process, on ports of the system's choosing, with everything it says collected. */
import { type Balancer, type BalancerOptions, startBalancer } from '../../src/balancer.ts';
import { formatFault } from '../../src/config/fault.ts';
import { readConfiguration } from '../../src/config/load.ts';
import type { Configuration } from '../../src/config/schema.ts';
import type { Change } from '../../src/difference.ts';
import {
  type AssociationEvent,
  type ConnectionEvent,
  type MessageEvent,
  type NoticeEvent,
  onEvent,
  type RequestEvent,
  type ServerEvent,
} from '../../src/observe/events.ts';
import type { Address } from './test-connection.ts';
import { Journal } from './waiting.ts';

export interface TestBalancer extends AsyncDisposable {
  readonly balancer: Balancer;
  /** Where the VIP `name` listens (its `index`-th address). */
  address(name: string, index?: number): Address;
  /** Where the admin API is; throws when there is none. */
  readonly admin: Address;
  /** One per association that ended. */
  readonly associations: Journal<AssociationEvent>;
  /** One per HL7 message that was dealt with. */
  readonly messages: Journal<MessageEvent>;
  /** One per HTTP request. */
  readonly requests: Journal<RequestEvent>;
  /** One per TCP connection that ended. */
  readonly connections: Journal<ConnectionEvent>;
  /** Changes of state. */
  readonly servers: Journal<ServerEvent>;
  readonly notices: Journal<NoticeEvent>;
  /** Goes over to another configuration, as a reload does. */
  apply(yaml: string): Promise<readonly Change[]>;
  /** Stops at once; with `drain`, after the work in hand. */
  stop(options?: { readonly drain?: boolean }): Promise<void>;
}

/** Throws the faults when there are any. */
function configurationOf(yaml: string): Configuration {
  const front = /^version:/m.test(yaml) ? '' : 'version: 1\n';
  const admin = /^admin:/m.test(yaml) ? '' : 'admin: off\n';
  const { configuration, faults } = readConfiguration(`${front}${admin}${yaml}`, { file: 'test.yaml' });
  if (!configuration) throw new Error(faults.map(formatFault).join('\n'));
  return configuration;
}

/**
 * Starts a balancer from the text of a configuration. `version: 1` and, unless it says otherwise, `admin: off` are put
 * in front of it. Throws the faults when there are any. Listen on `127.0.0.1:0`. With peers in the same process and short
 * times, `now` is best that of lived-time.ts.
 */
export async function startTestBalancer(
  yaml: string,
  options: Pick<BalancerOptions, 'now'> = {},
): Promise<TestBalancer> {
  const configuration = configurationOf(yaml);

  const associations = new Journal<AssociationEvent>('association events');
  const messages = new Journal<MessageEvent>('message events');
  const requests = new Journal<RequestEvent>('request events');
  const connections = new Journal<ConnectionEvent>('connection events');
  const servers = new Journal<ServerEvent>('server events');
  const notices = new Journal<NoticeEvent>('notices');
  const undo = [
    onEvent('association', (event) => associations.add(event)),
    onEvent('message', (event) => messages.add(event)),
    onEvent('request', (event) => requests.add(event)),
    onEvent('connection', (event) => connections.add(event)),
    onEvent('server', (event) => servers.add(event)),
    onEvent('notice', (event) => notices.add(event)),
  ];
  const balancer = await startBalancer(configuration, options);

  async function stop(options?: { readonly drain?: boolean }): Promise<void> {
    await balancer.stop(options);
    for (const unsubscribe of undo.splice(0)) unsubscribe();
  }
  return {
    balancer,
    address(name, index = 0) {
      const endpoint = balancer.endpoints[name]?.[index];
      if (!endpoint) throw new Error(`no VIP ${name} with ${index + 1} addresses`);
      return endpoint;
    },
    get admin() {
      if (!balancer.admin) throw new Error('no admin API in this configuration');
      return balancer.admin;
    },
    associations,
    messages,
    requests,
    connections,
    servers,
    notices,
    apply: (next) => balancer.apply(configurationOf(next)),
    stop,
    [Symbol.asyncDispose]: () => stop(),
  };
}
