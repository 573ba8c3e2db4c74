/** Asks the admin API of a running balancer. */
import { type IncomingMessage, request as requestOverHttp } from 'node:http';
import { request as requestOverHttps } from 'node:https';
import type { Command } from 'commander';
import { Failure, runFailure, usageFailure } from './failure.ts';

const TIMEOUT_MS = 10_000;
/** More than any status: what answers is something else. */
const LONGEST_ANSWER = 64 * 1024 * 1024;

/** How a command finds the balancer that runs. */
export interface AdminOptions {
  readonly admin: string;
  readonly token?: string;
}

/** The options of every command that asks a running balancer. */
export function withAdminOptions(command: Command): Command {
  return command
    .option('--admin <url>', 'where its admin API is', 'http://127.0.0.1:9090')
    .option('--token <token>', 'the admin token; default: the environment variable GANTRY_TOKEN');
}

export interface AdminRequest {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  readonly path: string;
  readonly body?: object;
}

/** An answer that says no: a problem document (RFC 9457), with what extends it. */
export class AdminRefusal extends Failure {
  readonly status: number;
  readonly problem: Readonly<Record<string, unknown>>;

  constructor(message: string, status: number, problem: Readonly<Record<string, unknown>>) {
    super(message, 1);
    this.status = status;
    this.problem = problem;
  }
}

/** Asks, and returns the answer as parsed JSON. Fails with a sentence. */
export async function askAdmin(
  { admin, token = process.env.GANTRY_TOKEN }: AdminOptions,
  request: AdminRequest,
): Promise<unknown> {
  const base = URL.canParse(admin) ? new URL(admin) : undefined;
  if (base?.protocol !== 'http:' && base?.protocol !== 'https:') {
    throw usageFailure(`--admin "${admin}" is not a URL, such as http://127.0.0.1:9090`);
  }
  const { status, text } = await send(new URL(request.path, base), request, token);
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch {
    throw runFailure(`what answers at ${base.origin} is not a Gantry admin API`);
  }
  if (status === 200) return document;
  const problem = (document ?? {}) as { detail?: string; title?: string };
  const why = problem.detail ?? problem.title ?? 'no reason given';
  throw new AdminRefusal(`the balancer at ${base.origin} answers ${status}: ${why}`, status, { ...problem });
}

/** Not `fetch`, which refuses some ports. */
async function send(
  url: URL,
  { method, body }: AdminRequest,
  token: string | undefined,
): Promise<{ status: number; text: string }> {
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  const headers = {
    accept: 'application/json',
    ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
  };
  try {
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      const request = url.protocol === 'https:' ? requestOverHttps : requestOverHttp;
      const asked = request(url, { method, headers, signal }, resolve).on('error', reject);
      asked.end(body === undefined ? undefined : JSON.stringify(body));
    });
    response.setEncoding('utf8');
    let text = '';
    for await (const part of response as AsyncIterable<string>) {
      text += part;
      if (text.length > LONGEST_ANSWER) throw new Error('its answer has no end');
    }
    return { status: response.statusCode ?? 0, text };
  } catch (error) {
    if (signal.aborted) throw runFailure(`the balancer at ${url.origin} did not answer within 10s`);
    const { code, message } = error as NodeJS.ErrnoException;
    throw runFailure(
      `no balancer answers at ${url.origin} (${code ?? message}): is it running, and is --admin right?`,
    );
  }
}
