/** Directives that no other file reads: those without a meaning here, and those that are lost, with what would do instead. */

import { type Directive, keyOf } from './haproxy-sections.ts';
import type { Ledger } from './losses.ts';

const LOGGED =
  "Gantry's log is JSON lines on standard output, a line for each connection, message and request";
const PROCESS = 'Gantry leaves that to its unit of systemd';
const TUNING = "it tunes HAProxy's own memory, threads or sockets";
const ELSEWHERE =
  'a server that does not take a connection is not waited for: the next one gets it, by itself';
const CONNECTIONS = 'connections are kept open and used again by themselves';
const STATISTICS = 'the dashboard, API and metrics of `admin` show it';

/** Without a meaning here, by their key: `option X`, `timeout X`, else the keyword. */
const IDLE: readonly (readonly [RegExp, string])[] = [
  [
    /^log(?:-.*)?$|^capture$|^declare$|^unique-id-format$|^error-log-format$|^option (?:http|tcp|https)log$/,
    LOGGED,
  ],
  [/^option (?:dontlognull|dontlog-normal|logasap|log-.*|socket-stats|contstats)$/, LOGGED],
  [
    /^(?:daemon|user|group|uid|gid|chroot|pidfile|ulimit-n|master-worker|nbproc|localpeer|node|description|set-dumpable)$/,
    PROCESS,
  ],
  [
    /^(?:hard-stop-after|grace|setenv|presetenv|unsetenv|resetenv|expose-.*|zero-warning|strict-limits|insecure-.*)$/,
    PROCESS,
  ],
  [
    /^(?:mworker.*|unix-bind|server-state-.*|load-server-state-from-file|stats-file|cluster-secret|anonkey)$/,
    PROCESS,
  ],
  [/^(?:tune\..*|nbthread|thread-.*|cpu-.*|max-threads.*|numa-.*|bind-process|busy-polling)$/, TUNING],
  [
    /^(?:max(?:connrate|pipes|sessrate|sslconn|sslrate|comprate|zlibmem|compcpuusage)|profiling\..*|fd-hard-limit|limited-quic|quiet|prealloc-fd|harden\..*|debug\..*)$/,
    TUNING,
  ],
  [
    /^(?:noepoll|nopoll|nokqueue|noevports|nosplice|noreuseport|nogetaddrinfo|no-memory-trimming|backlog|clitcpka-.*|srvtcpka-.*|warn-blocked.*)$/,
    TUNING,
  ],
  [/^(?:spread-checks|max-spread-checks)$/, 'checks are spread by themselves'],
  [
    /^option (?:splice-.*|nolinger|tcp-smart-.*|independent-streams|http-no-delay|idle-close-on-response|http-buffer-request)$/,
    TUNING,
  ],
  [/^option (?:tcpka|clitcpka|srvtcpka)$/, 'TCP keep-alive is always on'],
  [/^option (?:redispatch|persist)$|^retries$|^retry-on$/, ELSEWHERE],
  [
    /^option (?:http-server-close|httpclose|forceclose|http-keep-alive|http-tunnel|http-pretend-keepalive|prefer-last-server|abortonclose|http-use-.*)$|^http-reuse$/,
    CONNECTIONS,
  ],
  [
    /^option (?:http-ignore-probes|http-use-proxy-header|http-restrict-req-hdr-names|h1-case-adjust.*|http-drop-request-trailers|http-drop-response-trailers|disable-h2-upgrade)$/,
    'field names go on as they came, and what is unclear is refused',
  ],
  [
    /^option (?:allbackups|forwardfor|(?:http|smtp)chk|ssl-hello-chk|(?:external|tcp|mysql|pgsql|redis|ldap|spop)-check)$/,
    'nothing in this section asks for it',
  ],
  [
    /^timeout (?:client-fin|server-fin|client-hs|tarpit|connect-fin)$/,
    'what is being closed is closed in time by itself',
  ],
  [
    /^timeout (?:client|server|connect|check|queue|http-request|http-keep-alive|tunnel)$/,
    'nothing in this section asks for it',
  ],
  [/^stats$/, STATISTICS],
  [/^(?:id|guid|enabled)$/, 'names are enough here'],
  [/^hash-(?:type|balance-factor|preserve-affinity|key)$/, 'a hash stays as it is when servers come and go'],
  [
    /^(?:ssl-default-(?:bind|server)-(?:ciphers|ciphersuites|curves|sigalgs|client-sigalgs|options)|ssl-dh-param-file|tune\.ssl.*|ssl-(?:propquery|provider.*|engine|mode-async|security-level|skip-.*))$/,
    'TLS is spoken as BCP 195 says (docs/dicom-security.md): `tls.minVersion` and `tls.profile` are what may be chosen',
  ],
  [
    /^(?:ca-base|crt-base|key-base|default-path|maxconn|external-check|issuers-chain-path|dns-accept-family)$/,
    'it is used where a line needs it',
  ],
  [/^(?:cookie|balance|default-server|source|mode|acl)$/, 'nothing in this section asks for it'],
];

