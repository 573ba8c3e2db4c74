/** Must show, TLS: testssl.sh finds nothing above 'low'; h2load runs clean. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createAuthority } from '../peers/certificates.ts';
import { type Nginx, startNginx } from '../peers/nginx.ts';
import { describeWith, runProgram, startProgram } from '../peers/processes.ts';
import { startTestBalancer, type TestBalancer } from '../peers/start-balancer.ts';

interface Finding {
  readonly id: string;
  readonly severity: string;
  readonly finding: string;
}

/** Of a certificate that was made for the test, not of how it is served. */
const OF_THE_CERTIFICATE = /^cert_|^DNS_CAArecord|^OCSP_stapling/;
/**
 * What testssl lacks on this machine; and whether sessions are resumed, which is no matter of safety: its client leaves
 * at once, on a busy machine before the ticket of TLS 1.3 has come, and then has nothing to resume with.
 */
const OF_THE_SCANNER = /^engine_problem$|^sessionresumption_/;

describeWith(['nginx-light', 'testssl.sh', 'nghttp2-client', 'openssl'], 'a TLS VIP', () => {
  const folder = mkdtempSync(join(tmpdir(), 'gantry-tls-'));
  let nginx: Nginx;
  let balancer: TestBalancer;
  let port: number;

  beforeAll(async () => {
    nginx = await startNginx('web-a');
    const authority = await createAuthority();
    const { cert, key } = await authority.issue({ names: ['localhost'], days: 90 });
    const pem = (text: string) => JSON.stringify(text);
    writeFileSync(join(folder, 'ca.pem'), authority.ca);
    balancer = await startTestBalancer(`
pools: { web: { servers: ["${nginx.endpoint}"] } }
vips:
  WEB: { protocol: http, listen: "127.0.0.1:0", pool: web, tls: { cert: ${pem(cert)}, key: ${pem(key)} } }
`);
    ({ port } = balancer.address('WEB'));
  });
  afterAll(async () => {
    await balancer?.stop();
    await nginx?.stop();
    rmSync(folder, { recursive: true });
  });

  test("testssl.sh finds nothing above 'low'", { timeout: 300_000 }, async () => {
    const json = join(folder, 'findings.json');
    const args = [
      ...['--quiet', '--color', '0', '--warnings', 'off', '--ip', 'one', '--jsonfile', json],
      ...['-p', '-s', '-f', '-P', '-S', '-U', `localhost:${port}`],
    ];
    // An answer that is slow to come would be a finding after 5 s.
    const scan = startProgram('testssl', args, { env: { HEADER_MAXSLEEP: '60' } });
    await scan.exited;
    const findings = JSON.parse(readFileSync(json, 'utf8')) as Finding[];
    expect(findings.length, scan.output).toBeGreaterThan(40);
    const grave = findings.filter(
      ({ id, severity }) =>
        !['OK', 'INFO', 'LOW', 'DEBUG'].includes(severity) &&
        !OF_THE_CERTIFICATE.test(id) &&
        !OF_THE_SCANNER.test(id),
    );
    expect(grave).toEqual([]);
  });

  test.each([
    ['HTTP/2', []],
    ['HTTP/1.1', ['--h1']],
  ])('h2load runs clean over %s', async (_, options) => {
    const args = ['-n', '5000', '-c', '20', '-m', '8', ...options, `https://127.0.0.1:${port}/`];
    const { code, output } = await runProgram('h2load', args);
    expect(code).toBe(0);
    expect(output).toContain('5000 succeeded, 0 failed, 0 errored, 0 timeout');
    expect(output).toContain('status codes: 5000 2xx, 0 3xx, 0 4xx, 0 5xx');
  });
});
