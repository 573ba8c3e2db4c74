import { describe, expect, it, test } from 'vitest';
import { readConfiguration } from '../../src/config/load.ts';
import type { Imported } from '../../src/import/haproxy.ts';
import { importText, told } from './accounting.ts';
import { site } from './haproxy-site.ts';

/** The configuration that `text` becomes, as it is after loading. */
function configurationOf(text: string) {
  const { yaml, notes } = importText('haproxy', text);
  const loaded = readConfiguration(yaml!, { file: 'gantry.yaml', environment: {} });
  return { ...loaded.configuration!, notes, yaml: yaml! };
}

describe('conditions', () => {
  const when = (line: string, before = '') => {
    const { vips } = configurationOf(`${site(`${before}\nhttp-request deny if ${line}`)}`);
    return vips[0]!.routes[0] && 'when' in vips[0]!.routes[0] ? vips[0]!.routes[0].when : undefined;
  };
  it.each([
    ['{ path /x }', { facts: [{ name: 'path', patterns: ['/x'] }] }],
    ['{ path_beg /x /y }', { facts: [{ name: 'path', patterns: ['/x*', '/y*'] }] }],
    ['{ path -m end .jpg }', { facts: [{ name: 'path', patterns: ['*.jpg'] }] }],
    ['{ path_beg -i /x }', { facts: [{ name: 'path', patterns: ['~(?i:^/x)'] }] }],
    ['{ path_beg /a*b }', { facts: [{ name: 'path', patterns: ['~^/a\\*b'] }] }],
    ['{ hdr(host) -i Portal.Example:80 }', { facts: [{ name: 'host', patterns: ['portal.example'] }] }],
    ['{ req.hdr(Host),lower a.example }', { facts: [{ name: 'host', patterns: ['a.example'] }] }],
    ['{ hdr(X-A) -m found }', { facts: [{ name: 'header.X-A', patterns: ['*'] }] }],
    [
      '{ hdr(Connection) -i upgrade }',
      { facts: [{ patterns: ['/(?i:(?:^|,)[ \\t]*upgrade[ \\t]*(?:,|$))/'] }] },
    ],
    ['{ req.fhdr(Connection) upgrade }', { facts: [{ patterns: ['upgrade'] }] }],
    ['{ src 10.0.0.0/255.0.0.0 }', { facts: [{ name: 'client', patterns: ['10.0.0.0/8'] }] }],
    ['METH_GET', { facts: [{ name: 'method', patterns: ['GET', 'HEAD'] }] }],
    ['!{ path /x }', { not: { facts: [{ name: 'path', patterns: ['/x'] }] } }],
    ['{ path /x } or { path /y }', { facts: [{ name: 'path', patterns: ['/x', '/y'] }] }],
    [
      '{ path /x } || { method PUT }',
      { any: [{ facts: [{ name: 'path' }] }, { facts: [{ name: 'method' }] }] },
    ],
    ['{ path /x } { dst_port 80 }', { facts: [{ name: 'path', patterns: ['/x'] }] }],
    ['{ cook(a) b } { urlp(c) d }', { facts: [{ name: 'cookie.a' }, { name: 'query.c' }] }],
  ])('%s', (line, wanted) => {
    expect(when(line)).toMatchObject(wanted);
  });

  it('a named acl is any of its lines, and its name may stand in several conditions', () => {
    const before = 'acl a path /x\nacl a path /y\nacl b method PUT';
    expect(when('a b', before)).toMatchObject({ facts: [{ patterns: ['/x', '/y'] }, { patterns: ['PUT'] }] });
    expect(when('a !b', before)).toMatchObject({ not: { facts: [{ name: 'method' }] } });
  });

  it('one that never holds leaves no rule, one that always holds ends the rules', () => {
    expect(configurationOf(site('http-request deny if { ssl_fc }')).vips[0]!.routes).toEqual([]);
    const { vips, pools } = configurationOf(
      site('http-request redirect location https://new.example/\nhttp-request deny if { path /x }'),
    );
    expect(vips[0]!.routes).toHaveLength(1);
    expect(vips[0]).toMatchObject({ routes: [{ reject: 'redirect' }] });
    expect(pools).toHaveLength(1);
  });

  it('allow before deny is an exception', () => {
    const text = site('http-request allow if { src 10.1.0.0/16 }\nhttp-request deny if { path_beg /admin }');
    const { yaml } = configurationOf(text);
    expect(yaml).toContain('{ when: { path: "/admin*", not: { client: 10.1.0.0/16 } }, reject: 403 }');
  });
});

