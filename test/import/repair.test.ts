import { expect, test } from 'vitest';
import { readConfiguration } from '../../src/config/load.ts';
import type { Draft, Tree } from '../../src/import/draft.ts';
import { type DraftFault, repair } from '../../src/import/repair.ts';
import { writeDraft } from '../../src/import/write.ts';
import { importText } from './accounting.ts';
import { site } from './haproxy-site.ts';

const judge = (draft: Draft): readonly DraftFault[] =>
  readConfiguration(writeDraft(draft), { file: 'gantry.yaml', environment: {} }).faults ?? [];

const draftOf = (vip: Tree, pool: Tree = {}): Draft => ({
  comments: [],
  top: {},
  pools: [{ name: 'a.b', comments: ['backend a.b, line 7'], body: { servers: ['10.0.0.1:80'], ...pool } }],
  vips: [
    {
      name: 'a',
      comments: ['frontend a, line 3'],
      body: { protocol: 'tcp', listen: '10.0.0.4:80', pool: 'a.b' },
    },
    {
      name: 'a.b',
      comments: ['frontend a.b, line 5'],
      body: { protocol: 'tcp', listen: '10.0.0.4:81', pool: 'a.b', ...vip },
    },
  ],
});

test('a draft without faults stays as it is', () => {
  const draft = draftOf({});
  expect(repair(draft, judge)).toEqual({ draft, removed: [] });
});

test('what a VIP works without goes, and is told of with its line', () => {
  const { draft, removed } = repair(draftOf({ source: 'fd00::1' }, { slowStart: 'soon' }), judge);
  expect(removed.map(({ line, path, whole }) => `${line} ${path} ${whole}`).sort()).toEqual([
    '5 vips.a.b.source undefined',
    '7 pools.a.b.slowStart undefined',
  ]);
  expect(draft!.vips.map(({ name }) => name)).toEqual(['a', 'a.b']);
  expect(judge(draft!)).toEqual([]);
});

test('what keeps somebody out does not go alone: its VIP goes with it', () => {
  for (const vip of [
    { tls: { cert: 'nonsense', key: 'nonsense' } },
    { routes: [{ when: { client: 'x' }, reject: 'close' }] },
  ]) {
    const { draft, removed } = repair(draftOf(vip), judge);
    expect(draft!.vips.map(({ name }) => name)).toEqual(['a']);
    expect(removed[0]).toMatchObject({ line: 5, whole: 'vips.a.b' });
  }
});

test('a pool that cannot be takes its VIPs with it, and then there is nothing', () => {
  const { draft, removed } = repair(draftOf({}, { servers: ['no address!'] }), judge);
  expect(draft).toBeUndefined();
  expect(removed.map(({ line }) => line)).toContain(7);
});

test('what only the whole shows to be wrong', () => {
  const { yaml, removed } = importText('haproxy', site('', 'source 10.0.0.4\nserver t [fd00::1]:80'));
  expect(removed).toMatchObject([{ path: 'vips.f.source' }]);
  expect(yaml).not.toContain('source:');
});
