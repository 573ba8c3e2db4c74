import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { givenFacts } from '../../src/cli/given-facts.ts';
import { readConfiguration } from '../../src/config/load.ts';
import type { VipConfiguration } from '../../src/config/schema.ts';
import { createSample } from '../../src/demo/sample-files.ts';

const folder = mkdtempSync(join(tmpdir(), 'gantry-facts-'));
afterAll(() => rmSync(folder, { recursive: true }));

function write(name: string, content: string | Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

const { configuration } = readConfiguration(
  `
pools:
  archive: { servers: [10.0.0.1:104, 10.0.0.2:104] }
vips:
  ARCHIVE: { protocol: dicom, listen: 10.0.0.9:104, pool: archive }
  STUDIES:
    protocol: dicom
    listen: 10.0.0.9:11112
    dicom: { route: study, storage: shared }
    routes: [{ when: { "(0028,0010)": "512", "(0008,0070)": "GANTRY*" }, pool: archive }]
    pool: archive
`,
  { file: 'gantry.yaml' },
);

function vip(name: string): VipConfiguration {
  return configuration!.vips.find((each) => each.name === name)!;
}

describe('--dicom of an instance', () => {
  const sample = createSample({ modality: 'CT', study: 'explained', number: 1 });
  const instance = write('ct.dcm', sample.file);
  const read = (name: string, given = {}) => givenFacts(vip(name), given, { dicom: instance });

  it('study routing: the facts of its C-STORE, and of the tags that rules ask for', () => {
    const facts = read('STUDIES');
    expect(
      Object.fromEntries(
        ['command', 'priority', 'urgent', 'sopClass', 'sopInstance', 'modality', 'study', 'patient'].map(
          (name) => [name, facts.get(name)],
        ),
      ),
    ).toEqual({
      command: 'C-STORE',
      priority: 'medium',
      urgent: undefined,
      sopClass: sample.sopClass,
      sopInstance: sample.sopInstance,
      modality: 'CT',
      study: sample.studyInstance,
      patient: 'INVENTED-1',
    });
    expect([facts.get('(0028,0010)'), facts.get('(0008,0070)')]).toEqual(['64', 'GANTRY DEMO']);
  });

  it('what is given goes before what the file says', () => {
    const facts = read('STUDIES', { study: '1.2.3' });
    expect([facts.get('study'), facts.get('modality')]).toEqual(['1.2.3', 'CT']);
  });

  it('association routing: those of an association that brings it, none of a message', () => {
    const facts = read('ARCHIVE');
    expect([facts.get('sopClass'), facts.get('modality')]).toEqual([sample.sopClass, 'CT']);
    expect([facts.get('study'), facts.get('command')]).toEqual([undefined, undefined]);
  });

  it('a file that breaks off before its transfer syntax', () => {
    const cut = write('cut.dcm', sample.file.subarray(0, 230));
    expect(() => givenFacts(vip('STUDIES'), {}, { dicom: cut })).toThrow(
      `${cut} does not tell its transfer syntax (0002,0010)`,
    );
  });
});
