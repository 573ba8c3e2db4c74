/** Against a kernel of the test's own; test/interop/source-address.test.ts has the real one. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Finished, RunProgram } from '../../src/layer4/programs.ts';
import { type Claim, createTransparency } from '../../src/layer4/transparency.ts';

const SCP = { host: '10.50.0.21', port: 104 };
const CLIENT = '10.60.0.101';
const ENTRY_MS = 140_000;

const DONE: Finished = { code: 0, output: '', error: '', reason: undefined };
const MISSING = 'Error: Could not process rule: No such file or directory';

/** What nft does with the one table, and when it answers: `step` lets the next child end. */
class FakeKernel {
  now = 0;
  comment: string | undefined;
  /** `PORT . HOST . PORT` → the client, and until when. */
  readonly entries = new Map<string, { readonly client: string; readonly until: number }>();
  /** Of each `create element`, how many. */
  readonly batches: number[] = [];
  fails: Partial<Finished> | undefined;
  isSlow = false;
  readonly #waiting: (() => void)[] = [];

  readonly run: RunProgram = async (_, args, input = '') => {
    if (this.isSlow) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    if (this.fails) return { ...DONE, code: undefined, ...this.fails };
    return args.includes('list') ? this.#list() : this.#change(input);
  };

  get running(): number {
    return this.#waiting.length;
  }

  /** The child that was started first ends. */
  async step(): Promise<void> {
    this.#waiting.shift()?.();
    for (let i = 0; i < 20; i++) await Promise.resolve();
  }

  #list(): Finished {
    if (this.comment === undefined) return DONE;
    return { ...DONE, output: `table inet gantry_source {\n\tcomment "${this.comment}"\n}\n` };
  }

  #change(text: string): Finished {
    if (text.startsWith('delete table')) this.#flush();
    const comment = /^table inet gantry_source \{\n +comment "(.*)"/m.exec(text)?.[1];
    if (comment !== undefined) this.comment = comment;
    const borne = new Set(
      [...text.matchAll(/(\d+ \. \S+ \. \d+) \. ([^\s,]+)/g)].map(([, key, client]) => `${key} ${client}`),
    );
    const added = [...text.matchAll(/(\d+ \. \S+ \. \d+) : ([^\s,]+)/g)];
    expect(borne).toEqual(new Set(added.map(([, key, client]) => `${key} ${client}`)));
    if (added.length === 0) return DONE;
    if (this.comment === undefined) return { ...DONE, code: 1, error: MISSING };
    this.batches.push(added.length);
    if (added.some(([, key]) => (this.entries.get(key!)?.until ?? 0) > this.now)) {
      return { ...DONE, code: 1, error: 'Error: Could not process rule: File exists' };
    }
    for (const [, key, client] of added) {
      this.entries.set(key!, { client: client!, until: this.now + ENTRY_MS });
    }
    return DONE;
  }

  #flush(): void {
    this.comment = undefined;
    this.entries.clear();
  }

  flush(): void {
    this.#flush();
  }

  /** Whom a connection from this port to a server bears the address of. */
  clientOf({ localPort }: Claim, { host, port } = SCP): string | undefined {
    const entry = this.entries.get(`${localPort} . ${host} . ${port}`);
    return entry && entry.until > this.now ? entry.client : undefined;
  }
}

function setUp(random = () => 0) {
  const kernel = new FakeKernel();
  const start = () =>
    createTransparency({ run: kernel.run, now: () => kernel.now, random, systems: [32_768, 60_999] });
  return { kernel, start, transparency: start() };
}

async function reasonOf(promise: Promise<unknown>): Promise<{ code: string; message: string }> {
  return promise.then(
    () => Promise.reject(new Error('it was granted')),
    (error) => error,
  );
}

