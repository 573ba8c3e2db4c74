/** What a newcomer does first: starts the demo, and tries the commands that it prints. */
import { existsSync, readFileSync } from 'node:fs';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Demo, startDemo } from '../../src/demo/demo.ts';
import { dcmdump, echoscu, storescu } from '../peers/dcmtk.ts';
import { splitFile } from '../peers/dicom-files.ts';
import { associate, echoOnce } from '../peers/dicom-scu.ts';
import { fieldOf, hl7Message } from '../peers/hl7-messages.ts';
import { connectSender } from '../peers/mllp-peer.ts';
import { CT_IMAGE_STORAGE } from '../peers/pdus.ts';
import { describeWith, freePort, runProgram } from '../peers/processes.ts';
import { Journal } from '../peers/waiting.ts';

const host = '127.0.0.1';
let demo: Demo;
let ports: { dicomPort: number; hl7Port: number; httpPort: number; adminPort: number };
let said: Journal<string>;

beforeEach(async () => {
  ports = {
    dicomPort: await freePort(),
    hl7Port: await freePort(),
    httpPort: await freePort(),
    adminPort: await freePort(),
  };
  said = new Journal('lines');
  demo = await startDemo({ ...ports, print: (line) => said.add(line) });
});
afterEach(() => demo.stop());

const dicom = () => ({ host, port: ports.dicomPort });

/** Everything said so far. */
const spoken = () => said.items.join('\n');

test('it says what listens where, and three commands with real paths', () => {
  expect(spoken()).toContain(
    `storescu -R -aec DEMO 127.0.0.1 ${ports.dicomPort} ${demo.samples.dicom.CT.join(' ')}`,
  );
  expect(spoken()).toContain(`mllp_send --loose -p ${ports.hl7Port} -f ${demo.samples.hl7} 127.0.0.1`);
  expect(spoken()).toContain(`curl -i http://127.0.0.1:${ports.httpPort}/`);
  for (const path of [demo.configuration, demo.samples.hl7, ...Object.values(demo.samples.dicom).flat()]) {
    expect(existsSync(path)).toBe(true);
  }
});

test('associations go by called AE title and by modality, and what is stored is what was sent', async () => {
  const file = splitFile(readFileSync(demo.samples.dicom.CT[0]!));
  const client = await associate(dicom(), { called: 'DEMO', propose: [CT_IMAGE_STORAGE] });
  expect(await client.store({ sopClass: CT_IMAGE_STORAGE, ...file })).toBe(0);
  await client.release();
  await said.find((line) => /by ct-mr-[ab] \(routes\[4\]\) · C-STORE 1 × 0000 · release/.test(line));
  expect(await echoOnce(dicom(), { called: 'RESEARCH' })).toBe('0000');
  await said.find((line) => line.includes('by research (routes[2])'));
  expect(await echoOnce(dicom(), { called: 'OLDPACS' })).toBe('rejected 1/1/7');
  const kept = demo.servers.flatMap((server) => ('instances' in server ? [server.instances] : []));
  const stored = kept.flatMap((instances) => [...(instances as Map<string, Buffer>)]);
  expect(stored.map(([sopInstance]) => sopInstance)).toEqual([file.sopInstance]);
  expect(stored[0]?.[1].equals(file.dataSet)).toBe(true);
});

test('messages go by type and by patient', async () => {
  const sender = await connectSender({ host, port: ports.hl7Port });
  const takenBy = async (message: Buffer) => fieldOf((await sender.send(message))!, 'MSA', 3);
  expect(await takenBy(hl7Message({ controlId: '1', type: 'ORM', event: 'O01' }))).toBe('taken by orders');
  const first = await takenBy(hl7Message({ controlId: '2', patient: 'INV1' }));
  expect(first).toMatch(/^taken by adt-[ab]$/);
  expect(await takenBy(hl7Message({ controlId: '3', patient: 'INV1', event: 'A08' }))).toBe(first);
  sender.end();
  await said.find((line) => line.includes('ADT^A08 3') && line.includes('delivered'));
});

