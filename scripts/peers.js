/** The Debian packages of the peers that tests talk to: installed when they are missing and this is root's machine. */
import { spawnSync } from 'node:child_process';
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Debian package → a program of it. test/peers/processes.ts skips what is not there. */
const PACKAGES = {
  dcmtk: 'storescp',
  orthanc: 'Orthanc',
  haproxy: 'haproxy',
  'python3-hl7': 'mllp_send',
  iperf3: 'iperf3',
  tshark: 'tshark',
  'nginx-light': 'nginx',
  wrk: 'wrk',
  'nghttp2-client': 'h2load',
  slowhttptest: 'slowhttptest',
  'testssl.sh': 'testssl',
  chromium: 'chromium',
  'iputils-ping': 'ping',
  curl: 'curl',
  openssl: 'openssl',
  iproute2: 'ip',
  nftables: 'nft',
  conntrack: 'conntrack',
  nftlb: 'nftlb',
  procps: 'sysctl',
};

/** Debian asks this program whether a service that was just installed may start; 101 is no. */
const SERVICE_POLICY = '/usr/sbin/policy-rc.d';

export function installPeers() {
  const missing = Object.keys(PACKAGES).filter((name) => !isInstalled(PACKAGES[name]));
  if (missing.length === 0) return;
  if (process.getuid?.() !== 0 || !existsSync('/usr/bin/apt-get')) {
    console.log(
      `Missing, and installed only by root on Debian: ${missing.join(' ')}. Their tests are skipped.`,
    );
    return;
  }
  console.log(`Installing peers: ${missing.join(' ')}…`);
  withoutServices(() => {
    let result = install(missing);
    if (result.status === 0) return;
    // The lists may be empty or old.
    aptGet(['update']);
    result = install(missing);
    if (result.status === 0) return;
    for (const name of missing) {
      result = install([name]);
      if (result.status === 0) continue;
      console.log(`${name} cannot be installed, its tests are skipped:\n${result.stdout}${result.stderr}`);
    }
  });
}

function isInstalled(program) {
  const folders = [...(process.env.PATH ?? '').split(':'), '/usr/sbin'];
  return folders.some((folder) => existsSync(join(folder, program)));
}

function install(names) {
  return aptGet(['install', '-y', '--no-install-recommends', ...names]);
}

function aptGet(options) {
  return spawnSync('apt-get', ['-q', ...options], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
  });
}

/** Runs `work` while Debian starts no services: Orthanc's own would take ports 4242 and 8042 for good. */
function withoutServices(work) {
  const ours = !existsSync(SERVICE_POLICY);
  if (ours) writeFileSync(SERVICE_POLICY, '#!/bin/sh\nexit 101\n', { mode: 0o755 });
  try {
    work();
  } finally {
    if (ours) rmSync(SERVICE_POLICY);
  }
}
