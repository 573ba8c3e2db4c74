/** Store mode in a whole balancer: its queues at start, at stop, and through reloads that move, add and remove them. */
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { statusOf } from './peers/admin-api.ts';
import { acknowledgementOf, fieldOf, hl7Message } from './peers/hl7-messages.ts';
import { connectSender, type MllpSender, type Receiver, startReceiver } from './peers/mllp-peer.ts';
import { startTestBalancer, type TestBalancer } from './peers/start-balancer.ts';
import { createGate } from './peers/waiting.ts';
import { scratchFolder } from './queue/scratch.ts';

/** A receiver that is there, or (`away`) one that nobody can connect to until `restart`. */
async function receiver(is: 'here' | 'away' = 'here'): Promise<Receiver> {
  const started = await startReceiver();
  onTestFinished(() => started.stop());
  if (is === 'away') await started.refuse();
  return started;
}

async function start(yaml: string): Promise<TestBalancer> {
  const balancer = await startTestBalancer(yaml);
  onTestFinished(() => balancer.stop());
  return balancer;
}

interface Vip {
  readonly receiver: Receiver;
  /** undefined: relay. */
  readonly queue?: string | undefined;
}

/** VIPs that each have a receiver of their own. */
function yamlOf(vips: Readonly<Record<string, Vip>>, front = ''): string {
  const entries = Object.entries(vips);
  const pools = entries.map(
    ([
      name,
      {
        receiver: { endpoint },
      },
    ]) => `  ${name}: { servers: [{ name: s, address: "${endpoint}" }], health: { check: none } }\n`,
  );
  const fronts = entries.map(([name, { queue }]) => {
    const hl7 = queue === undefined ? '{}' : `{ delivery: store, ackOnStore: AA, queue: ${queue} }`;
    return `  ${name}: { protocol: hl7, listen: "127.0.0.1:0", pool: ${name}, hl7: ${hl7} }\n`;
  });
  return `${front}pools:\n${pools.join('')}vips:\n${fronts.join('')}`;
}

let messages = 0;

/** Sends a new message; its control id when it was acknowledged. */
async function send(to: MllpSender): Promise<string> {
  const controlId = `M${++messages}`;
  const answer = await to.send(hl7Message({ controlId, patient: `INV${messages}` }));
  expect(answer && [fieldOf(answer, 'MSA', 1), fieldOf(answer, 'MSA', 2)]).toEqual(['AA', controlId]);
  return controlId;
}

const sendTo = async (balancer: TestBalancer, vip: string) =>
  send(await connectSender(balancer.address(vip)));

const controlIds = ({ messages: { items } }: Receiver) => items.map(({ controlId }) => controlId);

test('a message is acknowledged with no server there, and delivered by the next process that has the file', async () => {
  const queue = join(scratchFolder(), 'ris.queue');
  const ris = await receiver('away');
  const yaml = yamlOf({ RIS: { receiver: ris, queue } });
  const first = await start(yaml);
  const id = await sendTo(first, 'RIS');
  await first.stop();
  expect(first.notices.items.at(-1)).toMatchObject({
    message: 'messages stay in the durable queue until the next start',
    fields: { file: queue, messages: 1 },
  });
  expect(existsSync(`${queue}-wal`)).toBe(false);
  await ris.restart();
  await start(yaml);
  expect((await ris.messages.count(1))[0]!.controlId).toBe(id);
});

test('a queue that cannot be had: the start fails with one sentence, and nothing listens', async () => {
  const folder = scratchFolder();
  const file = join(folder, 'letter');
  writeFileSync(file, 'Dear Sir or Madam');
  const yaml = yamlOf({ RIS: { receiver: await receiver(), queue: file } });
  await expect(startTestBalancer(yaml)).rejects.toThrow(`${file} is no queue of Gantry: name another file`);
  const other = yamlOf({ RIS: { receiver: await receiver(), queue: join(folder, 'no', 'queue') } });
  await expect(startTestBalancer(other)).rejects.toMatchObject({ code: 'GTY_QUEUE' });
});

