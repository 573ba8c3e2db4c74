import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { compileRewrite } from '../../../protocols/http/rewrite.ts';
import { normalisePath, parseTarget } from '../../../protocols/http/target.ts';
import { compilePattern } from '../../../src/director/patterns.ts';

/** What the server is asked for. */
function rewritten(patterns: readonly string[], replacement: string, target: string): string {
  return compileRewrite(patterns, replacement)(parseTarget(target, undefined)).target;
}

describe('a path is rewritten', () => {
  test.each([
    // [pattern, replacement, target, what the server is asked for]
    ['/chat/*', '/$1', '/chat/room/7?x=1', '/room/7?x=1'],
    ['/chat/*', '/$1', '/chat/', '/'],
    ['/chat*', '/$1', '/chat', '/'],
    ['/chat*', '$1', '/chatroom', '/room'],
    ['/old', '/new', '/old?x', '/new?x'],
    ['*', '/app$1', '/x//y', '/app/x//y'],
    ['/*/images/*', '/$2/of/$1', '/pacs/images/7/8', '/7/8/of/pacs'],
    ['/*/b/*', '/$1-$2', '/a/b/b/c', '/a-b/c'],
    ['/*.php', '/$1', '/x/y.php', '/x/y'],
    ['/**/x', '/$1-$2', '/a/x', '/-a'],
    ['/a*', '/$1$$$1', '/ab', '/b$b'],
    ['/a*', '/x?of=$1', '/ab?y=1', '/x?of=b&y=1'],
    ['~^/v(\\d+)/(.*)$', '/$2/$1', '/v12/x/y?z', '/x/y/12?z'],
    ['~^/(a)?(b)', '/$1.$2', '/b', '/.b'],
    ['~/end$', '/other', '/the/end', '/other'],
    ['/chat/*', '/', '/chat/x?y', '/?y'],
  ])('%s with %s: %s', (pattern, replacement, target, expected) => {
    expect(rewritten([pattern], replacement, target)).toBe(expected);
  });

  test('by the first of several patterns that matches, or as any path without one', () => {
    expect(rewritten(['/chat/*', '/talk/*'], '/$1', '/talk/x')).toBe('/x');
    expect(rewritten([], '/app/$1', '/x?y')).toBe('/app/x?y');
  });

  test("keeps the client's spelling of what * stands for", () => {
    expect(rewritten(['/chat/*'], '/$1', '/chat/%7Ea%2fb;c?%7E')).toBe('/%7Ea%2fb;c?%7E');
  });

  test('by the normalised path where only that matches', () => {
    expect(rewritten(['/chat/*'], '/$1', '/%63hat/%41')).toBe('/A');
  });

  test('without dot segments, which would lead out of the new prefix', () => {
    expect(rewritten(['/chat/*'], '/app/$1', '/chat/a/../../chat/../chat/x')).toBe('/app/x');
    expect(rewritten(['/chat/*'], '/app/$1', '/x/%2e%2E/chat/./y')).toBe('/app/y');
  });

  test('not at all when nothing matches', () => {
    expect(rewritten(['/chat/*'], '/$1', '/other/x?y')).toBe('/other/x?y');
    expect(rewritten(['/chat/*'], '/$1', '*')).toBe('*');
  });
});

describe('a replacement that cannot work is a sentence for the operator', () => {
  test.each([
    ['/chat/*', '/$2', '$2 stands for nothing in "/chat/*": $1 would be right'],
    ['/chat', '/$1', '$1 stands for nothing in "/chat": text without $ would be right'],
    ['/chat/*', '/$0', '$0 stands for nothing in "/chat/*": $1 would be right'],
    ['~^/(a)(b)', '/$3', '$3 stands for nothing in "~^/(a)(b)": $1 to $2 would be right'],
    ['/chat/*', '/$x', '"/$x": $1 would be right, or $$ for a dollar sign'],
    ['/chat/*', '/a b', '"/a b" is not a path: other characters are written percent-encoded, as %20'],
    ['/chat/*', '/a#b', '"/a#b" is not a path: other characters are written percent-encoded, as %20'],
  ])('%s with %s', (pattern, replacement, sentence) => {
    expect(() => compileRewrite([pattern], replacement)).toThrow(new Error(sentence));
  });

  test('a regular expression that is none', () => {
    expect(() => compileRewrite(['~('], '/')).toThrow(SyntaxError);
  });
});

