/** Asks the admin API of a running balancer. */
import { runFailure, usageFailure } from './failure.ts';

const TIMEOUT_MS = 10_000;

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
  let response: Response;
  try {
    response = await fetch(new URL(path, base), {
      headers: {
        accept: 'application/json',
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      },
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
  } catch (error) {
    const { name, cause } = error as Error & { cause?: NodeJS.ErrnoException };
    if (name === 'TimeoutError') throw runFailure(`the balancer at ${base.origin} did not answer within 10s`);
    const reason = cause?.code ?? cause?.message ?? (error as Error).message;
    throw runFailure(
      `no balancer answers at ${base.origin} (${reason}): is it running, and is --admin right?`,
    );
  }
  let document: unknown;
  try {
    document = await response.json();
  } catch {
    throw runFailure(`what answers at ${base.origin} is not a Gantry admin API`);
  }
  if (response.ok) return document;
  const { detail, title } = (document ?? {}) as { detail?: string; title?: string };
  throw runFailure(
    `the balancer at ${base.origin} answers ${response.status}: ${detail ?? title ?? 'no reason given'}`,
  );
}
