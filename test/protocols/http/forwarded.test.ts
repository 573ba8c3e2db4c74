import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Forwarding, parseForwarded, withForwarded } from '../../../protocols/http/forwarded.ts';

const hop: Forwarding = {
  mode: 'replace',
  client: '192.0.2.7',
  proto: 'https',
  host: 'portal.example',
  port: 443,
};
const append: Forwarding = { ...hop, mode: 'append' };
const told = [
  'X-Forwarded-For',
  '192.0.2.7',
  'X-Forwarded-Proto',
  'https',
  'X-Forwarded-Host',
  'portal.example',
  'X-Forwarded-Port',
  '443',
  'Forwarded',
  'for=192.0.2.7;proto=https;host=portal.example',
];

/** Flat fields by name; a name that is there twice is a mistake. */
function byName(fields: readonly string[]): Record<string, string> {
  const names = fields.filter((_, at) => at % 2 === 0);
  expect(new Set(names).size).toBe(names.length);
  return Object.fromEntries(names.map((name) => [name, fields[fields.indexOf(name) + 1]!]));
}

describe('replace', () => {
  test('tells of the client, behind the other fields', () => {
    expect(withForwarded(['Host', 'a'], hop)).toEqual(['Host', 'a', ...told]);
  });

  test('nothing of what a peer says about a client stays', () => {
    const claims = [
      'X-Forwarded-For',
      'x-forwarded-proto',
      'X-FORWARDED-HOST',
      'X-Forwarded-Port',
      'X-Forwarded-Prefix',
      'X_Forwarded_For',
      'X-Forwarded_For',
      'Forwarded',
      'forwarded',
      'X-Real-IP',
      'x_real_ip',
    ];
    const claimed = claims.flatMap((name) => [name, 'for=203.0.113.9']);
    expect(withForwarded([...claimed, 'X-For', 'kept', 'Form', 'kept'], hop)).toEqual([
      'X-For',
      'kept',
      'Form',
      'kept',
      ...told,
    ]);
  });

  test('a request without Host, and a port that is not told', () => {
    expect(withForwarded([], { ...hop, host: undefined, port: undefined })).toEqual([
      'X-Forwarded-For',
      '192.0.2.7',
      'X-Forwarded-Proto',
      'https',
      'Forwarded',
      'for=192.0.2.7;proto=https',
    ]);
  });
});

describe('append', () => {
  test('a trusted peer that says nothing is the client', () => {
    expect(withForwarded(['Host', 'a'], append)).toEqual(['Host', 'a', ...told]);
    expect(withForwarded(['X-Forwarded-For', ''], append)).toEqual(told);
  });

  test('the hop goes behind those before it; scheme, host and port are those of the first', () => {
    const came = [
      'x-forwarded-for',
      '203.0.113.9',
      'X-Forwarded-Proto',
      'http',
      'X-Forwarded-Host',
      'front.example:80',
      'X-Forwarded-Port',
      '80',
    ];
    expect(byName(withForwarded(['Host', 'a', ...came, 'X-Forwarded-For', '198.51.100.1'], append))).toEqual({
      Host: 'a',
      'X-Forwarded-For': '203.0.113.9, 198.51.100.1, 192.0.2.7',
      'X-Forwarded-Proto': 'http',
      'X-Forwarded-Host': 'front.example:80',
      'X-Forwarded-Port': '80',
      Forwarded:
        'for=203.0.113.9;proto=http;host="front.example:80", for=198.51.100.1, for=192.0.2.7;proto=https;host=portal.example',
    });
  });

  test('Forwarded alone says the same in the other notation', () => {
    const came = [
      'Forwarded',
      'For="[2001:db8::1]:4711";Proto=http;Host="front.example:80", for=_hidden, for=unknown',
    ];
    expect(byName(withForwarded(came, append))).toEqual({
      'X-Forwarded-For': '2001:db8::1, _hidden, unknown, 192.0.2.7',
      'X-Forwarded-Proto': 'http',
      'X-Forwarded-Host': 'front.example:80',
      Forwarded:
        'for="[2001:db8::1]:4711";proto=http;host="front.example:80", for=_hidden, for=unknown, for=192.0.2.7;proto=https;host=portal.example',
    });
  });

  test('the port is not told when another hop knows it better', () => {
    const fields = byName(withForwarded(['X-Forwarded-For', '203.0.113.9'], append));
    expect(fields).not.toHaveProperty('X-Forwarded-Port');
  });

  test('what is no address in X-Forwarded-For is an unknown hop in Forwarded', () => {
    const fields = byName(withForwarded(['X-Forwarded-For', '2001:db8::1, 192.0.2.1:80,, "a;b"'], append));
    expect(fields.Forwarded).toMatch(
      /^for="\[2001:db8::1\]", for="192.0.2.1:80", for=unknown, for=192\.0\.2\.7;/,
    );
  });

  test('a malformed Forwarded is written anew', () => {
    const fields = byName(
      withForwarded(['Forwarded', 'for="[2001:db8::1]', 'X-Forwarded-For', '203.0.113.9'], append),
    );
    expect(fields.Forwarded).toBe('for=203.0.113.9, for=192.0.2.7;proto=https;host=portal.example');
  });

  test('other fields of a trusted peer stay', () => {
    const came = ['X-Forwarded-Prefix', '/x', 'X-Real-IP', '203.0.113.9'];
    expect(withForwarded(came, append)).toEqual([...came, ...told]);
  });
});

