import { Buffer } from 'node:buffer';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Buffers } from '../../src/queue/buffers.ts';
import { PIECE_BYTES } from '../../src/queue/file.ts';
import { type BodyKeeper, IncomingBody } from '../../src/queue/incoming-body.ts';
import type { Refusal, Stored } from '../../src/queue/message.ts';
import type { Operation, OperationOf, Received, Result } from '../../src/queue/operations.ts';
import { Traffic } from '../../src/queue/traffic.ts';

/** A thread that works when it is told to, and spoils what it gives back. */
class Disk implements BodyKeeper {
  readonly buffers = new Buffers();
  readonly traffic = new Traffic();
  readonly bodies = new Map<number, Buffer[]>();
  readonly discarded: number[] = [];
  readonly stored: Received[] = [];
  most = 0;
  #pieces: { readonly operation: OperationOf<'piece'>; readonly told: (result: Result) => void }[] = [];

  submit(operation: Operation, told: (result: Result) => void): void {
    if (operation.do === 'piece') this.#pieces.push({ operation, told });
    else if (operation.do === 'discard') this.discarded.push(operation.incoming);
    this.most = Math.max(this.most, this.#pieces.length);
  }

  store(_: unknown, content: Received, stored: Stored): void {
    this.work(Infinity);
    this.stored.push(content);
    stored(1, undefined);
  }

  /** Writes so many pieces, or refuses them. */
  work(count: number, refusal?: Refusal): void {
    for (const { operation, told } of this.#pieces.splice(0, count)) {
      const { incoming, number, bytes } = operation;
      const pieces = this.bodies.get(incoming) ?? [];
      this.bodies.set(incoming, pieces);
      expect(number).toBe(pieces.length);
      pieces.push(Buffer.from(bytes));
      bytes.fill(0xff);
      this.buffers.giveBack(bytes.buffer);
      told(refusal && { refusal });
    }
  }

  get waiting(): number {
    return this.#pieces.length;
  }
}

const MESSAGE = { keys: [], about: {} };

test('bodies come out as they went in, however they are cut, and few of their pieces are under way', () => {
  const cut = fc.oneof(fc.integer({ min: 1, max: 2000 }), fc.integer({ min: 1, max: 3 * PIECE_BYTES }));
  const steps = fc.array(fc.record({ body: fc.nat(11), cut, work: fc.nat(8) }), {
    minLength: 1,
    maxLength: 60,
  });
  fc.assert(
    fc.property(steps, (list) => {
      const disk = new Disk();
      const bodies = Array.from({ length: 12 }, (_, name) => new IncomingBody(disk, name));
      const given = bodies.map((): Buffer[] => []);
      const busy = new Set<number>();
      for (const [index, step] of list.entries()) {
        disk.work(step.work);
        const { body, cut: length } = step;
        if (busy.has(body)) continue;
        const part = Buffer.alloc(length, `part ${index} `);
        given[body]!.push(Buffer.from(part));
        busy.add(body);
        bodies[body]!.write(part, (refusal) => {
          expect(refusal).toBeUndefined();
          busy.delete(body);
          // What was taken may change.
          part.fill(0);
        });
      }
      while (disk.waiting > 0) disk.work(1);
      expect(busy.size).toBe(0);
      for (const body of bodies) body.store(MESSAGE, () => {});
      expect(disk.most).toBeLessThanOrEqual(32 + bodies.length);
      for (const [name, parts] of given.entries()) {
        expect(Buffer.concat(disk.bodies.get(name)!).equals(Buffer.concat(parts))).toBe(true);
        expect(disk.stored[name]).toEqual({ incoming: name, pieces: disk.bodies.get(name)!.length });
        expect(
          disk.bodies
            .get(name)!
            .slice(0, -1)
            .every((piece) => piece.length === PIECE_BYTES),
        ).toBe(true);
      }
    }),
    { numRuns: 60 },
  );
});

test('a body waits while the disk is behind; discarded meanwhile, it is told nothing and sends nothing', () => {
  const disk = new Disk();
  const [first, second] = [new IncomingBody(disk, 1), new IncomingBody(disk, 2)];
  const told: string[] = [];
  const much = Buffer.alloc(33 * PIECE_BYTES);
  first.write(much, () => told.push('first'));
  second.write(much, () => told.push('second'));
  expect([disk.waiting, told]).toEqual([32, []]);
  second.discard();
  disk.work(32);
  expect([disk.waiting, told, disk.discarded]).toEqual([1, ['first'], [2]]);
});

test('a body of which a piece was refused takes nothing more, and says why', () => {
  const disk = new Disk();
  const body = new IncomingBody(disk, 1);
  const told: (Refusal | undefined)[] = [];
  const much = Buffer.alloc(33 * PIECE_BYTES);
  body.write(much, (refusal) => told.push(refusal));
  disk.work(1, 'no space');
  expect([disk.waiting, told]).toEqual([31, ['no space']]);
  body.write(much, (refusal) => told.push(refusal));
  expect([disk.waiting, told]).toEqual([31, ['no space', 'no space']]);
});

test('an empty body is a body', () => {
  const disk = new Disk();
  new IncomingBody(disk, 1).store(MESSAGE, () => {});
  expect(disk.bodies.get(1)).toEqual([Buffer.alloc(0)]);
});
