/** `requestFault` by itself: nothing that is in order is refused, and nothing that is not passes beside it. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type RequestHead, requestFault } from '../../../protocols/http/strictness.ts';

const LETTERS = 'abcdefghijklmnopqrstuvwxyz';
const word = fc.string({
  unit: fc.constantFrom(...LETTERS.split(''), ...'0123456789-'.split('')),
  minLength: 1,
  maxLength: 12,
});
const host = fc.oneof(
  fc.tuple(word, word).map(([name, domain]) => `${name}.${domain}`),
  fc.ipV4(),
  fc.ipV6().map((address) => `[${address}]`),
);
const port = fc.option(
  fc.nat(65_535).map((number) => `:${number}`),
  { nil: '' },
);
const segment = fc.string({
  unit: fc.oneof(
    { weight: 8, arbitrary: fc.constantFrom(...LETTERS.split(''), ...'0123456789-._~!$&*()+,:@='.split('')) },
    { weight: 1, arbitrary: fc.constantFrom('%20', '%7e', '%C3%BC', '%0a') },
  ),
  maxLength: 8,
});
const path = fc.array(segment, { maxLength: 5 }).map((segments) => `/${segments.join('/')}`);
const query = fc.option(
  fc
    .string({ unit: fc.constantFrom(...'abc=&%?/;\\"<>'.split('')), maxLength: 20 })
    .map((text) => `?${text}`),
  { nil: '' },
);
const fieldName = fc
  .string({
    unit: fc.constantFrom(...LETTERS.split(''), ..."-_.!#$%&'*+^`|~".split('')),
    minLength: 1,
    maxLength: 18,
  })
  .filter(
    (name) =>
      !/^(host|expect|upgrade|connection|content-length|transfer-encoding)$/.test(name) &&
      !name.startsWith(':'),
  );
const field = fc.tuple(fieldName, fc.string({ maxLength: 30 }));
const spelling = (name: string) => fc.mixedCase(fc.constant(name));

interface Sound extends RequestHead {
  readonly authority: string;
}

/** A request as a client may send it. */
const sound: fc.Arbitrary<Sound> = fc
  .record({
    method: fc.constantFrom('GET', 'POST', 'PUT', 'DELETE', 'HEAD', 'OPTIONS', 'PATCH', 'PROPFIND'),
    authority: fc.tuple(host, port).map((parts) => parts.join('')),
    path,
    query,
    isAbsolute: fc.boolean(),
    before: fc.array(field, { maxLength: 5 }),
    after: fc.array(field, { maxLength: 5 }),
    hostName: spelling('host'),
    body: fc.option(
      fc.oneof(
        fc.tuple(spelling('content-length'), fc.nat().map(String)),
        fc.tuple(spelling('transfer-encoding'), spelling('chunked')),
      ),
      { nil: [] as string[] },
    ),
    connection: fc.constantFrom(
      [],
      ['Connection', 'keep-alive'],
      ['connection', 'close, X-Hop'],
      ['CONNECTION', 'TE'],
    ),
  })
  .map(
    ({
      method,
      authority,
      path: text,
      query: asked,
      isAbsolute,
      before,
      after,
      hostName,
      body,
      connection,
    }) => ({
      method,
      authority,
      target: `${isAbsolute ? `http://${authority}` : ''}${text}${asked}`,
      version: '1.1',
      rawHeaders: [...before.flat(), hostName, authority, ...body, ...connection, ...after.flat()],
    }),
  );

test('property: a request in order is not refused', () => {
  fc.assert(
    fc.property(sound, (head) => {
      expect(requestFault(head)).toBeUndefined();
    }),
  );
});

/** What makes a sound request unsound, and what it is refused with. */
const FLAWS: Readonly<
  Record<string, readonly [status: number, flaw: (head: Sound) => Partial<RequestHead>]>
> = {
  'HTTP/0.9': [505, () => ({ version: '0.9' })],
  'HTTP/2 in a request line': [505, () => ({ version: '2.0' })],
  CONNECT: [501, () => ({ method: 'CONNECT' })],
  'Host repeated': [400, ({ rawHeaders, authority }) => ({ rawHeaders: [...rawHeaders, 'hosT', authority] })],
  'Host gone': [
    400,
    ({ rawHeaders }) => ({
      rawHeaders: rawHeaders.map((text, at) => (at % 2 === 0 && /^host$/i.test(text) ? 'X-Host' : text)),
    }),
  ],
  'both lengths': [
    400,
    ({ rawHeaders }) => ({
      rawHeaders: [...rawHeaders, 'Content-Length', '5', 'Transfer-Encoding', 'chunked'],
    }),
  ],
  'an expectation': [417, ({ rawHeaders }) => ({ rawHeaders: [...rawHeaders, 'eXpect', 'more'] })],
  'Connection naming Host': [
    400,
    ({ rawHeaders }) => ({ rawHeaders: ['Connection', 'X-Hop, hOst', ...rawHeaders] }),
  ],
  'another authority': [
    400,
    ({ target, authority }) => ({
      target: `http://x${authority.replace('[', '')}${target.startsWith('/') ? target : '/'}`,
    }),
  ],
  'a fragment': [400, ({ target }) => ({ target: `${target}#x` })],
  'a hidden dot segment': [400, ({ target }) => ({ target: target.replace(/^([^?]*)/, '$1/..;a/b') })],
  'a percent-encoded zero': [400, ({ target }) => ({ target: target.replace(/^([^?]*)/, '$1/%00') })],
  'a long target': [414, ({ target }) => ({ target: `${target}/${'x'.repeat(16_384)}` })],
};

test.each(Object.entries(FLAWS))(
  'property: %s is refused, whatever is around it',
  (_name, [status, flaw]) => {
    fc.assert(
      fc.property(sound, (head) => {
        const fault = requestFault({ ...head, ...flaw(head) });
        expect(fault).toBeDefined();
        // What has two flaws may be refused for the other one.
        expect([status, 400]).toContain(fault!.status);
      }),
    );
  },
);

test('property: no text at all makes it throw, and no sentence has any of the text in it', () => {
  const text = fc.string({ unit: 'binary', maxLength: 40 });
  const name = fc.oneof(
    text,
    fc.constantFrom(
      'Host',
      ':authority',
      'Connection',
      'Transfer-Encoding',
      'Content-Length',
      'Upgrade',
      'Expect',
    ),
  );
  const head = fc.record({
    method: text,
    target: fc.oneof(
      text,
      text.map((rest) => `/${rest}`),
    ),
    version: fc.constantFrom('1.0', '1.1', '2.0'),
    rawHeaders: fc.array(fc.tuple(name, text)).map((fields) => fields.flat()),
  });
  const sentences = new Set<string>();
  fc.assert(
    fc.property(head, (one) => {
      const fault = requestFault(one);
      if (fault) sentences.add(fault.reason);
    }),
  );
  for (const sentence of sentences) expect(sentence).toMatch(/^[A-Z][\w ,./%-]+\.$/);
  expect(sentences.size).toBeLessThan(30);
});
