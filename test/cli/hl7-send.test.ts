import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { messagesIn } from '../../src/cli/mllp-client.ts';
import { hl7Message } from '../peers/hl7-messages.ts';
import {
  answering,
  answeringWithoutMsa,
  answeringWrongId,
  closing,
  mllpFrame,
  type Receiver,
  type ReceiverScript,
  silent,
  startReceiver,
} from '../peers/mllp-peer.ts';
import { refusingAddress } from '../peers/test-connection.ts';
import { runHere } from './run-cli.ts';

describe('messages of a file', () => {
  const one = 'MSH|^~\\&|TEST|A\rPID|1||4711\r';
  const two = 'MSH|^~\\&|TEST|B\rPID|1||4712\r';
  it.each([
    ['carriage returns', one + two],
    ['line feeds', (one + two).replaceAll('\r', '\n')],
    ['both, with blank lines', `${one.replaceAll('\r', '\r\n')}\r\n\r\n${two.replaceAll('\r', '\r\n')}`],
    ['MLLP framing', `\x0b${one}\x1c\r\x0b${two}\x1c\r`],
    ['the last end block bare', `\x0b${one}\x1c\r\x0b${two}\x1c`],
    ['a byte order mark', `\xef\xbb\xbf${one}${two}`],
    ['a batch', `FHS|^~\\&|TEST\rBHS|^~\\&|TEST\r${one}${two}BTS|2\rFTS|1\r`],
    ['noise before', `a note\r${one}${two}`],
  ])('with %s', (_name, file) => {
    expect(messagesIn(Buffer.from(file, 'latin1')).map((message) => message.toString('latin1'))).toEqual([
      one,
      two,
    ]);
  });

  it('all other bytes stay as they are', () => {
    const bytes = Buffer.from('MSH|^~\\&|\xe9\x0b\x00\xff\x1c|\r', 'latin1');
    expect(messagesIn(mllpFrame(bytes))).toEqual([bytes]);
  });

  it('none without MSH', () => expect(messagesIn(Buffer.from('PID|1\r'))).toEqual([]));
});

describe('gantry hl7 send', () => {
  const folder = mkdtempSync(join(tmpdir(), 'gantry-hl7-send-'));
  const file = join(folder, 'messages.hl7');
  const messages = ['M1', 'M2'].map((controlId) => hl7Message({ controlId }));
  writeFileSync(file, Buffer.concat(messages));
  afterAll(() => rmSync(folder, { recursive: true }));

  let receiver: Receiver | undefined;
  afterEach(() => receiver?.stop());
  async function send(script: ReceiverScript, ...options: string[]) {
    receiver = await startReceiver(script);
    return runHere(['hl7', 'send', receiver.endpoint, file, ...options]);
  }

  it('prints each acknowledgement', async () => {
    const { code, stdout, stderr } = await send(answering());
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout.split('\n').filter((line) => line.startsWith('MSA'))).toEqual([
      expect.stringMatching(/^MSA\|AA\|M1/),
      expect.stringMatching(/^MSA\|AA\|M2/),
    ]);
    expect(receiver!.messages.items.map(({ bytes }) => bytes)).toEqual(messages);
  });

  it.each([
    ['a negative one', answering('AE'), '2 of 2 messages were refused'],
    [
      'one for another message',
      answeringWrongId(),
      'messages.hl7, message 1: the acknowledgement is for another message',
    ],
    [
      'one without MSA',
      answeringWithoutMsa(),
      'messages.hl7, message 1: what was answered is not an acknowledgement',
    ],
    ['none, and the connection closed', closing(), 'messages.hl7, message 1: no acknowledgement from'],
  ])('%s: exit 1', async (_name, script, sentence) => {
    const { code, stderr } = await send(script);
    expect(code).toBe(1);
    expect(stderr).toContain(sentence);
  });

  it('none in time: exit 1', async () => {
    const { code, stderr } = await send(silent(), '--timeout', '0.2');
    expect(code).toBe(1);
    expect(stderr).toContain('none came in time');
  });

  it('nobody listens: exit 1', async () => {
    const { host, port } = await refusingAddress();
    const { code, stdout, stderr } = await runHere(['hl7', 'send', `${host}:${port}`, file]);
    expect({ code, stdout, stderr }).toEqual({
      code: 1,
      stdout: '',
      stderr: `gantry: ${host}:${port} cannot be reached: ECONNREFUSED\n`,
    });
  });
});
