/** `gantry explain --hl7`: is a message stored or relayed, what does it wait for, and may its sender send it? */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createAuthority } from '../peers/certificates.ts';
import { hl7Message, type MessageOptions } from '../peers/hl7-messages.ts';
import { mllpFrame } from '../peers/mllp-peer.ts';
import { skipWithout } from '../peers/processes.ts';
import { runHere } from './run-cli.ts';

skipWithout('openssl');

const folder = mkdtempSync(join(tmpdir(), 'gantry-explain-hl7-'));
afterAll(() => rmSync(folder, { recursive: true }));

beforeAll(async () => {
  const { ca, issue } = await createAuthority();
  const { cert, key } = await issue({ names: ['ris.test'] });
  const files = {
    'ca.pem': ca,
    'own.pem': cert,
    'own.key': key,
    'gantry.yaml': `
pools: { ris: { servers: [10.0.0.31:2310] } }
vips:
  RELAY: { protocol: hl7, listen: 127.0.0.1:1, pool: ris }
  STORE: { protocol: hl7, listen: 127.0.0.1:2, pool: ris, hl7: { delivery: store, queue: q1 } }
  BOTH: { protocol: hl7, listen: 127.0.0.1:3, pool: ris, hl7: { delivery: store, queue: q2, ackOnStore: AA, order: none } }
  SENDER: { protocol: hl7, listen: 127.0.0.1:4, pool: ris, hl7: { order: sender } }
  SECURE:
    protocol: hl7
    listen: 127.0.0.1:5
    pool: ris
    tls: { cert: file:own.pem, key: file:own.key, clientCa: file:ca.pem, senders: { CN=his: [HIS, "LAB*"] } }
`,
  };
  for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content);
});

let files = 0;

/** Explains a message as it comes to a VIP; `more` words. */
async function explain(vip: string, content: Buffer, ...more: readonly string[]) {
  const file = join(folder, `${++files}.hl7`);
  writeFileSync(file, content);
  const words = ['explain', '-c', join(folder, 'gantry.yaml'), '--vip', vip, '--hl7', file, ...more];
  const { code, stdout, stderr } = await runHere(words);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  return stdout;
}

const explained = async (vip: string, content: Buffer, ...more: readonly string[]) =>
  JSON.parse(await explain(vip, content, ...more, '--json'));

const message = (more: Partial<MessageOptions> = {}) => hl7Message({ controlId: 'M1', ...more });
const enhanced = (acceptAcknowledgement: string, applicationAcknowledgement: string) =>
  message({ acceptAcknowledgement, applicationAcknowledgement });

describe('is it stored?', () => {
  it.each([
    ['RELAY', message(), false, 'the sender gets the answer of the server'],
    [
      'STORE',
      message(),
      false,
      'original mode, and there is no `ackOnStore`: the sender gets the answer of the server',
    ],
    [
      'BOTH',
      message(),
      true,
      'original mode, and `ackOnStore` is AA: the sender gets AA when it is on the disk',
    ],
    ['STORE', enhanced('AL', 'NE'), true, 'enhanced mode: the sender gets CA when it is on the disk'],
    ['STORE', enhanced('ER', 'AL'), true, 'enhanced mode: the sender gets no answer when it is on the disk'],
    ['STORE', enhanced('NE', 'NE'), true, 'enhanced mode: the sender gets no answer when it is on the disk'],
    [
      'STORE',
      enhanced('NE', 'AL'),
      false,
      'MSH-15 asks for no accept acknowledgement: the sender waits for the application, and gets its answer',
    ],
  ])('%s', async (vip, content, stored, why) => {
    const { delivery } = await explained(vip, content);
    expect(delivery).toMatchObject({ stored, why });
    expect(await explain(vip, content)).toContain(
      `\ndelivery     ${stored ? 'stored' : 'relayed'}: ${why}\n`,
    );
  });
});

describe('what does it wait for?', () => {
  it('its patient, shown as a hash; both of a merge; its sender; nobody', async () => {
    const { delivery } = await explained('RELAY', message({ patient: 'INV4711' }));
    expect(delivery).toMatchObject({
      order: 'patient',
      keys: [expect.stringMatching(/^hash:[0-9a-f]{16}$/)],
    });
    const merge = message({ event: 'A40', patient: 'INV1', segments: ['MRG|INV2^^^HOSP^MR'] });
    const merged = await explained('RELAY', merge);
    expect(new Set(merged.delivery.keys).size).toBe(2);
    expect((await explained('SENDER', message())).delivery).toMatchObject({
      order: 'sender',
      keys: [expect.any(String)],
    });
    expect((await explained('BOTH', message())).delivery).toMatchObject({ order: 'none', keys: [] });
    expect(await explain('BOTH', message())).toContain('\norder        none\n');
  });

  it('a batch, which is a frame: everything', async () => {
    const batch = mllpFrame(Buffer.concat([Buffer.from('BHS|^~\\&|HIS|F\r'), message(), message()]));
    expect((await explained('RELAY', batch)).delivery.keys).toBe('whole');
    expect(await explain('RELAY', batch)).toContain(
      '\norder        by patient: behind everything that came to this VIP before\n',
    );
  });

  it('no line of it shows a patient', async () => {
    const text = await explain('STORE', message({ patient: 'INV4711' }), '--json');
    expect(text).not.toContain('INV4711');
    expect(text).not.toContain('INVENTED');
  });
});

describe('may its sender send it?', () => {
  const verdict = async (sendingApp: string, ...more: readonly string[]) => {
    const { rule, reject, delivery } = await explained('SECURE', message({ sendingApp }), ...more);
    expect(delivery === null).toBe(reject !== null);
    return reject === null ? rule : `${rule} ${reject}`;
  };

  it('by the subject of its certificate', async () => {
    const his = ['--tlsSubject', 'CN=his,O=Hospital'];
    expect(await verdict('HIS', ...his)).toBe('default');
    expect(await verdict('LAB7', ...his)).toBe('default');
    expect(await verdict('PORTAL', ...his)).toBe('tls.senders sender-not-allowed');
    expect(await verdict('HIS', '--tlsSubject', 'CN=lab')).toBe('tls.senders sender-not-allowed');
    expect(await verdict('HIS')).toBe('tls.senders sender-not-allowed');
  });

  it('what is said on the command line goes before what the file says', async () => {
    const his = ['--tlsSubject', 'CN=his'];
    expect(await verdict('PORTAL', ...his, '--sendingApp', 'HIS')).toBe('default');
    expect(await verdict('HIS', ...his, '--sendingApp', 'PORTAL')).toBe('tls.senders sender-not-allowed');
  });
});