test('a queue that is another balancer’s cannot be had, and a reload that wants it changes nothing', async () => {
  const folder = scratchFolder();
  const [own, others] = [join(folder, 'own'), join(folder, 'others')];
  const [a, b] = [await receiver(), await receiver()];
  await start(yamlOf({ OTHER: { receiver: b, queue: others } }));
  const balancer = await start(yamlOf({ RIS: { receiver: a, queue: own } }));
  const sender = await connectSender(balancer.address('RIS'));
  const next = yamlOf({
    NEW: { receiver: b, queue: join(folder, 'new') },
    RIS: { receiver: b, queue: others },
  });
  await expect(balancer.apply(next)).rejects.toThrow(
    'another process has it open: stop that one, or give each its own file',
  );
  await send(sender);
  await a.messages.count(1);
  expect(Object.keys(balancer.balancer.endpoints)).toEqual(['RIS']);
  // What was opened for it is free again.
  await start(yamlOf({ NEW: { receiver: b, queue: join(folder, 'new') } }));
});

test('from relay to store and back: nothing is lost, and what is in the file is said', async () => {
  const queue = join(scratchFolder(), 'queue');
  const ris = await receiver();
  const [relay, store] = [yamlOf({ RIS: { receiver: ris } }), yamlOf({ RIS: { receiver: ris, queue } })];
  const balancer = await start(relay);
  const relayed = await connectSender(balancer.address('RIS'));
  const first = await send(relayed);
  await ris.refuse();
  await balancer.apply(store);
  // Its sender comes again, and meets the new way.
  expect(await relayed.read()).toBeUndefined();
  const stored = await sendTo(balancer, 'RIS');
  await balancer.apply(relay);
  const { fields } = await balancer.notices.find(({ message }) => message.startsWith('no VIP has'));
  expect(fields).toEqual({ file: queue, messages: 1, held: 0 });
  await ris.restart();
  const second = await sendTo(balancer, 'RIS');
  // And to store again: what waited goes on.
  await balancer.apply(store);
  await ris.messages.count(3);
  expect(controlIds(ris)).toEqual([first, second, stored]);
});

test('a message in flight while its VIP goes from relay to store is answered by its server', async () => {
  const queue = join(scratchFolder(), 'queue');
  const [gate, ris] = [createGate(), await receiver()];
  ris.script = async (message, connection) => {
    await gate.opened;
    await connection.write(acknowledgementOf(message.bytes));
  };
  const balancer = await start(yamlOf({ RIS: { receiver: ris } }));
  const sender = await connectSender(balancer.address('RIS'));
  await sender.write(hl7Message({ controlId: 'SLOW' }));
  await ris.messages.count(1);
  await balancer.apply(yamlOf({ RIS: { receiver: ris, queue } }));
  gate.open();
  expect(fieldOf((await sender.read())!, 'MSA', 2)).toBe('SLOW');
  expect(await sender.read()).toBeUndefined();
});

test('another file: the messages stay in the one before, and go on when it is named again', async () => {
  const folder = scratchFolder();
  const [one, two] = [join(folder, 'one'), join(folder, 'two')];
  const ris = await receiver('away');
  const balancer = await start(yamlOf({ RIS: { receiver: ris, queue: one } }));
  const first = await sendTo(balancer, 'RIS');
  await balancer.apply(yamlOf({ RIS: { receiver: ris, queue: two } }));
  const { fields } = await balancer.notices.find(({ message }) => message.startsWith('no VIP has'));
  expect(fields).toEqual({ file: one, messages: 1, held: 0 });
  const second = await sendTo(balancer, 'RIS');
  await ris.restart();
  expect((await ris.messages.count(1))[0]!.controlId).toBe(second);
  await balancer.apply(yamlOf({ RIS: { receiver: ris, queue: one } }));
  await ris.messages.find(({ controlId }) => controlId === first);
});

