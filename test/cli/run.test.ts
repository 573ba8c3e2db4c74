import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, it, vi } from 'vitest';
import { accepting, startScp } from '../peers/dicom-scp.ts';
import { associate, requestAssociation } from '../peers/dicom-scu.ts';
import { TestListener } from '../peers/test-connection.ts';
import { FIXTURES, type RunningCli, runCli, runHere, startCli } from './run-cli.ts';

const folder = mkdtempSync(join(tmpdir(), 'gantry-run-'));
afterAll(() => rmSync(folder, { recursive: true }));
const file = join(folder, 'gantry.yaml');

interface Ready {
  readonly vips: string;
  readonly admin: string;
}

let running: RunningCli | undefined;
afterEach(() => running?.process.kill('SIGKILL'));

async function start(text: string, environment: Record<string, string> = {}): Promise<Ready> {
  writeFileSync(file, text);
  running = startCli(['run', '-c', file], environment);
  return JSON.parse(await running.line((line) => line.includes('"msg":"ready"'))) as Ready;
}

const configuration = (server: string): string => `
admin: { listen: 127.0.0.1:0 }
pools: { archive: { servers: [${server}] } }
vips: { ARCHIVE: { protocol: dicom, listen: 127.0.0.1:0, pool: archive } }
`;

describe('gantry run', () => {
  it('logs "ready" when every listener is bound; gantry status asks it; SIGTERM ends it with 0', async () => {
    const { admin } = await start(configuration('127.0.0.1:9'));
    const table = await runCli(['status', '--admin', `http://${admin}`]);
    expect({ code: table.code, stderr: table.stderr }).toEqual({ code: 0, stderr: '' });
    expect(table.stdout).toMatch(
      /^Gantry \d+\.\d+\.\d+, up for \d+s\n\nVIP .*\nARCHIVE {2}dicom {5}proxy {2}127\.0\.0\.1:\d+ {2}archive/,
    );
    expect(table.stdout).toContain('127.0.0.1:9');
    const json = await runCli(['status', '--admin', `http://${admin}`, '--json']);
    expect(JSON.parse(json.stdout)).toMatchObject({
      vips: [{ name: 'ARCHIVE' }],
      pools: [{ name: 'archive' }],
    });
    running!.process.kill('SIGTERM');
    expect((await running!.ended).code).toBe(0);
  });

  it('SIGTERM lets an open association finish; a second SIGTERM ends at once', async () => {
    const scp = await startScp(accepting());
    const ready = await start(configuration(scp.endpoint));
    const port = Number(/:(\d+)$/.exec(ready.vips)?.[1]);
    const association = await associate({ host: '127.0.0.1', port });
    running!.process.kill('SIGTERM');
    await running!.line((line) => line.includes('"msg":"draining"'));
    expect(running!.process.exitCode).toBeNull();
    running!.process.kill('SIGTERM');
    expect((await running!.ended).code).toBe(0);
    association.connection.reset();
    await scp.stop();
  });

  it('SIGTERM ends it, though a client that was turned away keeps its connection open', async () => {
    const ready = await start(configuration('127.0.0.1:9'));
    const port = Number(/:(\d+)$/.exec(ready.vips)?.[1]);
    const association = await requestAssociation({ host: '127.0.0.1', port });
    await association.receiveAnswer();
    expect(association.code).toBe('2/3/1');
    running!.process.kill('SIGTERM');
    expect((await running!.ended).code).toBe(0);
    association.connection.end();
  });

  it('SIGHUP reads the file again; a faulty one is refused with all its faults and changes nothing', async () => {
    const { admin } = await start(configuration('127.0.0.1:9'));
    const addresses = async () => {
      const { stdout } = await runCli(['status', '--admin', `http://${admin}`, '--json']);
      return JSON.parse(stdout).pools[0].servers.map(({ address }: { address: string }) => address);
    };
    writeFileSync(file, `${configuration('127.0.0.1:10')}\nnonsense: 1\nversoin: 2\n`);
    running!.process.kill('SIGHUP');
    await running!.line((line) => line.includes('"msg":"not reloaded"') && line.includes('2 faults'));
    await running!.line((line) => line.includes(`"at":"${file}:7:1"`) && line.includes('versoin'));
    expect(await addresses()).toEqual(['127.0.0.1:9']);
    writeFileSync(
      file,
      configuration('127.0.0.1:10').replace(
        'listen: 127.0.0.1:0, pool',
        'listen: 127.0.0.1:0, limits: { associations: 9 }, pool',
      ),
    );
    running!.process.kill('SIGHUP');
    await running!.line(
      (line) =>
        line.includes('"msg":"reloaded"') && line.includes('vip ARCHIVE changed, pool archive changed'),
    );
    expect(await addresses()).toEqual(['127.0.0.1:10']);
  });

  it('SIGHUP is heeded as soon as it is ready, though the kernel is yet being asked what a run before has left', async () => {
    const [asked, gate] = [join(folder, 'asked'), join(folder, 'gate')];
    const nft = `#!/bin/sh\ntouch ${asked}\nwhile [ ! -e ${gate} ]; do sleep 0.02; done\n`;
    writeFileSync(join(folder, 'nft'), nft, { mode: 0o755 });
    await start(configuration('127.0.0.1:9'), { PATH: `${folder}:${process.env.PATH}` });
    await vi.waitUntil(() => existsSync(asked), { timeout: 30_000 });
    writeFileSync(file, configuration('127.0.0.1:10'));
    running!.process.kill('SIGHUP');
    writeFileSync(gate, '');
    await running!.line((line) => line.includes('"msg":"reloaded"'));
  });

  it('a bad file: every fault on standard error, nothing on standard output, exit 2', async () => {
    const { code, stdout, stderr } = await runCli([
      'run',
      '-c',
      join(FIXTURES, 'invalid', 'unknown-key.yaml'),
    ]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain('unknown-key.yaml:2:1: logg: is not a key here: did you mean "log"?');
  });

  it('a port that is taken: a sentence that names it, exit 1', async () => {
    const taken = new TestListener(() => {});
    await taken.start();
    const { port } = taken.address;
    writeFileSync(
      file,
      configuration('127.0.0.1:9').replace('listen: 127.0.0.1:0, pool', `listen: 127.0.0.1:${port}, pool`),
    );
    const { code, stderr } = await runCli(['run', '-c', file]);
    await taken.stop();
    expect(code).toBe(1);
    expect(stderr).toMatch(/^gantry: .*\n$/);
    expect(stderr).toContain(`127.0.0.1:${port}`);
  });
});

describe('gantry status', () => {
  it('no balancer: a sentence, exit 1', async () => {
    const { code, stdout, stderr } = await runHere(['status', '--admin', 'http://127.0.0.1:9']);
    expect({ code, stdout, stderr }).toEqual({
      code: 1,
      stdout: '',
      stderr:
        'gantry: no balancer answers at http://127.0.0.1:9 (ECONNREFUSED): is it running, and is --admin right?\n',
    });
  });

  it('not a URL: exit 2', async () => {
    const { code, stderr } = await runHere(['status', '--admin', 'localhost:9090']);
    expect({ code, stderr }).toEqual({
      code: 2,
      stderr: 'gantry: --admin "localhost:9090" is not a URL, such as http://127.0.0.1:9090\n',
    });
  });
});
