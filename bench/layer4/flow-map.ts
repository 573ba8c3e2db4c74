/** The map in the kernel in which a DR VIP keeps its flows, filled with flows of clients that do not exist. */
import type { Namespace } from '../../test/peers/namespaces.ts';

interface Listing {
  readonly nftables: readonly { readonly map?: KernelMap }[];
}

interface KernelMap {
  readonly family: string;
  readonly table: string;
  readonly name: string;
  readonly elem?: readonly (readonly [key: number, value: string])[];
}

/** Elements that one `nft` adds. */
const AT_ONCE = 20_000;
const PORTS_OF_A_CLIENT = 1000;

/** `count` flows from invented clients to `host` and `port`, which are `server`'s for an hour. */
export async function fillFlowMap(
  lb: Namespace,
  flow: { readonly host: string; readonly port: number; readonly server: string; readonly count: number },
): Promise<void> {
  const flows = (await mapsOf(lb)).find(({ name }) => name.startsWith('flows_'))!;
  const [servers] = await mapsOf(lb, flows.family, flows.table, 'addresses');
  const [mark] = servers!.elem!.find(([, address]) => address === flow.server)!;
  const elements = Array.from({ length: flow.count }, (_, index) => {
    const client = Math.floor(index / PORTS_OF_A_CLIENT);
    const port = 1024 + (index % PORTS_OF_A_CLIENT);
    const address = `10.70.${Math.floor(client / 250)}.${(client % 250) + 1}`;
    return `${address} . ${flow.host} . ${port} . ${flow.port} timeout 1h : ${mark}`;
  });
  for (let from = 0; from < elements.length; from += AT_ONCE) {
    const some = elements.slice(from, from + AT_ONCE).join(', ');
    const input = `add element ${flows.family} ${flows.table} ${flows.name} { ${some} }\n`;
    await lb.must('nft', ['-f', '-'], { input });
  }
}

/** Not the whole ruleset: what updates maps has no form in JSON, and is complained of. */
async function mapsOf(lb: Namespace, ...of: readonly string[]): Promise<KernelMap[]> {
  const listed = of.length === 0 ? ['maps'] : ['map', ...of];
  const { nftables } = JSON.parse(await lb.must('nft', ['-j', 'list', ...listed])) as Listing;
  return nftables.flatMap(({ map }) => map ?? []);
}