/** Lost, by their key, and what would do instead. These are looked at before those above. */
const LOST: readonly (readonly [RegExp, string])[] = [
  [/^(?:compression|option http-compression)$/, 'Gantry compresses nothing: let the web servers do so'],
  [
    /^(?:errorfile|errorfiles|errorloc|errorloc302|errorloc303|http-error)$/,
    "error pages are the balancer's own: `respond` in `routes` answers with a page of yours",
  ],
  [/^filter$|^option spop-check$/, 'Gantry has no filters'],
  [
    /^(?:lua-.*|51degrees-.*|deviceatlas-.*|wurfl-.*)$/,
    'Gantry takes no programs or device databases into its own process',
  ],
  [/^(?:email-alert)$/, 'Gantry sends no mail: alert on its metrics (docs/metrics.md)'],
  [/^(?:rate-limit|tcp-response)$/, 'a firewall does so (nftables `limit rate`)'],
  [
    /^(?:monitor|monitor-net)$/,
    'a monitor asks `/readyz` of `admin`, which is 503 while Gantry starts or drains',
  ],
  [/^(?:dispatch)$/, 'name the server in a `server` line'],
  [
    /^(?:use-server|force-persist|ignore-persist|force-be-switch)$/,
    'a rule chooses a pool, not a server: give that server a pool of its own, and a route',
  ],
  [/^(?:server-template)$/, 'each server is named: write a line for every address'],
  [/^(?:use-fcgi-app|fcgi-.*)$/, 'Gantry speaks no FastCGI: put nginx between'],
  [/^(?:appsession)$/, '`persistence: { by: cookie }` brings browsers back'],
  [
    /^(?:unique-id-header)$/,
    'the id of a request is in the log and on error pages; servers get no header with it',
  ],
  [/^option (?:http_proxy|transparent)$/, 'Gantry is no forward proxy: each VIP has servers of its own'],
  [
    /^option (?:accept-invalid-http-re.*|accept-unsafe-violations.*)$/,
    'requests that front and back could read differently are always refused',
  ],
  [
    /^option (?:originalto)$/,
    'servers are not told which address a client came to; the port is in X-Forwarded-Port',
  ],
  [/^(?:fullconn)$/, '`maxConnections` of a server is fixed: the least busy server comes first anyway'],
  [
    /^(?:max-keep-alive-queue|max-session-srv-conns)$/,
    '`maxConnections` of a server is the one limit there is',
  ],
  [/^(?:disabled)$/, 'a section that is off is not imported'],
  [
    /^(?:block|reqallow|reqdeny|reqidel|reqirep|reqiallow|reqideny|reqadd|reqrep|reqdel|reqset.*|rspadd|rspdel|rspidel|rspirep|rsprep|rspdeny|rspideny)$/,
    'HAProxy itself has given this keyword up: `http-request` and `http-response` say the same, and are imported',
  ],
  [/^(?:httpclient\..*|ocsp-update.*|jwt\..*|acme.*)$/, 'Gantry has nothing of the kind'],
  [/^(?:email.*|fcgi.*|set-var.*|h1-.*|h2-.*)$/, 'Gantry has nothing of the kind'],
];

/** Judges the directives that nobody else did. `isServed`: something of their section is in the draft. */
export function judgeRest(directives: readonly Directive[], isServed: boolean, ledger: Ledger): void {
  for (const directive of directives) {
    if (ledger.isJudged(directive)) continue;
    const key = keyOf(directive);
    const lost = LOST.find(([keys]) => keys.test(key));
    const idle = IDLE.find(([keys]) => keys.test(key));
    if (directive.isNegated) ledger.idle(directive, 'what it takes back is not on here');
    else if (lost) ledger.lost(directive, lost[1]);
    else if (!isServed && !directive.isInherited)
      ledger.lost(directive, 'its section could not be taken over');
    else if (LEADING.test(key)) ledger.lost(directive, 'nothing that was taken over leads here');
    else if (idle) ledger.idle(directive, idle[1]);
    else ledger.lost(directive, 'it is not known here: docs/configuration.md lists what Gantry can do');
  }
}

/** Read only where a frontend leads to its section. */
const LEADING =
  /^(?:(?:http|tcp)-(?:request|response|after-response|check)|redirect|use_backend|default_backend|monitor-uri)$/;