test('requests go by path, a cookie keeps the server, and a WebSocket echoes', async () => {
  const web = `http://127.0.0.1:${ports.httpPort}`;
  const first = await fetch(web);
  const answer = await first.text();
  expect(answer).toMatch(/^GET answered by web-[ab]$/m);
  const cookie = first.headers.getSetCookie()[0]!.split(';')[0]!;
  for (let count = 0; count < 5; count++)
    expect(await (await fetch(web, { headers: { cookie } })).text()).toBe(answer);
  expect(await (await fetch(`${web}/chat/`)).text()).toMatch(/chat-[ab]/);
  await said.find((line) => /GET HTTP\/1\.1 · by chat-[ab] \(routes\[1\]\) · 200/.test(line));

  const socket = new WebSocket(`${web.replace('http', 'ws')}/chat/echo`);
  const messages = new Journal<string>('WebSocket messages');
  socket.onmessage = ({ data }) => messages.add(String(data));
  await messages.find((text) => text.endsWith('echoes what you send'));
  socket.send('invented');
  await messages.find((text) => text === 'invented');
  socket.close();
  await said.find((line) => line.includes('· 101 ·'));
});

test('status, connections and the page are there', async () => {
  const web = `http://127.0.0.1:${ports.adminPort}`;
  const status = await (await fetch(`${web}/api/v1/status`)).json();
  expect(status).toMatchObject({ vips: [{ name: 'DEMO' }, { name: 'MESSAGES' }, { name: 'WEB' }] });
  const client = await associate(dicom(), { called: 'RESEARCH', calling: 'CT1' });
  const open = await (await fetch(`${web}/api/v1/connections`)).json();
  expect(open).toMatchObject([{ vip: 'DEMO', server: 'research', facts: { calling: 'CT1' } }]);
  await client.release();
  expect(await (await fetch(`${web}/`)).text()).toContain('<title>Gantry</title>');
});

test('a taken port is said with the option to change it', async () => {
  const again = (changed: object) => startDemo({ ...ports, ...changed, print: () => {} });
  await expect(again({})).rejects.toThrow(
    `port ${ports.dicomPort} on 127.0.0.1, for DICOM, is taken or not permitted: choose another one with --dicom-port`,
  );
  await expect(again({ dicomPort: await freePort() })).rejects.toThrow('--hl7-port');
  const others = { dicomPort: await freePort(), hl7Port: await freePort() };
  await expect(again(others)).rejects.toThrow('--http-port');
  await expect(again({ ...others, httpPort: await freePort() })).rejects.toThrow('--admin-port');
});

test('its end leaves nothing behind', async () => {
  await demo.stop();
  expect(existsSync(demo.configuration)).toBe(false);
  await expect(associate(dicom())).rejects.toThrow('ECONNREFUSED');
});

describeWith(['dcmtk'], 'with DCMTK', () => {
  test('storescu stores, with and without -R', async () => {
    const { CT, MR, US, CR } = demo.samples.dicom;
    const called = 'DEMO';
    expect(await storescu(dicom(), CT, { called })).toEqual({ code: 0, output: '' });
    expect(await storescu(dicom(), [...CT, ...MR, ...US, ...CR], { called, args: [] })).toMatchObject({
      code: 0,
    });
    expect(await echoscu(dicom(), { called: 'STAT1' })).toMatchObject({ code: 0 });
    await said.find((line) => /by pacs-[ab] \(default\) · C-STORE 12 × 0000/.test(line));
  });

  test('the sample files are DICOM, of nobody', async () => {
    for (const file of Object.values(demo.samples.dicom).flat()) {
      const dump = await dcmdump(file);
      expect(dump).toContain('[DEMO^INVENTED]');
      expect(dump).not.toMatch(/^[EW]:/m);
    }
  });
});

describeWith(['python3-hl7'], 'with python3-hl7', () => {
  test('mllp_send gets its acknowledgements', async () => {
    const sent = await runProgram('mllp_send', [
      '--loose',
      '-p',
      String(ports.hl7Port),
      '-f',
      demo.samples.hl7,
      '127.0.0.1',
    ]);
    expect(sent.code).toBe(0);
    expect(sent.output.match(/MSA\|AA\|DEMO[123]\|taken by (?:adt-[ab]|orders)/g)).toHaveLength(3);
  });
});
