/** Asks the admin API of a running balancer. */
import { get as getOverHttp, type IncomingMessage } from 'node:http';
import { get as getOverHttps } from 'node:https';
import { runFailure, usageFailure } from './failure.ts';

const TIMEOUT_MS = 10_000;
/** More than any status: what answers is something else. */
const LONGEST_ANSWER = 64 * 1024 * 1024;

/** `GET` of `path`, as parsed JSON. Fails with a sentence. */
export async function askAdmin(
  admin: string,
  path: string,
  token = process.env.GANTRY_TOKEN,
): Promise<unknown> {
  const base = URL.canParse(admin) ? new URL(admin) : undefined;
  if (base?.protocol !== 'http:' && base?.protocol !== 'https:') {
    throw usageFailure(`--admin "${admin}" is not a URL, such as http://127.0.0.1:9090`);
  }
  const { status, text } = await get(new URL(path, base), token);
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch {
    throw runFailure(`what answers at ${base.origin} is not a Gantry admin API`);
  }
  if (status === 200) return document;
  const { detail, title } = (document ?? {}) as { detail?: string; title?: string };
  throw runFailure(
    `the balancer at ${base.origin} answers ${status}: ${detail ?? title ?? 'no reason given'}`,
  );
}

/** Not `fetch`, which refuses some ports. */
async function get(url: URL, token: string | undefined): Promise<{ status: number; text: string }> {
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  const headers = {
    accept: 'application/json',
    ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
  };
  try {
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      const request = url.protocol === 'https:' ? getOverHttps : getOverHttp;
      request(url, { headers, signal }, resolve).on('error', reject);
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
