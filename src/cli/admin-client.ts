/** Asks the admin API of a running balancer. */
import { type IncomingMessage, request as requestOverHttp } from 'node:http';
import { request as requestOverHttps } from 'node:https';
import type { Command } from 'commander';
import { Failure, runFailure, usageFailure } from './failure.ts';

const TIMEOUT_MS = 10_000;
/** More than any status or message: what answers is something else. */
const LONGEST_ANSWER = 1024 ** 3;

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
export async function askAdmin(options: AdminOptions, request: AdminRequest): Promise<unknown> {
  const { origin, status, content } = await ask(options, request);
  const document = parsed(content, origin);
  if (status !== 200) throw refusal(origin, status, document);
  return document;
}

/** Asks, and returns the answer's bytes as they are. Fails with a sentence. */
export async function askAdminForBytes(options: AdminOptions, path: string): Promise<Buffer> {
  const { origin, status, content } = await ask(options, { method: 'GET', path });
  if (status !== 200) throw refusal(origin, status, parsed(content, origin));
  return content;
}

interface Answered {
  readonly origin: string;
  readonly status: number;
  readonly content: Buffer;
}

async function ask(
  { admin, token = process.env.GANTRY_TOKEN }: AdminOptions,
  request: AdminRequest,
): Promise<Answered> {
  const base = URL.canParse(admin) ? new URL(admin) : undefined;
  if (base?.protocol !== 'http:' && base?.protocol !== 'https:') {
    throw usageFailure(`--admin "${admin}" is not a URL, such as http://127.0.0.1:9090`);
  }
  const { origin } = base;
  return { origin, ...(await send(new URL(request.path, base), request, token)) };
}

function parsed(content: Buffer, origin: string): unknown {
  try {
    return JSON.parse(content.toString());
  } catch {
    throw runFailure(`what answers at ${origin} is not a Gantry admin API`);
  }
}

function refusal(origin: string, status: number, document: unknown): AdminRefusal {
  const problem = (document ?? {}) as { detail?: string; title?: string };
  const why = problem.detail ?? problem.title ?? 'no reason given';
  const help = status === 401 ? ' (--token TOKEN, or the environment variable GANTRY_TOKEN)' : '';
  return new AdminRefusal(`the balancer at ${origin} answers ${status}: ${why}${help}`, status, {
    ...problem,
  });
}

/** Not `fetch`, which refuses some ports. */
async function send(
  url: URL,
  { method, body }: AdminRequest,
  token: string | undefined,
): Promise<{ status: number; content: Buffer }> {
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
    const parts: Buffer[] = [];
    let length = 0;
    for await (const part of response as AsyncIterable<Buffer>) {
      parts.push(part);
      length += part.length;
      if (length > LONGEST_ANSWER) throw new Error('its answer has no end');
    }
    return { status: response.statusCode ?? 0, content: Buffer.concat(parts) };
  } catch (error) {
    if (signal.aborted) throw runFailure(`the balancer at ${url.origin} did not answer within 10s`);
    const { code, message } = error as NodeJS.ErrnoException;
    throw runFailure(
      `no balancer answers at ${url.origin} (${code ?? message}): is it running, and is --admin right?`,
    );
  }
}
