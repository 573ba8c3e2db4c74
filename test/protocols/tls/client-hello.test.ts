import { connect } from 'node:tls';
import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { CLIENT_HELLO_CAP, createClientHelloReader } from '../../../protocols/tls/client-hello.ts';
import { describeWith, startProgram } from '../../peers/processes.ts';
import {
  applicationProtocols,
  captureHello,
  extension,
  helloMessage,
  inRecords,
  serverName,
} from './client-hellos.ts';

const read = (bytes: Buffer) => createClientHelloReader().push(bytes);

/** Pushes chunk after chunk; the answer, and how many bytes had been pushed then. */
function readChunks(chunks: readonly Buffer[]) {
  const reader = createClientHelloReader();
  let pushed = 0;
  for (const chunk of chunks) {
    pushed += chunk.length;
    const answer = reader.push(chunk);
    expect(reader.bytes.length).toBe(pushed);
    if (answer !== undefined) return { answer, bytes: Buffer.from(reader.bytes) };
  }
  return { answer: undefined, bytes: Buffer.from(reader.bytes) };
}

const oneByOne = (bytes: Buffer) => [...bytes].map((byte) => Buffer.of(byte));

describeWith(['openssl'], 'ClientHellos of real clients', () => {
  const node = (
    servername: string | undefined,
    ALPNProtocols: string[] | undefined,
    minVersion = 'TLSv1.2',
  ) =>
    captureHello((port) => {
      const client = connect({
        host: '127.0.0.1',
        port,
        servername,
        ALPNProtocols,
        minVersion: minVersion as 'TLSv1.2',
      });
      client.on('error', () => {});
      return () => client.destroy();
    });
  const openssl = (...options: string[]) =>
    captureHello((port) => {
      const client = startProgram('openssl', ['s_client', '-connect', `127.0.0.1:${port}`, ...options]);
      return () => void client.stop();
    });

  const LONG_NAMES = [1, 2, 3].map((n) => String(n).repeat(250));

  it.each([
    [
      'node:tls',
      () => node('PACS.Example', ['h2', 'http/1.1']),
      { sni: 'pacs.example', alpn: ['h2', 'http/1.1'] },
    ],
    [
      'node:tls, TLS 1.3 only, nothing asked for',
      () => node(undefined, undefined, 'TLSv1.3'),
      { sni: undefined, alpn: [] },
    ],
    [
      'openssl s_client',
      () => openssl('-servername', 'ris.example', '-alpn', 'dicom'),
      { sni: 'ris.example', alpn: ['dicom'] },
    ],
    [
      'openssl s_client, TLS 1.2',
      () => openssl('-servername', 'ris.example', '-tls1_2'),
      { sni: 'ris.example', alpn: [] },
    ],
    [
      'openssl s_client, in records of 512 bytes',
      () => openssl('-servername', 'ris.example', '-alpn', LONG_NAMES.join(','), '-max_send_frag', '512'),
      { sni: 'ris.example', alpn: LONG_NAMES },
    ],
    ['openssl s_client without a name', () => openssl('-noservername'), { sni: undefined, alpn: [] }],
  ])('%s', async (_, capture, expected) => {
    const hello = await capture();
    expect(read(hello)).toEqual(expected);
    expect(readChunks(oneByOne(hello))).toEqual({ answer: expected, bytes: hello });
    for (let cut = 1; cut < hello.length; cut += 1) expect(read(hello.subarray(0, cut))).toBeUndefined();
  });
});

describe('what else a ClientHello may be', () => {
  const NAMED = helloMessage([applicationProtocols('dicom'), serverName('a.example')]);

  it.each([
    ['a handshake split over records', inRecords(NAMED, 3)],
    ['a record for each byte', inRecords(NAMED, 1)],
    ['more bytes behind it', Buffer.concat([inRecords(NAMED), Buffer.alloc(100, 0x17)])],
    ['another message in its last record', inRecords(Buffer.concat([NAMED, Buffer.alloc(9)]))],
  ])('%s', (_, bytes) => {
    expect(read(bytes)).toEqual({ sni: 'a.example', alpn: ['dicom'] });
    expect(readChunks(oneByOne(bytes)).answer).toEqual({ sni: 'a.example', alpn: ['dicom'] });
  });

  it.each([
    ['no extensions at all', helloMessage(), undefined],
    ['empty extensions', helloMessage([]), undefined],
    ['upper case', helloMessage([serverName('A.EXAMPLE')]), 'a.example'],
    ['a name with a line break', helloMessage([serverName('a\nb')]), undefined],
    ['a name with eight bits', helloMessage([serverName('ä.example')]), undefined],
    ['an empty name', helloMessage([serverName('')]), undefined],
    ['an empty list of names', helloMessage([extension(0, Buffer.of(0, 0))]), undefined],
  ])('%s', (_, message, sni) => {
    expect(read(inRecords(message))).toEqual({ sni, alpn: [] });
  });
});

