/** From the file's own form to the form that rooms are given: what the file says in several places put together. */
import { resolve } from 'node:path';
import type { File } from './file-schema.ts';
import { keepsStudies, normaliseDicom } from './normalise-dicom.ts';
import { normaliseHl7 } from './normalise-hl7.ts';
import { normaliseHttp, normaliseTcp } from './normalise-http.ts';
import { normaliseLayer4 } from './normalise-layer4.ts';
import { normalisePool, persistenceOf } from './normalise-pool.ts';
import type { Configuration, RouteConfiguration, VipCommon, VipConfiguration } from './schema.ts';

/** Milliseconds for a PROXY header where there is no TLS to say otherwise. */
const HANDSHAKE = 10_000;

/** Puts together what a good file says; paths are relative to `folder`. */
export function normalise(file: File, folder: string): Configuration {
  const drain = file.timeouts.drain ?? 60_000;
  const { table } = file;
  return {
    admin: file.admin,
    log: file.log,
    table: { kind: 'memory', file: table.file === undefined ? undefined : resolve(folder, table.file) },
    drain,
    probe: file.probe,
    layer4: file.layer4,
    pools: file.pools.map((pool) => normalisePool(pool, file.pools, { drain, folder })),
    vips: file.vips.flatMap((vip) => normaliseVip(vip, file, folder)),
  };
}

type FileVip = File['vips'][number];

function normaliseVip(vip: FileVip, file: File, folder: string): VipConfiguration[] {
  if (vip.mode !== 'proxy') return normaliseLayer4(vip, file);
  const common = commonOf(vip, file);
  switch (vip.protocol) {
    case 'dicom':
      return [normaliseDicom(vip, common, file)];
    case 'hl7':
      return [normaliseHl7(vip, common, file, folder)];
    case 'http':
      return [{ ...common, protocol: 'http', http: normaliseHttp(vip, file.timeouts) }];
    case 'tcp':
      return [{ ...common, protocol: 'tcp', tcp: normaliseTcp(vip, file) }];
    case undefined:
      return [];
  }
}

function commonOf(vip: FileVip, file: File): VipCommon {
  const { tls } = vip;
  return {
    name: vip.name,
    mode: 'proxy',
    source: vip.source,
    listen: vip.listen.flatMap(({ host, port }) => (port === '*' ? [] : [{ host, port }])),
    pool: vip.pool,
    persistence: vip.persistence && persistenceOf(vip.persistence, keepsStudies(vip)),
    tls: tls && {
      certificates: [...(tls.cert && tls.key ? [{ cert: tls.cert, key: tls.key }] : []), ...tls.certificates],
      clientCa: tls.clientCa,
      minVersion: tls.minVersion,
      profile: tls.profile,
      aeTitles: tls.aeTitles ?? {},
      senders: tls.senders ?? {},
    },
    proxyProtocol: vip.proxyProtocol,
    trustedProxies: vip.trustedProxies ?? file.trustedProxies,
    handshakeTimeout: tls?.handshake ?? HANDSHAKE,
    routes: vip.routes.map((route) => routeOf(route, vip)),
  };
}

function routeOf(route: FileVip['routes'][number], vip: FileVip): RouteConfiguration {
  const reject = route.redirect ? 'redirect' : route.respond ? 'respond' : route.reject;
  return {
    when: route.when,
    pool: reject === undefined ? (route.pool ?? vip.pool) : undefined,
    reject,
    balance: route.balance,
    urgent: route.urgent,
    onAmbiguous: route.onAmbiguous,
  };
}