describe('claims', () => {
  test('a claim’s entry is in the kernel when it is granted', async () => {
    const { kernel, transparency } = setUp();
    await transparency.open();
    const v6 = { host: 'fd50::21', port: 104 };
    const one = await transparency.claim(CLIENT, SCP);
    const other = await transparency.claim('fd60::101', v6);
    expect([kernel.clientOf(one), kernel.clientOf(other, v6)]).toEqual([CLIENT, 'fd60::101']);
  });

  test('those that ask while nft runs go into the kernel together', async () => {
    const { kernel, transparency } = setUp();
    await transparency.open();
    kernel.isSlow = true;
    const ask = (count: number) => Array.from({ length: count }, () => transparency.claim(CLIENT, SCP));
    const first = ask(3);
    await Promise.resolve();
    const behind = ask(200);
    expect(kernel.running).toBe(1);
    await kernel.step();
    await Promise.all(first);
    await kernel.step();
    await Promise.all(behind);
    expect(kernel.batches).toEqual([3, 200]);
  });

  test('an IPv4 address that is written as IPv6 is what it is', async () => {
    const { kernel, transparency } = setUp();
    const claim = await transparency.claim(`::ffff:${CLIENT}`, { host: '::FFFF:a32:15', port: 104 });
    expect(kernel.clientOf(claim)).toBe(CLIENT);
  });

  test('all on one machine', async () => {
    const { kernel, transparency } = setUp();
    const server = { host: '127.0.0.1', port: 104 };
    expect(kernel.clientOf(await transparency.claim('127.0.0.1', server), server)).toBe('127.0.0.1');
  });

  test('all rules were flushed: the table is made again', async () => {
    const { kernel, transparency } = setUp();
    await transparency.open();
    kernel.flush();
    expect(kernel.clientOf(await transparency.claim(CLIENT, SCP))).toBe(CLIENT);
  });

  test('a process that starts anew at the same ports takes others', async () => {
    const places = [0, 0, 0.5, 0.6, 0.7];
    const { kernel, start, transparency } = setUp(() => places.shift() ?? 0.8);
    const before = await transparency.claim(CLIENT, SCP);
    const after = await start().claim('10.60.0.102', SCP);
    expect(after.localPort).not.toBe(before.localPort);
    expect([kernel.clientOf(before), kernel.clientOf(after)]).toEqual([CLIENT, '10.60.0.102']);
  });
});

describe('what cannot be', () => {
  test.each([
    [
      '10.60.0.101',
      'fd50::21',
      'the client has an IPv4 address, the server an IPv6 one: both need one of the same version',
    ],
    [
      'fd60::101',
      '10.50.0.21',
      'the client has an IPv6 address, the server an IPv4 one: both need one of the same version',
    ],
    ['fe80::1%eth0', 'fd50::21', 'a link-local address is known on one link only'],
    ['127.0.0.1', '10.50.0.21', 'the client is on this machine and came by its loopback address'],
    ['10.60.0.101', '127.0.0.1', 'the server has a loopback address, which nobody else reaches'],
    [
      'fd50::21',
      'fd50:0::0021',
      'the client is that server itself, which takes no packets from its own address',
    ],
    ['', '10.50.0.21', 'the client has none'],
    ['1.2.3.4 }; flush ruleset', '10.50.0.21', 'the client has none'],
    ['10.60.0.101', '0.0.0.0', '`0.0.0.0` is no address of a server'],
  ])('from %j to %s: %s', async (client, host, sentence) => {
    const { kernel, transparency } = setUp();
    const { code, message } = await reasonOf(transparency.claim(client, { host, port: 104 }));
    const server = host.includes(':') ? '[fd50::21]:104' : `${host}:104`;
    expect([code, message]).toEqual([
      'GTY_SOURCE',
      `${server} cannot be reached from the client's own address: ${sentence}`,
    ]);
    expect(kernel.entries.size).toBe(0);
  });

  test('nft fails: all that wait for it hear of it, and nothing is held', async () => {
    const { kernel, transparency } = setUp();
    await transparency.open();
    kernel.fails = { reason: 'ENOENT' };
    for (const one of [transparency.claim(CLIENT, SCP), transparency.claim(CLIENT, SCP)]) {
      expect((await reasonOf(one)).message).toBe(
        "10.50.0.21:104 cannot be reached from the client's own address: nft is not installed, or not on the PATH: install the package nftables",
      );
    }
    kernel.fails = undefined;
    expect(kernel.clientOf(await transparency.claim(CLIENT, SCP))).toBe(CLIENT);
  });

  test('every port to a server is in use: the next one hears of it', async () => {
    const { transparency } = setUp();
    await Promise.all(Array.from({ length: 65_536 - 10_240 }, () => transparency.claim(CLIENT, SCP)));
    const { message } = await reasonOf(transparency.claim(CLIENT, SCP));
    expect(message).toContain('all local ports to this server are in use');
    await transparency.claim(CLIENT, { ...SCP, port: 105 });
  });
});