describe('what is not TLS', () => {
  const short = (cut: number) => {
    const message = helloMessage([serverName('a.example')]);
    const shortened = message.subarray(0, message.length - cut);
    shortened.writeUIntBE(shortened.length - 4, 1, 3);
    return inRecords(shortened);
  };

  it.each([
    ['HTTP', Buffer.from('G')],
    ['a PROXY header', Buffer.from('PROXY')],
    ['DICOM', Buffer.of(1)],
    ['an SSL 2 hello', Buffer.of(0x80, 0x2e, 1, 3, 1)],
    ['another version', Buffer.of(0x16, 2)],
    ['an empty record', Buffer.of(0x16, 3, 1, 0, 0)],
    ['a record longer than records are', Buffer.of(0x16, 3, 1, 0x40, 1)],
    ['another handshake message', Buffer.of(0x16, 3, 1, 0, 4, 2)],
    ['another record in between', Buffer.of(0x16, 3, 1, 0, 1, 1, 0x15)],
    ['a message over the cap, told by its length', inRecords(Buffer.of(1, 0, 0x40, 1, 3, 3))],
    ['a message that ends inside an extension', short(3)],
    ['a name longer than its list', inRecords(helloMessage([extension(0, Buffer.of(0, 4, 0, 0, 9, 1))]))],
  ])('%s', (_, bytes) => {
    expect(read(bytes)).toBe('not-tls');
    expect(readChunks(oneByOne(bytes)).answer).toBe('not-tls');
  });

  it('is what goes on for more than 16 KiB', () => {
    const reader = createClientHelloReader();
    const bytes = inRecords(helloMessage([extension(21, Buffer.alloc(16_000))]), 3);
    let pushed = 0;
    for (const byte of oneByOne(bytes)) {
      const answer = reader.push(byte);
      pushed += 1;
      if (answer === undefined) continue;
      expect([answer, pushed]).toEqual(['not-tls', CLIENT_HELLO_CAP]);
      return;
    }
    expect.unreachable('it never said so');
  });
});

const hellos = fc
  .record({
    name: fc.stringMatching(/^[a-z0-9.-]{1,60}$/),
    protocols: fc.array(fc.stringMatching(/^[a-z0-9/.]{1,12}$/), { minLength: 1, maxLength: 4 }),
    padding: fc.nat(2000),
    records: fc.integer({ min: 1, max: 2500 }),
  })
  .map(({ name, protocols, padding, records }) => ({
    expected: { sni: name, alpn: protocols },
    bytes: inRecords(
      helloMessage([
        extension(21, Buffer.alloc(padding)),
        serverName(name),
        applicationProtocols(...protocols),
      ]),
      Math.max(records, 1 + Math.floor(padding / 500)),
    ),
  }));

test('any cut of the bytes reads the same, and keeps them all', () => {
  fc.assert(
    fc.property(hellos, fc.array(fc.nat(5000), { maxLength: 30 }), ({ expected, bytes }, cuts) => {
      const edges = [...new Set([0, ...cuts.map((cut) => cut % bytes.length), bytes.length])].toSorted(
        (a, b) => a - b,
      );
      const chunks = edges.slice(1).map((end, at) => bytes.subarray(edges[at], end));
      const { answer, bytes: kept } = readChunks(chunks);
      expect(answer).toEqual(expected);
      expect(kept.equals(bytes)).toBe(true);
    }),
  );
});

test('no beginning of a ClientHello is one', () => {
  fc.assert(
    fc.property(hellos, fc.nat(), ({ bytes }, cut) => {
      expect(read(bytes.subarray(0, cut % bytes.length))).toBeUndefined();
    }),
  );
});

test('a corrupted byte gives an answer or asks for more, and no name with odd characters', () => {
  fc.assert(
    fc.property(hellos, fc.nat(), fc.integer({ min: 1, max: 255 }), ({ bytes }, at, change) => {
      const corrupted = Buffer.from(bytes);
      corrupted[at % bytes.length]! ^= change;
      const answer = read(corrupted);
      if (typeof answer === 'object') expect(answer.sni ?? 'none').toMatch(/^[\w.-]+$/);
    }),
    { numRuns: 2000 },
  );
});