describe('pools', () => {
  const pool = (lines: string, options?: { mode?: string }) =>
    configurationOf(site('', lines, options)).pools[0]!;
  it.each([
    ['roundrobin', 'round-robin'],
    ['static-rr', 'round-robin'],
    ['leastconn', 'least-busy'],
    ['random(2)', 'random-two'],
    ['first', 'first'],
    ['source', 'hash'],
    ['uri', 'hash'],
    ['hdr(X-A)', 'hash'],
    ['rdp-cookie', 'least-busy'],
  ])('balance %s is %s', (haproxy, gantry) => {
    expect(pool(`balance ${haproxy}`).balance).toBe(gantry);
  });

  it.each([
    ['stick-table type ip size 10k expire 5m\nstick on src', '{ by: source-ip, ttl: 5m, size: 10240 }'],
    [
      'stick-table type ip size 1k\nstick on src,ipmask(24)',
      '{ by: source-ip, ttl: 87600h, netmask: 24, size: 1024 }',
    ],
    ['cookie SITE insert indirect', '{ by: cookie, name: SITE }'],
    ['cookie JSESSIONID prefix', '{ by: cookie, name: SRV }'],
    [
      'stick-table type string size 1k expire 1h\nstick on req.cook(JSESSIONID)',
      '{ by: cookie.JSESSIONID, ttl: 1h, size: 1024 }',
    ],
    [
      'cookie A insert\nstick-table type ip size 1k expire 1h\nstick on src',
      '{ by: [cookie, source-ip], name: A, ttl: 1h, size: 1024 }',
    ],
  ])('persistence: %s', (lines, wanted) => {
    expect(configurationOf(site('', lines)).yaml).toContain(`persistence: ${wanted}`);
  });

  it('two backends that stick to one table share it', () => {
    const { yaml } = configurationOf(
      `${site('use_backend c if { path /c }', 'stick-table type ip size 1k expire 1h\nstick on src')}
backend c
  mode http
  stick on src table b
  server t 10.0.0.12:80`,
    );
    expect(yaml.match(/persistence: \{ by: source-ip, ttl: 1h, size: 1024, share: b \}/g)).toHaveLength(2);
  });

  it.each([
    ['', 'health: { check: none }'],
    [
      'default-server check\nserver t 10.0.0.12:80',
      'health: { check: connect, interval: 2s, rise: 2, fall: 3 }',
    ],
    [
      'option httpchk\nserver t 10.0.0.12:80 check inter 5s',
      'check: http, method: OPTIONS, path: /, interval: 5s',
    ],
    ['option httpchk /health\nserver t 10.0.0.12:80 check', 'method: OPTIONS, path: /health'],
    [
      'option httpchk GET /h HTTP/1.1\\r\\nHost:\\ a.example\nserver t 10.0.0.12:80 check',
      'path: /h, host: a.example',
    ],
    ['option httpchk\nhttp-check expect rstatus ^[23]\nserver t 10.0.0.12:80 check', 'status: 200-399'],
    [
      'option httpchk\nhttp-check expect rstring "up|ready"\nserver t 10.0.0.12:80 check',
      'body: "/up|ready/"',
    ],
    ['option ssl-hello-chk\nserver t 10.0.0.12:80 check', 'check: tls, verify: false'],
    [
      'option external-check\nexternal-check command /bin/c\nserver t 10.0.0.12:80 check',
      'check: script, script: /bin/c',
    ],
    ['option tcp-check\ntcp-check connect port 81\nserver t 10.0.0.12:80 check', 'check: connect, port: 81'],
    ['server t 10.0.0.12:80 check agent-check agent-port 99', 'agent: { port: 99 }'],
  ])('health: %s', (lines, wanted) => {
    const { yaml } = importText('haproxy', site('', lines));
    expect(yaml!.replaceAll(/\n {6}(?=\w)/g, ', ').replace(/health:, /, 'health: { ')).toContain(wanted);
  });

  it('servers that are spoken to in TLS, and one that is not', () => {
    const text = site('', 'server t 10.0.0.12:443 ssl verify none').replace(
      's 10.0.0.11:80',
      's 10.0.0.11:443 ssl verify none sni str(a.example)',
    );
    const { yaml, notes } = importText('haproxy', text);
    expect(yaml).toContain('tls: { verify: false, servername: a.example }');
    expect(told({ notes } as Imported)[0]).toContain('lost 10: server t');
  });

  it('tracks another pool', () => {
    const text = `${site('use_backend c if { path /c }')}
backend c
  mode http
  server s 10.0.0.11:81 track b/s`;
    expect(configurationOf(text).yaml).toContain('health: { track: b }');
  });
});

