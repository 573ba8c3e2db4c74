/** Checks: what each one is, whatever it looks at. */
import type { Deadlines } from '../../relay/deadlines.ts';
import type { Preamble, TlsClientOptions } from '../../relay/dial.ts';
import type { CheckOutcome } from '../server.ts';
import { createExpiryWatch } from './certificate-expiry.ts';
import { startConnect } from './connect.ts';
import { startEcho } from './dicom-echo.ts';
import { type Hl7Options, startHl7 } from './hl7.ts';
import { type HttpOptions, startHttp } from './http.ts';
import { startPing } from './ping.ts';
import { type ScriptOptions, scriptKey, startScript } from './script.ts';
import { startTls } from './tls.ts';

export interface CheckResult {
  readonly outcome: CheckOutcome;
  /** What was found, a sentence. */
  readonly reason: string;
  /** Milliseconds it took. */
  readonly ms: number;
}

/** The time that a check has, and what it lives on. */
export interface CheckTiming {
  /** Milliseconds for the whole check. */
  readonly timeout: number;
  readonly deadlines: Deadlines;
  /** Milliseconds of a clock that never goes back; since 1970, where the check tells anybody the time. */
  readonly now: () => number;
}

export interface CheckTarget extends CheckTiming {
  readonly host: string;
  readonly port: number;
  /** How connections to it begin, when it is asked where work goes to. */
  readonly link?: Preamble | undefined;
}

/** Ends a check at once; its result does not come any more. */
export type Cancel = () => void;

export interface Check<R = CheckResult> {
  /** Checks that would find the same have the same key. It may hold secrets: it is never shown. */
  readonly key: string;
  /** Calls `done` once, later. */
  start(done: (result: R) => void): Cancel;
}

export type CheckOptions =
  | { readonly check: 'connect' | 'ping' }
  | { readonly check: 'tls'; readonly tls: TlsClientOptions }
  | ({ readonly check: 'http' } & HttpOptions)
  | ({ readonly check: 'https'; readonly tls: TlsClientOptions } & HttpOptions)
  | ({ readonly check: 'script' } & ScriptOptions)
  | { readonly check: 'dicom-echo'; readonly calling: string; readonly called: string }
  | ({ readonly check: 'hl7' } & Hl7Options);

/** A check of one address. */
export function createCheck(options: CheckOptions, given: CheckTarget): Check {
  const target = inTlsOf(options, given);
  return { key: keyOf(options, target), start: startOf(options, target) };
}

function keyOf(options: CheckOptions, { host, port, timeout, link = {} }: CheckTarget): string {
  if (options.check === 'ping') return JSON.stringify(['ping', host, timeout]);
  const what = options.check === 'script' ? scriptKey(options) : options;
  // Bytes would be a list of numbers with their places.
  const header = link.proxyHeader && Buffer.from(link.proxyHeader).toString('latin1');
  return JSON.stringify([options.check, host, port, timeout, link.tls, header, what]);
}

function startOf(options: CheckOptions, target: CheckTarget): Check['start'] {
  const watchExpiry = createExpiryWatch(target);
  switch (options.check) {
    case 'connect':
      return (done) => startConnect(target, done);
    case 'tls':
      return (done) => startTls(afresh(target), watchExpiry, done);
    case 'http':
    case 'https':
      return (done) => startHttp(afresh(target), options, watchExpiry, done);
    case 'ping':
      return (done) => startPing(target, done);
    case 'script':
      return (done) => startScript(target, options, done);
    case 'dicom-echo':
      return (done) => startEcho({ ...target, calling: options.calling, called: options.called }, done);
    case 'hl7':
      return (done) => startHl7(target, options, done);
  }
}

/** Whether it is asked in TLS, and how, is for some checks to say. */
function inTlsOf(options: CheckOptions, target: CheckTarget): CheckTarget {
  if ('tls' in options) return { ...target, link: { ...target.link, tls: options.tls } };
  return options.check === 'http' ? { ...target, link: { ...target.link, tls: undefined } } : target;
}

/** Options of their own have no session to go on with: the certificate is shown, and verified, each time. */
function afresh(target: CheckTarget): CheckTarget {
  const { tls } = target.link ?? {};
  return tls ? { ...target, link: { ...target.link, tls: { ...tls } } } : target;
}