describe('the way back', () => {
  const back = (patterns: readonly string[], replacement: string, target: string, path: string) =>
    compileRewrite(patterns, replacement)(parseTarget(target, undefined)).back?.(path);

  test('is there for a prefix', () => {
    expect(back(['/chat/*'], '/$1', '/chat/x', '/room/7')).toBe('/chat/room/7');
    expect(back(['/chat/*'], '/app/$1', '/chat/x', '/app')).toBe('/chat');
    expect(back(['/*'], '/app/$1', '/x', '/app')).toBe('/');
    expect(back(['/chat/*'], '/app/$1', '/chat/x', '/app/room')).toBe('/chat/room');
    expect(back(['/chat/*'], '/app/$1', '/chat/x', '/other')).toBeUndefined();
    expect(back(['*'], '/app$1', '/x', '/app/y')).toBe('/y');
    expect(back(['*'], '/app$1', '/x', '/app')).toBe('/');
    expect(back([], '/app/$1', '/x', '/app/y')).toBe('/y');
  });

  test('is that of the pattern that matched', () => {
    expect(back(['/chat/*', '/talk/*'], '/$1', '/talk/x', '/y')).toBe('/talk/y');
  });

  test('of one path is that path', () => {
    expect(back(['/old'], '/new', '/old', '/new')).toBe('/old');
    expect(back(['/old'], '/new', '/old', '/new/x')).toBeUndefined();
  });

  test.each([
    ['/*/x', '/$1'],
    ['/a/*', '/b'],
    ['/a/*', '/$1$1'],
    ['/a/*', '/$1/b'],
    ['/a/*', '/?x=$1'],
    ['~^/a/(.*)', '/$1'],
  ])('is not there from %s to %s', (pattern, replacement) => {
    expect(compileRewrite([pattern], replacement)(parseTarget('/a/x', undefined)).back).toBeUndefined();
  });
});

const text = fc.string({ unit: fc.constantFrom('a', 'b', '/'), maxLength: 6 });
const globPattern = fc.array(text, { minLength: 1, maxLength: 4 }).map((parts) => `/${parts.join('*')}`);

test('property: a rewriting matches where the rule matches, and * stand for all that the glob leaves out', () => {
  fc.assert(
    fc.property(globPattern, text, (pattern, rest) => {
      const path = `/${rest}`;
      const parts = pattern.split('*');
      const asItWas = parts.map((part, index) => (index === 0 ? part : `$${index}${part}`)).join('');
      const marked = `/matched${asItWas}`;
      const { target } = compileRewrite([pattern], marked)(parseTarget(path, undefined));
      expect(target).toBe(compilePattern('path', pattern)(path) ? `/matched${path}` : path);
    }),
  );
});

test('property: what a prefix mapping does to a path, its way back undoes', () => {
  fc.assert(
    fc.property(text, text, text, (ours, theirs, rest) => {
      const path = `/${ours}${rest}`;
      const map = compileRewrite([`/${ours}*`], `/${theirs}$1`);
      const { target, back } = map(parseTarget(path, undefined));
      expect(back!(target)).toBe(path);
    }),
  );
});

test('property: whatever a client asks for, the server is asked for a path below the new prefix', () => {
  const piece = fc.constantFrom('a', '/', '/..', '/.', '%2e', '%2f', '%63hat', 'chat', ';', '\\');
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
      const path = `/chat/${pieces.join('')}`;
      if (!compilePattern('path', '/chat/*')(normalisePath(path))) return;
      const { target } = compileRewrite(['/chat/*'], '/app/$1')(parseTarget(path, undefined));
      expect(new URL(`http://portal.example${target.replaceAll('\\', '%5C')}`).pathname).toMatch(/^\/app\//);
    }),
  );
});