describe('VIPs', () => {
  it('plain, TLS and PROXY protocol are VIPs of their own', () => {
    const { vips } = configurationOf(site('bind 10.0.0.4:81,10.0.0.5:82 accept-proxy\nbind :83-85'));
    expect(vips.map(({ name, listen }) => [name, listen.map(({ host, port }) => `${host}:${port}`)])).toEqual(
      [
        ['f', ['10.0.0.4:80', '0.0.0.0:83', '0.0.0.0:84', '0.0.0.0:85']],
        ['f-proxy', ['10.0.0.4:81', '10.0.0.5:82']],
      ],
    );
  });

  it('an address that is taken is told of', () => {
    const { yaml, notes } = importText(
      'haproxy',
      `${site('')}\nlisten g\n  bind 10.0.0.4:80\n  bind 10.0.0.4:81\n  server s 10.0.0.9:1`,
    );
    expect(yaml).toContain('listen: [10.0.0.4:81]');
    expect(told({ notes } as Imported)).toContain('lost 12: … 10.0.0.4:80');
  });

  it('the admin API gives way to a VIP', () => {
    expect(configurationOf(site('bind 10.0.0.4:9090')).yaml).toContain('admin: { listen: 127.0.0.1:9091 }');
  });

  it('one with a backend that answers itself', () => {
    const { yaml } = configurationOf(
      `${site('use_backend gone if { path_beg /old }')}\nbackend gone\n  mode http\n  http-request return status 410 content-type text/plain string "gone for good"`,
    );
    expect(yaml).toContain(
      'respond: { status: 410, body: gone for good, type: text/plain }'.replace(
        'gone for good',
        '"gone for good"',
      ),
    );
  });

  it.each([
    ['option forwardfor', undefined],
    ['http-request del-header X-Forwarded-For\noption forwardfor', 'forwarded: replace'],
    ['http-request set-header X-Forwarded-For %[src]', 'forwarded: replace'],
    ['', 'forwarded: off'],
  ])('forwarded: %s', (lines, wanted) => {
    const { yaml } = configurationOf(site(lines));
    if (wanted === undefined) expect(yaml).not.toContain('forwarded:');
    else expect(yaml).toContain(wanted);
  });

  it('`source … usesrc clientip` of TCP servers is `source: client`', () => {
    expect(configurationOf(site('', 'source 0.0.0.0 usesrc clientip', { mode: 'tcp' })).yaml).toContain(
      'source: client',
    );
    expect(configurationOf(site('', 'source 10.0.0.4')).yaml).toContain('source: 10.0.0.4');
  });

  it.each([
    ['redirect scheme https code 301', '{ to: "https://$host/$1", status: 301 }'],
    ['redirect prefix https://a.example code 308', '{ to: "https://a.example/$1", status: 308 }'],
    ['redirect location /elsewhere', 'redirect: /elsewhere'],
    [
      'http-request redirect location https://%[hdr(host)]%[capture.req.uri]',
      '{ to: "https://$host/$1", status: 302 }',
    ],
    [
      'http-request redirect code 303 location https://a.example/x%[path]',
      '{ to: "https://a.example/x/$1", status: 303 }',
    ],
  ])('%s', (line, wanted) => {
    const { yaml } = configurationOf(site(`${line} if { path_beg /x }`));
    expect(yaml).toContain(wanted);
  });

  it.each([
    ['set-path /fixed', '/fixed', '*'],
    ['set-path /app%[path]', '/app/$1', '/*'],
    ['replace-path ^/a/(.*)/(.*) /\\2/\\1', '/$2/$1', '~^/a/(.*)/(.*)'],
    ['set-path %[path,regsub(^/a/,/)]', '/$1', '~^/a/(.*)$'],
    ['set-path \'%[path,regsub("^/(a|b)/","/x/\\1/")]\'', '/x/$1/$2', '~^/(a|b)/(.*)$'],
  ])('%s', (line, path, pattern) => {
    const { vips, yaml } = configurationOf(site('', `http-request ${line}`));
    expect(vips[0]!.routes[0]).toMatchObject({ when: { facts: [{ name: 'path', patterns: [pattern] }] } });
    expect(yaml).toMatch(new RegExp(`rewrite: \\{ path: "?${path.replace(/[$/]/g, '\\$&')}"? \\}`));
  });
});

test('defaults: those before a section, those it names, and what it says itself', () => {
  const { pools, yaml } = configurationOf(
    `defaults one
  mode http
  balance first
  timeout connect 1s
defaults two from one
  timeout connect 2s
${site('', 'balance leastconn', { mode: 'http' })}
backend other from one
  server s 10.0.0.13:80`,
  );
  expect(pools.map(({ balance }) => balance)).toEqual(['least-busy', 'first']);
  expect(yaml).toContain('connect: 2s');
  expect(yaml).toContain('connect: 1s');
});

test('a variable that the environment does not have is told of', () => {
  const text = site('').replace('10.0.0.4:80', `"10.0.0.4:\${PORT-81}"`);
  expect(importText('haproxy', text).yaml).toContain('10.0.0.4:81');
  expect(importText('haproxy', text, { environment: { PORT: '82' } }).yaml).toContain('10.0.0.4:82');
  const missing = importText('haproxy', site(`http-request set-header X-Site "a\${SITE}b"`));
  expect(told(missing)).toEqual(['changed 5: … $SITE']);
});

test('a second backend of one name is told of, with what is in it', () => {
  const imported = importText('haproxy', `${site('')}\nbackend b\n  balance first\n  server t 10.0.0.12:80`);
  expect(imported.yaml).not.toContain('10.0.0.12');
  expect(told(imported)).toEqual([
    'lost 11: backend b',
    'lost 12: balance first',
    'lost 13: server t 10.0.0.12:80',
  ]);
});

test('an option that nobody knows is told of', () => {
  expect(told(importText('haproxy', site('option frobnicate\ntimeout frobnicate 5s')))).toEqual([
    'lost 5: option frobnicate',
    'lost 6: timeout frobnicate 5s',
  ]);
});
