/**
 * Routing by any field, whatever the character set of MSH-18: rules behind a name whose bytes look like delimiters, the
 * same facts in `gantry explain --hl7`, and not a byte changed. All names and places are invented or in every atlas.
 */
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { runHere } from '../../cli/run-cli.ts';
import { fieldOf } from '../../peers/hl7-messages.ts';
import { connectSender } from '../../peers/mllp-peer.ts';
import { startTestBalancer } from '../../peers/start-balancer.ts';
import { ALPHABETS, DELIMITERS, messageOf, written } from '../../protocols/hl7/alphabets.ts';
import { fixture, fixtureNames } from '../../protocols/hl7/fixture.ts';
import { receiverFor } from './start-receivers.ts';

const configuration = (wanted: string, other: string, when: string, listen = '127.0.0.1:0') => `
pools:
  wanted: { servers: ["${wanted}"], health: { check: none } }
  other: { servers: ["${other}"], health: { check: none } }
vips:
  H: { protocol: hl7, listen: ["${listen}"], routes: [{ when: ${when}, pool: wanted }], pool: other }
`;

function messageIn(characterSet: string, name: string, place: string): Buffer {
  const header = `MSH|^~\\&|LAB|NORTH|RIS|NORTH|20260101120000||ADT^A08|C1|P|2.5||||||${characterSet}\r`;
  const patient = `PID|1||INV7^^^HOSP^MR||${name}^INVENTED||19000101|O|||STREET 1^^${place}^^50667\r`;
  return Buffer.from(`${header}EVN|A08\r${patient}PV1|1|I\r`, 'latin1');
}

/** MSH-18, PID-5.1 and PID-11.3 as their bytes are, and what PID-11.3 says. */
const PLACES: [string, string, string, string][] = [
  ['', 'M\xfcLLER', 'K\xf6ln', 'Köln'],
  ['', 'M\xc3\x9cLLER', 'K\xc3\xb6ln', 'Köln'],
  ['8859/1', 'M\xfcLLER', 'K\xf6ln', 'Köln'],
  ['UNICODE UTF-8', 'M\xc3\x9cLLER', 'K\xc3\xb6ln', 'Köln'],
  ['UNICODE UTF-8', 'MULLER', 'K\\XC3B6\\ln', 'Köln'],
  ['8859/1', 'A\\T\\B', 'A\\F\\B\\S\\C', 'A|B^C'],
  ['8859/2', 'M\xfcLLER', '\xa3\xf3d\xbc', 'Łódź'],
  ['GBK', '\x81|\x84^\x85~', '\xbf\xc6\xc2\xa1', '科隆'],
  ['GB 18030-2000', '\x81|\x84^\x85~', '\xbf\xc6\x95\\', '科昞'],
  ['BIG-5', '\xa4|\xa5\\', '\xa5x\xa5_', '台北'],
  ['SHIFT_JIS', '\x83|\x95\\', '\x93\x8c\x8b\x9e', '東京'],
  ['~ISO IR87', '\x1b$B%]I=\x1b(B', '\x1b$BEl5~\x1b(B', '東京'],
  ['ISO IR6~ISO IR87', '\x83|\x95\\', '\x93\x8c\x8b\x9e', '東京'],
  ['KS X 1001', '\xb1\xe8', '\xbc\xad\xbf\xef', '서울'],
];

test.for(PLACES)('a rule by PID-11.3, MSH-18 %j, behind %j', async ([characterSet, name, place, text]) => {
  const [wanted, other] = [await receiverFor(), await receiverFor()];
  const yaml = configuration(wanted.endpoint, other.endpoint, `{ "PID-11.3": "${text}" }`);
  await using balancer = await startTestBalancer(yaml);
  const sender = await connectSender(balancer.address('H'));
  const message = messageIn(characterSet, name, place);
  expect(fieldOf((await sender.send(message))!, 'MSA', 1)).toBe('AA');
  expect((await sender.send(messageIn(characterSet, name, 'ELSEWHERE')))!.length).toBeGreaterThan(0);
  expect(wanted.messages.items.map(({ bytes }) => bytes)).toEqual([message]);
  expect(other.messages.length).toBe(1);
  sender.end();

  const folder = mkdtempSync(join(tmpdir(), 'gantry-character-sets-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const [file, sample] = [join(folder, 'gantry.yaml'), join(folder, 'message.hl7')];
  writeFileSync(
    file,
    `version: 1${configuration(wanted.endpoint, other.endpoint, `{ "PID-11.3": "${text}" }`, '127.0.0.1:2310')}`,
  );
  writeFileSync(sample, message);
  const explained = await runHere(['explain', '-c', file, '--vip', 'H', '--hl7', sample, '--json']);
  expect(explained.stderr).toBe('');
  expect(JSON.parse(explained.stdout)).toMatchObject({ rule: 'routes[1]' });
});

test('SHA-256 the same on both sides, in every character set and with any delimiters', async () => {
  const receiver = await receiverFor();
  const yaml = configuration(receiver.endpoint, receiver.endpoint, '{ "PID-11.3": "Köln" }');
  await using balancer = await startTestBalancer(yaml);
  const messages = fixtureNames()
    .filter((name) => !['no-msh', 'acknowledgement'].includes(name))
    .map(fixture);
  for (const [name, characters] of Object.entries(ALPHABETS)) {
    const all = [...characters.keys()];
    for (const [turn, delimiters] of DELIMITERS.entries()) {
      const texts = all.filter((_, index) => index % DELIMITERS.length === turn);
      const fields = texts.map((text) => written(text, { name, characters }, delimiters));
      messages.push(messageOf(fields, name, delimiters));
    }
  }
  for (const [characterSet, name, place] of PLACES) messages.push(messageIn(characterSet, name, place));
  const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');
  const sender = await connectSender(balancer.address('H'));
  for (const message of messages) expect(await sender.send(message)).toBeDefined();
  expect(receiver.messages.items.map(({ bytes }) => sha256(bytes))).toEqual(messages.map(sha256));
  sender.end();
});