describe('the table', () => {
  test('is there after `open` and gone after `close`; one of ours is adopted, with what is in it', async () => {
    const { kernel, start, transparency } = setUp();
    await Promise.all([transparency.open(), transparency.open()]);
    await transparency.claim(CLIENT, SCP);
    await start().open();
    expect(kernel.entries.size).toBe(1);
    await transparency.close();
    expect(kernel.comment).toBeUndefined();
  });

  test('one of ours of another form is replaced', async () => {
    const { kernel, transparency } = setUp();
    kernel.comment = 'Gantry: addresses of clients, form 0';
    await transparency.open();
    expect(kernel.comment).toBe('Gantry: addresses of clients, form 1');
  });

  test('somebody else’s is left alone', async () => {
    const { kernel, transparency } = setUp();
    kernel.comment = 'mine';
    const { code, message } = await reasonOf(transparency.open());
    expect(code).toBe('GTY_SOURCE');
    expect(message).toBe(
      "servers cannot be shown the addresses of clients (`source: client`): there is an nftables table inet gantry_source that is not Gantry's: rename it, or delete it with `nft delete table inet gantry_source`",
    );
    await transparency.close();
    expect(kernel.comment).toBe('mine');
    kernel.flush();
    await transparency.open();
    expect(kernel.comment).toContain('Gantry');
  });
});

test('property: whatever happens, who is granted a port has it alone and bears the client’s address', async () => {
  const step = fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({
        claim: fc.constantFrom(CLIENT, '10.60.0.102'),
        port: fc.constantFrom(104, 105),
      }),
    },
    { weight: 3, arbitrary: fc.record({ release: fc.nat() }) },
    { weight: 6, arbitrary: fc.constant('step' as const) },
    { weight: 2, arbitrary: fc.record({ wait: fc.constantFrom(10, 60_000, 150_000) }) },
    fc.constantFrom('flush' as const, 'restart' as const, 'fail' as const, 'mend' as const),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 80 }), async (steps) => {
      let place = 0;
      const { kernel, start, transparency } = setUp(() => (place++ % 3) / 100_000);
      let current = transparency;
      await current.open();
      kernel.isSlow = true;
      const held: { claim: Claim; key: string }[] = [];
      const settled: Promise<void>[] = [];
      for (const one of steps) {
        if (one === 'step') await kernel.step();
        else if (one === 'flush') kernel.flush();
        else if (one === 'fail') kernel.fails = { code: 1, error: 'Error: Operation not permitted' };
        else if (one === 'mend') kernel.fails = undefined;
        else if (one === 'restart') {
          // Its connections end with a process; what waits in it is nobody's.
          held.length = 0;
          current = start();
        } else if ('wait' in one) kernel.now += one.wait;
        else if ('release' in one) held.splice(one.release % (held.length + 1), 1)[0]?.claim.release();
        else {
          const asked = current;
          const server = { ...SCP, port: one.port };
          const granted = (claim: Claim) => {
            if (asked !== current) return;
            expect(kernel.clientOf(claim, server)).toBe(one.claim);
            const key = `${claim.localPort} ${one.port}`;
            expect(held.map((other) => other.key)).not.toContain(key);
            held.push({ claim, key });
          };
          settled.push(
            current.claim(one.claim, server).then(granted, (error: { code: string }) => {
              expect(error.code).toBe('GTY_SOURCE');
            }),
          );
        }
      }
      kernel.isSlow = false;
      while (kernel.running > 0) await kernel.step();
      await Promise.all(settled);
    }),
    { numRuns: 300 },
  );
});