test('two VIPs change files with one another in one reload: each has the other’s messages then', async () => {
  const folder = scratchFolder();
  const [one, two] = [join(folder, 'one'), join(folder, 'two')];
  const [a, b] = [await receiver('away'), await receiver('away')];
  const balancer = await start(yamlOf({ A: { receiver: a, queue: one }, B: { receiver: b, queue: two } }));
  const waiting = [await sendTo(balancer, 'A'), await sendTo(balancer, 'B')];
  await balancer.apply(yamlOf({ A: { receiver: a, queue: two }, B: { receiver: b, queue: one } }));
  await Promise.all([a.restart(), b.restart()]);
  const fresh = [await sendTo(balancer, 'A'), await sendTo(balancer, 'B')];
  await Promise.all([a.messages.count(2), b.messages.count(2)]);
  expect(controlIds(a).sort()).toEqual([waiting[1], fresh[0]].sort());
  expect(controlIds(b).sort()).toEqual([waiting[0], fresh[1]].sort());
});

test('a VIP gets another name and keeps its file: its messages go on, each once', async () => {
  const queue = join(scratchFolder(), 'queue');
  const [gate, ris] = [createGate(), await receiver()];
  ris.script = async (message, connection) => {
    await gate.opened;
    await connection.write(acknowledgementOf(message.bytes));
  };
  const balancer = await start(yamlOf({ RIS: { receiver: ris, queue } }));
  const sender = await connectSender(balancer.address('RIS'));
  const ids: string[] = [];
  for (let count = 0; count < 20; count++) ids.push(await send(sender));
  await ris.messages.count(8);
  await balancer.apply(yamlOf({ NEW: { receiver: ris, queue } }));
  ids.push(await sendTo(balancer, 'NEW'));
  gate.open();
  await ris.messages.count(ids.length);
  expect(controlIds(ris).sort()).toEqual(ids.sort());
});

test('a VIP that is removed, or speaks another protocol, gives its file free when its work is done', async () => {
  const folder = scratchFolder();
  const [one, two] = [join(folder, 'one'), join(folder, 'two')];
  const [a, b] = [await receiver(), await receiver('away')];
  const balancer = await start(yamlOf({ A: { receiver: a, queue: one }, B: { receiver: b, queue: two } }));
  await sendTo(balancer, 'A');
  await a.messages.count(1);
  await sendTo(balancer, 'B');
  await balancer.apply(`pools: { other: { servers: ["${a.endpoint}"] } }
vips: { B: { protocol: tcp, listen: "127.0.0.1:0", pool: other } }
`);
  const { fields } = await balancer.notices.find(({ message }) => message.startsWith('no VIP has'));
  expect(fields).toEqual({ file: two, messages: 1, held: 0 });
  const next = await start(yamlOf({ A: { receiver: a, queue: one }, B: { receiver: a, queue: two } }));
  await a.messages.count(2);
  await sendTo(next, 'A');
});

test('a limit that a reload lowers holds for what comes; the status says what is in the queue', async () => {
  const file = join(scratchFolder(), 'queue');
  const ris = await receiver('away');
  const yaml = (queue: string) =>
    yamlOf({ RIS: { receiver: ris, queue } }, 'admin: { listen: "127.0.0.1:0" }\n');
  const balancer = await start(yaml(file));
  const sender = await connectSender(balancer.address('RIS'));
  await send(sender);
  await balancer.apply(yaml(`{ file: ${file}, messages: 1 }`));
  expect(await sender.send(hl7Message({ controlId: 'TOO-MANY' }))).toBeUndefined();
  const [vip] = (await statusOf(balancer)).vips;
  expect(vip?.queue).toMatchObject({ file, messages: 1, held: 0 });
  expect(Date.parse(vip!.queue!.oldest!)).toBeGreaterThan(0);
});
