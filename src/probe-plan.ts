/** From the configuration to what a probe asks: the servers of each pool that DICOM VIPs reach, and as whom. */
import { isAeTitle } from '../protocols/dicom/associate-write.ts';
import { poolNamesOf } from './assemble.ts';
import type { CheckConfiguration } from './config/health-configuration.ts';
import type { Configuration, DicomVip, PoolConfiguration, VipConfiguration } from './config/schema.ts';
import type { PoolToProbe, Title } from './probe/prober.ts';
import { proposalsFor } from './probe/proposals.ts';
import { literalsOf, type Reaching, type Route, reachOf } from './probe/reach.ts';

/** What an operator asks for beside the configuration. */
export interface PlanOptions {
  /** Only what this VIP reaches, only this pool. */
  readonly vip?: string | undefined;
  readonly pool?: string | undefined;
  /** Further calling AE titles, for every pool. */
  readonly calling?: readonly string[] | undefined;
  /** Where neither a server nor a rule says what it is called. */
  readonly called?: string | undefined;
  readonly all?: boolean | undefined;
}

/** The balancer's own title, as its checks have it, where nothing names another one. */
const OWN_TITLE = 'GANTRY';
const ANY_CALLED = 'ANY-SCP';

/** In the order of the configuration; empty when there is nothing that speaks DICOM. */
export function planProbe({ vips, pools }: Configuration, options: PlanOptions = {}): PoolToProbe[] {
  const chosen = vips
    .filter(isDicom)
    .filter(({ name }) => options.vip === undefined || name === options.vip)
    .map((vip) => ({ vip, routes: routesOf(vip), reached: reachedBy(vip) }));
  return pools
    .filter(({ name }) => options.pool === undefined || name === options.pool)
    .flatMap((pool) => {
      const over = chosen.filter(({ vip }) => poolNamesOf(vip).has(pool.name));
      if (over.length === 0) return [];
      const routes = over.flatMap((one) => one.routes);
      const reaching = over
        .flatMap(({ reached }) => reached.get(pool.name) ?? [])
        .filter(({ called }) => called === undefined || isAeTitle(called));
      const clientPort = over.flatMap(({ vip }) => vip.listen).find(({ port }) => port !== 0)?.port;
      const wanted = {
        all: options.all,
        sopClasses: literalsOf(routes, 'sopClass'),
        modalities: literalsOf(routes, 'modality'),
      };
      return {
        name: pool.name,
        servers: pool.servers.map(({ name, host, port, ae }) => ({
          ...{ name, host, ae },
          port: port ?? clientPort,
        })),
        link: pool.link,
        titles: titlesOf(pool, reaching, options),
        proposals: proposalsFor(wanted),
      };
    });
}

function isDicom(vip: VipConfiguration): vip is DicomVip {
  return vip.protocol === 'dicom';
}

/** Its rules, and what is left for its own pool. */
function routesOf({ routes, pool }: DicomVip): Route[] {
  return pool === undefined ? [...routes] : [...routes, { when: { facts: [] }, pool }];
}

function reachedBy(vip: DicomVip): ReadonlyMap<string, readonly Reaching[]> {
  const { clients, ignoreCase } = vip.dicom;
  const routes = routesOf(vip);
  const configured = [
    ...Object.keys(clients),
    ...literalsOf(routes, 'calling'),
    ...Object.values(vip.tls?.aeTitles ?? {}).flat(),
  ];
  // A pattern may be no AE title: nobody comes as such.
  return reachOf(routes, [...new Set(configured)].filter(isAeTitle), ignoreCase);
}

/**
 * The configured titles, those of the pool's own check and those asked for. A client's word for the server is what the
 * rules name; where they name none, what the command line or the check says.
 */
function titlesOf(
  { health, servers }: PoolConfiguration,
  reaching: readonly Reaching[],
  options: PlanOptions,
): Title[] {
  const echoes = echoesOf(health);
  const fallback = options.called ?? echoes[0]?.called ?? ANY_CALLED;
  const configured = [...Map.groupBy(reaching, ({ calling }) => calling)].flatMap(([calling, all]) => {
    if (calling === undefined) return [];
    const named = all.flatMap(({ called }) => called ?? []);
    return (named.length > 0 ? named : [fallback]).map((called) => ({ calling, called }));
  });
  const own = [...echoes.map(({ calling }) => calling), ...(options.calling ?? [])];
  if (configured.length + own.length === 0) own.push(OWN_TITLE);
  const named = new Set(reaching.flatMap(({ called }) => called ?? []));
  const calledOfOwn = named.size > 0 ? [...named] : [fallback];
  const all = [
    ...configured,
    ...own.flatMap((calling) => calledOfOwn.map((called) => ({ calling, called }))),
  ];
  // Where each server has a title of its own, none of these is ever heard.
  const isHeard = servers.some(({ ae }) => ae === undefined);
  const titles = new Map(
    all.map((title) => [isHeard ? `${title.calling}\\${title.called}` : title.calling, title]),
  );
  return [...titles.values()];
}

type Echo = Extract<CheckConfiguration, { readonly check: 'dicom-echo' }>;

function echoesOf(check: CheckConfiguration): Echo[] {
  if (check.check === 'dicom-echo') return [check];
  return check.check === 'all' || check.check === 'any' ? check.parts.flatMap(echoesOf) : [];
}
