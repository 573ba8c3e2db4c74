/**
 * The egress of a DICOM VIP: a second front-end on listeners of its own, for what servers begin themselves - C-MOVE
 * sub-operations, N-EVENT-REPORT. It goes by the called AE title to one of the configured destinations, titles and bytes
 * untouched, but for reports on commitments that were split; a title that has no destination is rejected 1/1/7.
 */
import type { DicomVip, ListenAddress, ProxyVip } from './config/schema.ts';
import { createDirector, type Director } from './director/director.ts';
import { createDicomFrontEnd, type DicomFrontEndOptions } from './frontends/dicom/front-end.ts';
import type { ConnectionView, FrontEnd } from './frontends/front-end.ts';
import { Pool } from './pools/pool.ts';
import type { Endpoint } from './relay/channel.ts';

/** Whom listeners belong to: the VIPs, and the egress of those that have one. */
export function listening(
  vips: readonly ProxyVip[],
): { readonly name: string; readonly listen: readonly ListenAddress[] }[] {
  return vips.flatMap((vip) => {
    const egress = vip.protocol === 'dicom' ? vip.dicom.egress : undefined;
    return egress ? [vip, { name: egressOf(vip), listen: egress.listen }] : [vip];
  });
}

/** The name under which the egress of a VIP listens; no VIP can have it. */
export function egressOf({ name }: ProxyVip): string {
  return `${name} egress`;
}

/** Where called AE titles lead. A destination is a pool of one server, whose health nobody asks for. */
export function createDestinations(
  { name: vip, dicom }: DicomVip,
  now: () => number,
): { readonly director: Director; readonly pools: readonly Pool[] } {
  const destinations = Object.entries(dicom.egress?.destinations ?? {}).map(([ae, address]) => ({
    ae,
    pool: new Pool({
      name: `egress ${ae}`,
      balance: 'first',
      health: { isChecked: false, rise: 1, fall: 1, startDown: false },
      servers: [
        {
          name: `${address.host}:${address.port}`,
          ...address,
          ae: undefined,
          weight: 1,
          maxConnections: undefined,
          backup: false,
        },
      ],
      now,
    }),
  }));
  const director = createDirector({
    vip,
    rules: destinations.map(({ ae, pool }) => ({
      name: `dicom.egress.destinations.${ae}`,
      when: { facts: [{ name: 'called', patterns: [exactly(ae)] }] },
      pool,
    })),
    pool: undefined,
    ignoreCase: dicom.ignoreCase ? ['called'] : [],
    now,
    random: () => 0,
  });
  return { director, pools: destinations.map(({ pool }) => pool) };
}

/** A pattern for this text only. */
function exactly(text: string): string {
  return `/^${text.replaceAll(/[\\^$.*+?()[\]{}|/]/g, '\\$&')}$/`;
}

export interface DicomVipOptions extends DicomFrontEndOptions {
  /** Of the front-end for what servers begin; undefined: there is none. */
  readonly egress: DicomFrontEndOptions | undefined;
}

/** The front-end of a DICOM VIP together with that of its egress. */
export function createDicomVip(options: DicomVipOptions): FrontEnd<DicomVipOptions> {
  return new DicomVipFrontEnd(options);
}

class DicomVipFrontEnd implements FrontEnd<DicomVipOptions> {
  readonly #main: FrontEnd<DicomFrontEndOptions>;
  #egress: FrontEnd<DicomFrontEndOptions> | undefined;
  /** Those that the configuration no longer has: their open work goes on. */
  readonly #leaving = new Set<FrontEnd<DicomFrontEndOptions>>();
  #egressOptions: DicomFrontEndOptions | undefined;

  constructor(options: DicomVipOptions) {
    this.#main = createDicomFrontEnd(options);
    this.#reconfigureEgress(options.egress);
  }

  get endpoints(): readonly Endpoint[] {
    return this.#current().flatMap(({ endpoints }) => endpoints);
  }

  get totals(): Readonly<Record<string, number>> {
    const sums: Record<string, number> = {};
    for (const { totals } of this.#all())
      for (const [name, count] of Object.entries(totals)) sums[name] = (sums[name] ?? 0) + count;
    return sums;
  }

  *connections(): Iterable<ConnectionView> {
    for (const frontEnd of this.#all()) yield* frontEnd.connections();
  }

  reconfigure(options: DicomVipOptions): void {
    this.#main.reconfigure(options);
    this.#reconfigureEgress(options.egress);
  }

  async drain(): Promise<void> {
    await Promise.all(this.#all().map((frontEnd) => frontEnd.drain()));
  }

  async close(): Promise<void> {
    await Promise.all(this.#all().map((frontEnd) => frontEnd.close()));
  }

  #reconfigureEgress(options: DicomFrontEndOptions | undefined): void {
    const before = this.#egress;
    if (options && before) {
      before.reconfigure(options);
    } else if (options) {
      this.#egress = createDicomFrontEnd(options);
    } else if (before) {
      this.#egress = undefined;
      this.#leaving.add(before);
      // Whoever bound its listeners closes them, or has given them to another VIP.
      before.reconfigure({ ...this.#egressOptions!, listeners: [] });
      void before.drain().then(() => this.#leaving.delete(before));
    }
    this.#egressOptions = options;
  }

  #current(): FrontEnd<DicomFrontEndOptions>[] {
    return this.#egress ? [this.#main, this.#egress] : [this.#main];
  }

  #all(): FrontEnd<DicomFrontEndOptions>[] {
    return [...this.#current(), ...this.#leaving];
  }
}
