/** A DICOM VIP in front of scripted servers, for the tests of this folder; everything is stopped after each test. */
import { afterEach } from 'vitest';
import { accepting, type Scp, type ScpScript, startScp } from '../../peers/dicom-scp.ts';
import { now } from '../../peers/lived-time.ts';
import { startTestBalancer, type TestBalancer } from '../../peers/start-balancer.ts';
import type { Address } from '../../peers/test-connection.ts';

const cleanUp: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const stop of cleanUp.splice(0).reverse()) await stop();
});

export async function scp(script: ScpScript = accepting()): Promise<Scp> {
  const one = await startScp(script);
  cleanUp.push(() => one.stop());
  return one;
}

export interface DicomBalancer extends TestBalancer {
  /** Where the VIP listens. */
  readonly vip: Address;
}

export interface Setting {
  /** Lines under the VIP. */
  readonly vip?: string;
  /** Lines under the pool; default: no health check, the first server that can be had. */
  readonly pool?: string;
  /** Lines under `vips.V.dicom`; default: no server is given up for being slow. */
  readonly dicom?: string;
  /** With an admin API, to look at what is open (peers/admin-api.ts). */
  readonly admin?: true;
}

/** A VIP `V` over a pool `P` of these servers, `s1`, `s2`, … */
export async function balance(
  servers: readonly (Scp | string)[],
  setting: Setting = {},
): Promise<DicomBalancer> {
  const list = servers.map((server, index) => {
    if (typeof server === 'string') return `      - { name: s${index + 1}, ${server} }`;
    return `      - { name: s${index + 1}, address: "${server.endpoint}" }`;
  });
  const yaml = `
admin: ${setting.admin ? '{ listen: "127.0.0.1:0" }' : 'off'}
pools:
  P:
    servers:
${list.join('\n')}
${indent(setting.pool ?? 'balance: first\nhealth: { check: none }', 4)}
vips:
  V:
    protocol: dicom
    listen: ["127.0.0.1:0"]
${indent(setting.vip ?? 'pool: P', 4)}
    dicom:
${indent(setting.dicom ?? 'timeouts: { connect: 30s, accept: 30s }', 6)}
`;
  const balancer = await startTestBalancer(yaml, { now });
  cleanUp.push(() => balancer.stop());
  return Object.assign(balancer, { vip: balancer.address('V') });
}

function indent(lines: string, by: number): string {
  return lines
    .split('\n')
    .map((line) => ' '.repeat(by) + line)
    .join('\n');
}
