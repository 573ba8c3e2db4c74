/** `tls.senders`: which sending applications the certificate of a sender may use, over real TLS. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { type Authority, createAuthority } from './peers/certificates.ts';
import { fieldOf, hl7Message, type MessageOptions } from './peers/hl7-messages.ts';
import { MllpSender, type Receiver, startReceiver } from './peers/mllp-peer.ts';
import { skipWithout } from './peers/processes.ts';
import { startTestBalancer, type TestBalancer } from './peers/start-balancer.ts';
import { TestConnection } from './peers/test-connection.ts';

skipWithout('openssl');

const folder = mkdtempSync(join(tmpdir(), 'gantry-tls-senders-'));
afterAll(() => rmSync(folder, { recursive: true }));

let authority: Authority;

beforeAll(async () => {
  authority = await createAuthority();
  const { cert, key } = await authority.issue({ names: ['127.0.0.1'] });
  const files = { 'ca.pem': authority.ca, 'own.pem': cert, 'own.key': key };
  for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content);
});

/** Certificates of `his` may be HIS and anything that begins with LAB, those of the department PORTAL. */
async function start(hl7 = '{}'): Promise<{ readonly balancer: TestBalancer; readonly receiver: Receiver }> {
  const receiver = await startReceiver();
  onTestFinished(() => receiver.stop());
  const balancer = await startTestBalancer(`
pools: { ris: { servers: ["${receiver.endpoint}"] } }
vips:
  RIS:
    protocol: hl7
    listen: "127.0.0.1:0"
    pool: ris
    hl7: ${hl7}
    tls:
      cert: "file:${folder}/own.pem"
      key: "file:${folder}/own.key"
      clientCa: "file:${folder}/ca.pem"
      senders: { CN=his: [HIS, "LAB*"], OU=Portal: PORTAL }
`);
  onTestFinished(() => balancer.stop());
  return { balancer, receiver };
}

/** Connects with a certificate of this subject. */
async function senderAs(
  subject: string,
  { balancer }: { readonly balancer: TestBalancer },
): Promise<MllpSender> {
  const own = await authority.issue({ client: true, subject });
  const { promise: connected, resolve } = Promise.withResolvers<void>();
  const socket = connect({ ...balancer.address('RIS'), ca: authority.ca, ...own }, resolve);
  await connected;
  return new MllpSender(new TestConnection(socket));
}

/** MSA-1, and where the error is (ERR-2, ERR-3). */
async function answerTo(sender: MllpSender, message: Buffer): Promise<string> {
  const answer = (await sender.send(message))!;
  const error = [fieldOf(answer, 'ERR', 2), fieldOf(answer, 'ERR', 3).split('^')[0]].join(' ').trim();
  return `${fieldOf(answer, 'MSA', 1)} ${error}`.trim();
}

let count = 0;
const from = (sendingApp: string, more: Partial<MessageOptions> = {}) =>
  hl7Message({ controlId: `M${++count}`, sendingApp, ...more });

test('a sending application that the certificate may use gets in, another gets AR naming MSH-3', async () => {
  const set = await start();
  const his = await senderAs('/O=Hospital/CN=his', set);
  for (const application of ['HIS', 'LAB', 'LAB7', 'HIS^1.2.3^ISO'])
    expect(await answerTo(his, from(application)), application).toBe('AA');
  for (const application of ['PORTAL', 'his', 'HIS2', '', '""', '^1.2.3^ISO'])
    expect(await answerTo(his, from(application)), application).toBe('AR MSH^1^3 103');
  // Subjects that several patterns fit may use the applications of each.
  const both = await senderAs('/O=Hospital/OU=Portal/CN=his', set);
  expect([await answerTo(both, from('HIS')), await answerTo(both, from('PORTAL'))]).toEqual(['AA', 'AA']);
  // One that no pattern fits may use none, whatever it looks like.
  const stranger = await senderAs('/O=Hospital,CN=his/CN=stranger', set);
  expect(await answerTo(stranger, from('HIS'))).toBe('AR MSH^1^3 103');
  expect(set.receiver.messages.length).toBe(6);
  const rules = set.balancer.messages.items.map(({ rule, outcome }) => `${rule} ${outcome}`);
  expect(rules.filter((one) => one === 'tls.senders rejected')).toHaveLength(7);
});

test('in enhanced mode it gets CR, and one that wants to hear nothing gets nothing', async () => {
  const { balancer, receiver } = await start();
  const his = await senderAs('/CN=his', { balancer });
  const enhanced = (application: string, acceptAcknowledgement: string) =>
    from(application, { acceptAcknowledgement, applicationAcknowledgement: 'NE' });
  expect(await answerTo(his, enhanced('PORTAL', 'AL'))).toBe('CR MSH^1^3 103');
  await his.write(enhanced('PORTAL', 'NE'));
  expect(await answerTo(his, from('HIS'))).toBe('AA');
  expect(receiver.messages.length).toBe(1);
});

test('a batch gets in when every message in it may', async () => {
  const { balancer, receiver } = await start();
  const his = await senderAs('/CN=his', { balancer });
  const batch = (header: string, ...applications: readonly string[]) =>
    Buffer.concat([
      Buffer.from(`BHS|^~\\&|${header}|F|RIS|HOSP|2026||||B${++count}\r`, 'latin1'),
      ...applications.map((application) => from(application)),
    ]);
  const codeOf = async (message: Buffer) => fieldOf((await his.send(message))!, 'MSA', 1);
  receiver.script = ({ bytes }, connection) =>
    connection.write(
      Buffer.from(`BHS|^~\\&|R\rMSH|^~\\&|R|R|||2026||ACK|A|P|2.5.1\rMSA|AA|${fieldOf(bytes, 'BHS', 10)}\r`),
    );
  expect(await codeOf(batch('HIS', 'HIS', 'LAB1'))).toBe('AA');
  for (const refused of [
    batch('HIS', 'HIS', 'PORTAL'),
    batch('PORTAL', 'HIS'),
    batch('', 'HIS'),
    batch('HIS', 'HIS', ''),
    Buffer.concat([from('HIS'), from('PORTAL')]),
  ])
    expect(await codeOf(refused)).toBe('AR');
  expect(receiver.messages.length).toBe(1);
});
