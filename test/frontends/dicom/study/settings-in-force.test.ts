/** New options while an association is open: where studies go follows them. */
import { expect, test } from 'vitest';
import { createDirector } from '../../../../src/director/director.ts';
import { scp } from '../setup.ts';
import { poolOf } from '../start-front-end.ts';
import { instanceOf, open, received, startStudy } from './start-study.ts';

test('another pool: the next instance goes there, on an association that was open before', async () => {
  const [before, after] = [await scp(), await scp()];
  const rig = await startStudy([before]);
  const scu = await open(rig);
  expect(await scu.store(instanceOf('1.2.1', 1))).toBe(0);
  const pool = poolOf('Q', [after.address]);
  const director = createDirector({ vip: 'V', rules: [], pool, now: rig.options.now, random: Math.random });
  rig.frontEnd.reconfigure({ ...rig.options, director, pools: [pool], pool });
  expect(await scu.store(instanceOf('1.2.1', 2))).toBe(0);
  expect(await scu.echo()).toBe(0);
  expect([before, after].map((server) => received(server).length)).toEqual([1, 1]);
  await scu.release();
});

test.each(['another kind of storage', 'a rule that turns it away'])(
  '%s: an association that was open before goes on as it began',
  async (what) => {
    const [before, after] = [await scp(), await scp()];
    const rig = await startStudy([before]);
    const scu = await open(rig);
    const { now } = rig.options;
    const pool = poolOf('Q', [after.address]);
    const isTurnedAway = what === 'a rule that turns it away';
    const rules = isTurnedAway ? [{ when: { facts: [] }, reject: 'no-reason-given' }] : [];
    const director = createDirector({ vip: 'V', rules, pool, now, random: Math.random });
    const study = isTurnedAway ? rig.options.study! : { ...rig.options.study!, storage: 'separate' as const };
    rig.frontEnd.reconfigure({ ...rig.options, director, pools: [pool], pool, study });
    expect(await scu.store(instanceOf('1.2.1'))).toBe(0);
    expect([before, after].map((server) => received(server).length)).toEqual([1, 0]);
    await scu.release();
  },
);
