/** `gantry explain` of a VIP whose packets the kernel forwards: nothing is known but the client's address. */
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { FIXTURES, runHere } from './run-cli.ts';

const explain = (...words: string[]) =>
  runHere(['explain', '-c', join(FIXTURES, 'valid', 'layer4.yaml'), ...words]);

it('a DR VIP: no rule, its servers, the spare one last', async () => {
  const { stdout } = await explain('--vip', 'STORE', '--client', '10.1.2.3', '--port', '11112');
  expect(stdout).toBe(`vip          STORE
rule         default
persistence  source-ip = 10.1.2.3
candidates   1. pacs-a: least busy of 2
             2. pacs-b: the only one to ask
             3. spare: backup, no other is up
`);
});

it('all ports: the source is masked as the persistence of the pool says', async () => {
  const { stdout } = await explain('--vip', 'ALL', '--client', '10.1.2.3', '--json');
  expect(JSON.parse(stdout)).toMatchObject({
    vip: 'ALL',
    rule: 'default',
    persistence: { by: 'source-ip', key: '10.1.2.0' },
    candidates: [{ server: '10.0.0.31', reason: 'first in order of 2' }, { server: '10.0.0.32' }],
    reject: null,
  });
});

it.each([
  [['--called', 'ARCHIVE'], '--called is not known at layer 4: client, port or vip would be right'],
  [['--hl7', 'any.hl7'], '--hl7 is for a VIP of protocol hl7; STORE has mode dr, which reads nothing'],
  [['--dicom', 'any.dcm'], '--dicom is for a VIP of protocol dicom; STORE has mode dr, which reads nothing'],
])('%s is of no use', async (words, sentence) => {
  const { code, stderr } = await explain('--vip', 'STORE', ...words);
  expect({ code, stderr }).toEqual({ code: 2, stderr: `gantry: ${sentence}\n` });
});
