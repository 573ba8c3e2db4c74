import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer as listen } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer, type TlsOptions } from 'node:tls';
import { afterAll, afterEach, describe, expect, it, onTestFinished } from 'vitest';
import { messagesIn } from '../../src/cli/hl7-file.ts';
import { createAuthority } from '../peers/certificates.ts';
import { acknowledgementOf, hl7Message } from '../peers/hl7-messages.ts';
import {
  answering,
  answeringWith,
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

  it('batches may stay whole', () => {
    const whole = (text: string) => messagesIn(Buffer.from(text), true).map(String);
    const file = `FHS|^~\\&|F1\rBHS|^~\\&|B1\r${one}BTS|1\rBHS|^~\\&|B2\r${two}BTS|1\rFTS|2\r`;
    const batch = `BHS|^~\\&|B3\r${one}${two}BTS|2\r`;
    expect(whole(file + one + batch + two)).toEqual([file, one, batch, two]);
    expect(whole(`\x0b${file}\x1c\r\x0b${batch}\x1c\r`)).toEqual([file, batch]);
    expect(whole(batch.replace('BTS|2\r', '') + batch)).toEqual([batch.replace('BTS|2\r', ''), batch]);
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

  it('a line for each says which, what was answered, and how soon', async () => {
    const withText = answeringWith(({ bytes }) =>
      Buffer.concat([acknowledgementOf(bytes).subarray(0, -1), Buffer.from('|all \\T\\ well\x1b[2J\r')]),
    );
    const { stdout } = await send(withText);
    const lines = stdout.split('\n');
    expect(lines[0]).toMatch(/messages\.hl7, message 1, ADT\^A01 M1: AA after \d+ ms: all & well\\x1b\[2J$/);
    expect(lines[2]).toBe('MSA|AA|M1|all \\T\\ well\\x1b[2J');
    expect(lines[3]).toMatch(/messages\.hl7, message 2, ADT\^A01 M2: AA after/);
  });

  it('several files, and a batch as one', async () => {
    const batch = join(folder, 'batch.hl7');
    writeFileSync(batch, `BHS|^~\\&|A|B|C|D|20260101||||BATCH7\r${String(messages[0])}BTS|1\r`);
    receiver = await startReceiver(answeringWith(({ bytes }) => acknowledgementOf(bytes, 'AA', 'BATCH7')));
    const { code, stdout } = await runHere(['hl7', 'send', receiver.endpoint, batch, '--batch']);
    expect(code).toBe(0);
    expect(stdout).toContain('batch.hl7, message 1, batch BATCH7: AA after');
    expect(String(receiver.messages.items[0]!.bytes)).toMatch(/^BHS\|.*BTS\|1\r$/s);
    receiver.script = answering();
    const both = await runHere(['hl7', 'send', receiver.endpoint, batch, file]);
    expect(both.code).toBe(0);
    expect(receiver.messages.items.slice(1).map(({ controlId }) => controlId)).toEqual(['M1', 'M1', 'M2']);
  });

  describe('in enhanced mode', () => {
    /** MSH-15 and MSH-16 of both messages. */
    const enhanced = async (accept: string, application: string, script: ReceiverScript, timeout = '10') => {
      const path = join(folder, `${accept}-${application}.hl7`);
      const wanted = { acceptAcknowledgement: accept, applicationAcknowledgement: application };
      writeFileSync(
        path,
        Buffer.concat(['M1', 'M2'].map((controlId) => hl7Message({ controlId, ...wanted }))),
      );
      receiver = await startReceiver(script);
      const words = ['hl7', 'send', receiver.endpoint, path, '--timeout', timeout];
      const { code, stdout, stderr } = await runHere(words);
      const said = stdout.split('\n').flatMap((line) => /hl7, message (\d, .*)/.exec(line)?.[1] ?? []);
      return { code, stderr, said: said.map((line) => line.replace(/\d+ ms/, 'N ms')) };
    };
    const both =
      (...codes: string[]): ReceiverScript =>
      async (message, connection) => {
        for (const code of codes) await connection.write(acknowledgementOf(message.bytes, code));
      };

    it('NE and NE: no answer is waited for', async () => {
      const { code, said } = await enhanced('NE', 'NE', silent());
      expect(code).toBe(0);
      expect(said[1]).toContain('2, ADT^A01 M2: sent, and it asks for no answer');
      await receiver!.messages.count(2);
    });

    it('CA, then the answer of the application', async () => {
      const { code, said } = await enhanced('AL', 'AL', both('CA', 'AA'));
      expect(code).toBe(0);
      expect(said).toEqual(
        ['1, ADT^A01 M1', '2, ADT^A01 M2'].flatMap((name) =>
          ['CA', 'AA'].map((one) => `${name}: ${one} after N ms`),
        ),
      );
    });

    it('CA, then the application says no: exit 1', async () => {
      expect(await enhanced('AL', 'AL', both('CA', 'AE'))).toMatchObject({
        code: 1,
        stderr: 'gantry: 2 of 2 messages were refused\n',
      });
    });

    it('CA, and the application answers elsewhere, or when the next message is under way', async () => {
      let first: Buffer | undefined;
      const late: ReceiverScript = async ({ bytes }, connection) => {
        if (first) await connection.write(acknowledgementOf(first, 'AA'));
        first = bytes;
        await connection.write(acknowledgementOf(bytes, 'CA'));
      };
      const { code, said } = await enhanced('AL', 'AL', late, '1');
      expect(code).toBe(0);
      expect(said).toEqual([
        '1, ADT^A01 M1: CA after N ms',
        '1, ADT^A01 M1: no answer of its application came on this connection within 1 s',
        '2, ADT^A01 M2: an answer to an earlier message, AA after N ms',
        '2, ADT^A01 M2: CA after N ms',
        '2, ADT^A01 M2: no answer of its application came on this connection within 1 s',
      ]);
    });

    it('ER: silence is success', async () => {
      const { code, said } = await enhanced('ER', 'NE', silent(), '0.5');
      expect(code).toBe(0);
      expect(said[0]).toContain('no answer within 0.5 s: it asks for one only when something is wrong');
    });

    it('commit blocks of MLLP release 2 are shown', async () => {
      const released: ReceiverScript = async (message, connection) => {
        await connection.write(Buffer.of(message.controlId === 'M1' ? 0x06 : 0x15));
        if (message.controlId === 'M1') await connection.write(acknowledgementOf(message.bytes));
      };
      const { code, said } = await enhanced('', '', released);
      expect(code).toBe(1);
      expect(said).toEqual([
        '1, ADT^A01 M1: committed, says MLLP release 2 after N ms',
        '1, ADT^A01 M1: AA after N ms',
        '2, ADT^A01 M2: not committed, says MLLP release 2 after N ms',
      ]);
    });
  });

  describe('over TLS', () => {
    const pem = async (name: string, text: string) => {
      writeFileSync(join(folder, name), text);
      return join(folder, name);
    };
    async function secureReceiver(options: TlsOptions): Promise<string> {
      receiver = await startReceiver();
      const { port } = receiver.address;
      const server = createServer(options, (socket) => {
        const inner = connect(port, '127.0.0.1');
        socket.pipe(inner).pipe(socket);
        for (const end of [socket, inner]) end.on('error', () => {});
      });
      server.on('tlsClientError', () => {});
      await once(server.listen(0, '127.0.0.1'), 'listening');
      onTestFinished(() => void server.close());
      return `127.0.0.1:${(server.address() as AddressInfo).port}`;
    }

    it('with an authority, a name and a certificate of our own', async () => {
      const authority = await createAuthority();
      const { cert, key } = await authority.issue({ names: ['ris.test'] });
      const ours = await authority.issue({ client: true, subject: '/CN=lab' });
      const target = await secureReceiver({ cert, key, ca: authority.ca, requestCert: true });
      const words = [
        ...['--ca', await pem('ca.pem', authority.ca), '--servername', 'ris.test'],
        ...['--cert', await pem('us.pem', ours.cert), '--key', await pem('us.key', ours.key)],
      ];
      expect(await runHere(['hl7', 'send', target, file, ...words])).toMatchObject({ code: 0, stderr: '' });
      expect(receiver!.messages.length).toBe(2);
      const without = await runHere(['hl7', 'send', target, file, ...words.slice(0, 4)]);
      expect(without.code).toBe(1);
    });

    it('a certificate that is not trusted, one that is not looked at, and a server that does not speak TLS', async () => {
      const authority = await createAuthority();
      const target = await secureReceiver(await authority.issue({ names: ['ris.test'] }));
      expect(await runHere(['hl7', 'send', target, file, '--tls'])).toMatchObject({
        code: 1,
        stderr: expect.stringMatching(
          /^gantry: the certificate of \S+ is refused: .*\(GTY_TLS_CERTIFICATE\)\n$/,
        ),
      });
      expect(await runHere(['hl7', 'send', target, file, '--insecure'])).toMatchObject({ code: 0 });
      const plain = await startReceiver();
      onTestFinished(() => plain.stop());
      const words = ['hl7', 'send', plain.endpoint, file, '--tls', '--timeout', '0.5'];
      expect(await runHere(words)).toMatchObject({ code: 1, stdout: '' });
    });

    it.each([
      [['--cert', 'x.pem'], '--cert and --key go together'],
      [['--ca', 'none.pem'], 'none.pem cannot be read: there is no such file'],
    ])('%j: a sentence', async (words, sentence) => {
      const { code, stderr } = await runHere(['hl7', 'send', '127.0.0.1:1', file, ...words]);
      expect({ code, stderr }).toEqual({ code: 2, stderr: `gantry: ${sentence}\n` });
    });

    it('an authority that is none: a sentence', async () => {
      const words = ['hl7', 'send', '127.0.0.1:1', file, '--ca', await pem('bad.pem', 'nonsense')];
      expect(await runHere(words)).toMatchObject({
        code: 2,
        stderr: expect.stringMatching(/^gantry: [^\n]+\n$/),
      });
    });
  });

  it.each([
    ['a negative one', answering('AE'), '2 of 2 messages were refused'],
    [
      'one for another message',
      answeringWrongId(),
      'messages.hl7, message 1, ADT^A01 M1: the acknowledgement is for another message',
    ],
    [
      'one without MSA',
      answeringWithoutMsa(),
      'messages.hl7, message 1, ADT^A01 M1: what was answered is not an acknowledgement',
    ],
    [
      'none, and the connection closed',
      closing(),
      'messages.hl7, message 1, ADT^A01 M1: no acknowledgement from',
    ],
  ])('%s: exit 1', async (_name, script, sentence) => {
    const { code, stderr } = await send(script);
    expect(code).toBe(1);
    expect(stderr).toContain(sentence);
  });

  it('none in time: exit 1', async () => {
    const { code, stderr } = await send(silent(), '--timeout', '1');
    expect(code).toBe(1);
    expect(stderr).toContain('none came within 1 s');
  });

  it('nobody reads: exit 1', async () => {
    const huge = join(folder, 'huge.hl7');
    writeFileSync(huge, hl7Message({ controlId: 'M1', length: 32 * 1024 * 1024 }));
    const deaf = listen();
    deaf.on('connection', (socket) => socket.pause());
    await once(deaf.listen(0, '127.0.0.1'), 'listening');
    onTestFinished(() => void deaf.close());
    const target = `127.0.0.1:${(deaf.address() as AddressInfo).port}`;
    const { code, stderr } = await runHere(['hl7', 'send', target, huge, '--timeout', '1']);
    expect(code).toBe(1);
    expect(stderr).toContain('none came within 1 s');
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
