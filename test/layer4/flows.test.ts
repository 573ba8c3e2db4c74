/** How long a flow is known: from its SYN to its end, and what happens to packets of none. */
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import type { Layer4 } from '../../src/layer4/layer4.ts';
import type { Lifetimes } from '../../src/layer4/plan.ts';
import { onEvent } from '../../src/observe/events.ts';
import { namespacesOrSkip, prepareForDirectReturn } from '../peers/namespaces.ts';
import { createField, type Field, until, untilFlows } from './field.ts';

const VIP = '10.50.0.10';
const TABLE = 'netdev gantry_dr_eis';
const SHORT: Lifetimes = { opening: 60_000, closing: 600, quiet: 900_000, flows: 4 };

namespacesOrSkip('flows', () => {
  let field: Field;
  let layer4: Layer4;
  beforeAll(async () => {
    field = await createField({ vips: [VIP], ports: [104] });
    await prepareForDirectReturn(field.site.servers, [VIP]);
  });
  beforeEach(() => {
    layer4 = field.start({ lifetimes: SHORT });
  });
  afterEach(() => layer4.close('remove'));
  afterAll(() => field.close());

  const flows = () => field.elements(TABLE, 'flows_ip_4');
  const ended = async () => (await flows()).length === 0;

  /** Flows whose end was seen. */
  const ends = async () => {
    const marks = await field.elements(TABLE, 'addresses');
    const counts = marks.map(({ key }) => field.count(TABLE, `ends_${Number(key).toString(16)}`));
    return (await Promise.all(counts)).reduce((sum, count) => sum + count, 0);
  };

  test('a flow has the short time until more than its SYN came, then the long one, and a short one after its end', async () => {
    await layer4.apply([field.service()]);
    const { connection } = await field.open(VIP, 104);
    expect((await flows())[0]!.expires).toBeGreaterThan(SHORT.opening);
    await field.client.ask('close', { connection });
    expect((await flows())[0]?.expires ?? 0).toBeLessThan(SHORT.opening);
    await until('the flow to be forgotten', ended);
    expect((await layer4.traffic()).get('eis')!.get('pool/s1')!.connections).toBe(1);
    await untilFlows(layer4, 'pool/s1', 0);
    expect(await ends()).toBe(1);
  });

  test('so does a flow that was reset', async () => {
    await layer4.apply([field.service()]);
    const { connection } = await field.open(VIP, 104);
    await field.client.ask('close', { connection, reset: true });
    await until('the flow to be forgotten', ended);
  });

  test('a SYN alone is known for the short time', async () => {
    await layer4.apply([field.service({ servers: [field.target(1)] })]);
    const [mute] = field.site.servers;
    await mute!.must('nft', [
      'table ip mute { chain in { type filter hook input priority 0; tcp dport 104 drop; }; }',
    ]);
    const opening = field.open(VIP, 104);
    await until('the flow', async () => !(await ended()));
    const expires = (await flows())[0]!.expires!;
    expect(expires).toBeLessThanOrEqual(SHORT.opening);
    await mute!.must('nft', ['delete', 'table', 'ip', 'mute']);
    await opening;
  });

  test('a half-closed connection lives on as long as the client acknowledges', async () => {
    const [server] = field.site.servers;
    const program = server!.start(process.execPath, ['-e', TALKATIVE]);
    await field.servers[0]!.ask('listening', { host: '127.0.0.1', ports: [2575] });
    const servers = [field.target(1)];
    layer4 = field.start({ lifetimes: { ...SHORT, closing: 1500 } });
    await layer4.apply([field.service({ listen: [{ host: VIP, port: 2575 }], servers })]);
    const { connection } = await field.client.ask('connect', { host: VIP, port: 2575 });
    const closed = field.client.ask('close', { connection });
    const text = await field.client.ask('receive', { connection, until: 'the end\n' });
    expect(text).toMatch(/^line 1\n.*line 10\nthe end\n$/s);
    await closed;
    expect(await ends()).toBe(1);
    await until('the flow to be forgotten', ended);
    // A FIN and then a reset are one end.
    const other = await field.client.ask('connect', { host: VIP, port: 2575 });
    const ending = field.client.ask('close', other);
    await field.client.ask('receive', { connection: other.connection, until: 'line 1\n' });
    await Promise.all([ending, field.client.ask('close', { ...other, reset: true })]);
    expect(await ends()).toBe(2);
    await program.stop();
  });

  test('an idle flow that lapses is reset at its next packet, and not given to another server', async () => {
    await layer4.apply([field.service()]);
    const { connection } = await field.open(VIP, 104);
    // Short only now: it is not to lapse while it opens.
    await layer4.apply([field.service({ idle: 1000 })]);
    await field.client.ask('send', { connection, text: 'good night\n' });
    await until('the flow to be forgotten', ended);
    await field.client.ask('send', { connection, text: 'good morning\n' });
    await until('its end', async () => !(await field.client.ask('isOpen', { connection })));
    expect(await field.count(TABLE, 'unknown')).toBeGreaterThan(0);
    const traffic = [...(await layer4.traffic()).get('eis')!.values()];
    expect(traffic.map(({ connections }) => connections)).toEqual(expect.arrayContaining([0, 1]));
  });

  test('a flow whose client has long been silent is known, but not counted: its server may have ended it', async () => {
    layer4 = field.start({ lifetimes: { ...SHORT, quiet: 2500 } });
    await layer4.apply([field.service()]);
    const { connection, server } = await field.open(VIP, 104);
    const flowsNow = async () => {
      // A change has flows counted anew.
      await layer4.apply([field.service()]);
      return (await layer4.traffic()).get('eis')!.get(`pool/${server}`)!.flows;
    };
    const isCountedWhenItSpeaks = async () => {
      expect(await field.ask(connection)).toBe(server);
      return (await flowsNow()) === 1;
    };
    await until('a flow to be counted', isCountedWhenItSpeaks);
    await until('it to be silent', async () => (await flowsNow()) === 0);
    await until('it to be counted again', isCountedWhenItSpeaks);
  });

  test('a flow whose server was away, and whose client has been silent since, is not counted', async () => {
    const targets = (duty: 'open' | 'gone') => [field.target(1, { duty }), field.target(2, { duty: 'gone' })];
    await layer4.apply([field.service({ servers: targets('open') })]);
    const { connection, server } = await field.open(VIP, 104);
    expect(server).toBe('s1');
    await untilFlows(layer4, 'pool/s1', 1);
    await layer4.update('eis', targets('gone'));
    // What is left of a time is known in whole seconds.
    await until('a second or two', async () => (await flows())[0]!.expires! < 3_598_000);
    await layer4.update('eis', targets('open'));
    await untilFlows(layer4, 'pool/s1', 0);
    // The server had never been away: it is heard of again.
    expect(await field.ask(connection)).toBe('s1');
  });

  test('no room for more flows: new ones wait, what is open is not touched', async () => {
    const told: string[] = [];
    const stop = onEvent('notice', ({ message }) => told.push(message));
    await layer4.apply([field.service()]);
    await layer4.traffic();
    const open = [];
    for (let index = 0; index < SHORT.flows; index++) open.push(await field.open(VIP, 104));
    const waiting = field.open(VIP, 104);
    await until('a SYN to be dropped', async () => (await field.count(TABLE, 'full')) > 0);
    await layer4.traffic();
    expect(told).toEqual(['there is no room for more flows: new connections were not forwarded']);
    for (const { connection, server } of open) expect(await field.ask(connection)).toBe(server);
    await field.client.ask('close', open[0]!);
    expect((await waiting).server).toMatch(/^s[12]$/);
    stop();
  });

  test('ports used again after an end are a new flow', async () => {
    await layer4.apply([field.service()]);
    const client = field.site.clients[0]!;
    await client.must(process.execPath, ['-e', SAME_PORT, VIP]);
    const traffic = [...(await layer4.traffic()).get('eis')!.values()];
    expect(traffic.map(({ connections }) => connections)).toEqual([1, 1]);
  });
});

/** Begins to talk when the client has nothing more to say, for longer than a flow is known after its end. */
const TALKATIVE = `
  require('net').createServer({ allowHalfOpen: true }, (socket) => {
    let line = 0;
    socket.on('error', () => {}).resume().on('end', () => {
      const timer = setInterval(() => {
        if (line < 10) return socket.write('line ' + ++line + '\\n');
        clearInterval(timer);
        socket.end('the end\\n');
      }, 250);
    });
  }).listen(2575, '::');`;

/** Two connections from one port, which the system gives nobody by itself, one after the other; each is answered. */
const SAME_PORT = `
  const net = require('net');
  const open = (then) => {
    const socket = net.connect({ host: process.argv[1], port: 104, localPort: 20000 }, () => socket.write('hello\\n'));
    socket.once('data', () => { socket.resetAndDestroy(); socket.once('close', then); });
    socket.once('error', (error) => { console.error(error.message); process.exit(1); });
  };
  open(() => open(() => process.exit(0)));`;