test('off: all stays as it came', () => {
  const fields = ['X-Forwarded-For', '203.0.113.9'];
  expect(withForwarded(fields, { ...hop, mode: 'off' })).toBe(fields);
});

describe('addresses', () => {
  const node = (client: string) => {
    const fields = byName(withForwarded([], { ...hop, client, by: client }));
    return [fields['X-Forwarded-For'], fields.Forwarded?.split(';')[0], fields.Forwarded?.split(';').at(-1)];
  };
  test('IPv6 has brackets and quotation marks in Forwarded', () => {
    expect(node('2001:db8::1')).toEqual(['2001:db8::1', 'for="[2001:db8::1]"', 'by="[2001:db8::1]"']);
  });
  test('IPv4 inside IPv6 is IPv4, and a zone is nobody else’s', () => {
    expect(node('::ffff:192.0.2.7')).toEqual(['192.0.2.7', 'for=192.0.2.7', 'by=192.0.2.7']);
    expect(node('fe80::1%eth0')).toEqual(['fe80::1', 'for="[fe80::1]"', 'by="[fe80::1]"']);
  });
});

describe('Forwarded as it comes', () => {
  test.each([
    ['for=a', [{ for: 'a' }]],
    ['FOR=a ; Proto=b,for=c', [{ for: 'a', proto: 'b' }, { for: 'c' }]],
    ['for="a\\"b,;=\\\\"', [{ for: 'a"b,;=\\' }]],
    ['for=192.0.2.1:80;;host=a:80', [{ for: '192.0.2.1:80', host: 'a:80' }]],
    [',for=a,,', [{ for: 'a' }]],
    ['', undefined],
    ['for', undefined],
    ['for="a', undefined],
    ['for=a b', undefined],
    ['for="a"b', undefined],
    ['=a', undefined],
  ])('%j', (value, elements) => {
    expect(parseForwarded(value)?.map((pairs) => Object.fromEntries(pairs))).toEqual(elements);
  });
});

const printable = fc.string({
  unit: fc.integer({ min: 0x20, max: 0x7e }).map((code) => String.fromCharCode(code)),
  minLength: 1,
});

test('property: whatever a host is, Forwarded says it so that it is read back', () => {
  fc.assert(
    fc.property(
      printable,
      fc.oneof(fc.ipV4(), fc.ipV6()),
      fc.constantFrom('append', 'replace'),
      (host, client, mode) => {
        const came = ['X-Forwarded-For', '203.0.113.9', 'X-Forwarded-Host', host];
        const elements = parseForwarded(
          byName(withForwarded(came, { ...hop, mode, host, client })).Forwarded!,
        );
        expect(elements).toHaveLength(mode === 'append' ? 2 : 1);
        for (const element of elements!) expect(element.get('host')).toBe(host);
        const plain = client.replace(/^::ffff:(?=[\d.]+$)/i, '');
        expect(elements!.at(-1)!.get('for')).toBe(plain.includes(':') ? `[${plain}]` : plain);
      },
    ),
  );
});

test('property: a Forwarded that a trusted peer wrote is still there, element by element', () => {
  const value = fc.string({
    unit: fc.constantFrom(...'ab1.:[]_ ,;="\\'.split('')),
    minLength: 1,
    maxLength: 8,
  });
  const element = fc.dictionary(fc.constantFrom('proto', 'host', 'secret'), value, { minKeys: 1 });
  fc.assert(
    fc.property(fc.array(element, { minLength: 1, maxLength: 4 }), (elements) => {
      const written = elements
        .map((pairs) =>
          Object.entries(pairs).map(([name, text]) => `${name}="${text.replace(/["\\]/g, '\\$&')}"`),
        )
        .map((pairs) => pairs.join(' ; '))
        .join(' , ');
      const { Forwarded } = byName(withForwarded(['Forwarded', written], append));
      const read = parseForwarded(Forwarded!)!.map((pairs) => Object.fromEntries(pairs));
      expect(read.slice(0, -1)).toEqual(elements.map((pairs) => ({ ...pairs })));
    }),
  );
});

test('property: nothing in a value from a trusted peer makes it throw', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), (forwarded, addresses) => {
      expect(
        withForwarded(['Forwarded', forwarded, 'X-Forwarded-For', addresses], append).length,
      ).toBeGreaterThan(4);
    }),
  );
});
