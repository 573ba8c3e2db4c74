import { describe, expect, test } from 'vitest';
import { locationBack, mapBack, type Worlds } from '../../../protocols/http/location.ts';
import { compileRewrite } from '../../../protocols/http/rewrite.ts';
import { parseTarget } from '../../../protocols/http/target.ts';

const { back } = compileRewrite(['/chat/*'], '/app/$1')(parseTarget('/chat/', undefined));
const worlds: Worlds = {
  client: { scheme: 'https', authority: 'portal.example' },
  server: { scheme: 'http', authorities: ['10.0.0.41:80', 'portal.example', 'web-1.example:8080'] },
  back,
};

describe('Location', () => {
  test.each([
    // The server's own address, and what it was called.
    ['http://10.0.0.41/app/x?y#z', 'https://portal.example/chat/x?y#z'],
    ['http://10.0.0.41:80/app/x', 'https://portal.example/chat/x'],
    ['http://PORTAL.example/app/', 'https://portal.example/chat/'],
    ['HTTP://web-1.example:8080/app/', 'https://portal.example/chat/'],
    ['//10.0.0.41/app/x', 'https://portal.example/chat/x'],
    ['http://10.0.0.41', 'https://portal.example'],
    ['http://10.0.0.41?x', 'https://portal.example?x'],
    // Beside the mapping.
    ['http://10.0.0.41/other', 'https://portal.example/other'],
    // Others, or on purpose.
    ['http://10.0.0.41:8080/app/', 'http://10.0.0.41:8080/app/'],
    ['https://portal.example/app/', 'https://portal.example/app/'],
    ['http://other.example/app/', 'http://other.example/app/'],
    ['//other.example/app/', '//other.example/app/'],
    ['ftp://10.0.0.41/app/', 'ftp://10.0.0.41/app/'],
    // Without authority.
    ['/app/x?next=/app/y', '/chat/x?next=/app/y'],
    ['/%61pp/x', '/chat/x'],
    ['/application', '/application'],
    ['x/y', 'x/y'],
    ['../x', '../x'],
    ['?x', '?x'],
    ['#x', '#x'],
    ['', ''],
  ])('%s', (location, expected) => {
    expect(locationBack(location, worlds)).toBe(expected);
  });

  test('without a mapping only the authority changes', () => {
    const { client, server } = worlds;
    expect(locationBack('http://10.0.0.41/app/x', { client, server })).toBe('https://portal.example/app/x');
    expect(locationBack('/app/x', { client, server })).toBe('/app/x');
  });

  test('for a client that named no host it is a path', () => {
    const anonymous: Worlds = { ...worlds, client: { scheme: 'http', authority: undefined } };
    expect(locationBack('http://10.0.0.41/app/x', anonymous)).toBe('/chat/x');
    expect(locationBack('http://10.0.0.41', anonymous)).toBe('/');
  });

  test('of a server that is spoken to in TLS', () => {
    const tls: Worlds = { ...worlds, server: { scheme: 'https', authorities: ['10.0.0.41:443'] } };
    expect(locationBack('https://10.0.0.41/app/x', tls)).toBe('https://portal.example/chat/x');
    expect(locationBack('http://10.0.0.41/app/x', tls)).toBe('http://10.0.0.41/app/x');
  });
});

test('the fields of an answer that name addresses are mapped, the others are not', () => {
  const fields = [
    'location',
    '/app/a',
    'Content-Location',
    'http://10.0.0.41/app/b',
    'Refresh',
    '5; URL=/app/c',
    'refresh',
    "0;url='http://10.0.0.41/app/d'",
    'Refresh',
    '5',
    'Set-Cookie',
    'a=/app/; Path=/app/; HttpOnly',
    'set-cookie',
    'b=1; path=/other',
    'X-Location',
    '/app/e',
  ];
  mapBack(fields, worlds);
  expect(fields).toEqual([
    'location',
    '/chat/a',
    'Content-Location',
    'https://portal.example/chat/b',
    'Refresh',
    '5; URL=/chat/c',
    'refresh',
    "0;url='https://portal.example/chat/d'",
    'Refresh',
    '5',
    'Set-Cookie',
    'a=/app/; Path=/chat/; HttpOnly',
    'set-cookie',
    'b=1; path=/other',
    'X-Location',
    '/app/e',
  ]);
});
