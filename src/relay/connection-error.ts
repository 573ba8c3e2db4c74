/** Errors of the system, said for an operator: which address, what happened, what to do. */
import { describeEndpoint } from '../endpoint.ts';
import { GantryError } from '../errors.ts';
import type { Endpoint } from './channel.ts';

/** The system's code; of several attempts (a name with several addresses) that of the last one. */
function codeOf(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return codeOf(error.errors.at(-1));
  return (error as NodeJS.ErrnoException | undefined)?.code ?? 'unknown error';
}

/** Why a dialled connection could not be had. */
export function connectError(error: unknown, remote: Endpoint): GantryError {
  const where = describeEndpoint(remote);
  const code = codeOf(error);
  if (code === 'ECONNREFUSED') {
    return new GantryError('GTY_CONNECT_REFUSED', `${where} refuses connections`, { cause: error });
  }
  if (code === 'ETIMEDOUT' || code === 'ERR_SOCKET_CONNECTION_TIMEOUT') {
    return new GantryError('GTY_CONNECT_TIMEOUT', `${where} does not answer`, { cause: error });
  }
  const what = localFault(error as NodeJS.ErrnoException) ?? explain(code);
  return new GantryError('GTY_CONNECT_FAILED', `${where} cannot be reached: ${what}`, { cause: error });
}

/** What is wrong with the local address that the connection was to come from. */
function localFault({ syscall, code, address }: NodeJS.ErrnoException & { address?: string }) {
  if (syscall !== 'bind') return undefined;
  if (code === 'EADDRNOTAVAIL')
    return `${address} is no address of this machine; add it to an interface or choose another \`source\``;
  return code === 'EINVAL' ? `it is of another IP version than \`source: ${address}\`` : undefined;
}

/** Why an open connection broke. */
export function brokenError(error: unknown, remote: Endpoint): GantryError {
  const where = describeEndpoint(remote);
  const code = codeOf(error);
  const what =
    code === 'ECONNRESET' || code === 'EPIPE'
      ? 'reset the connection'
      : code === 'ETIMEDOUT'
        ? 'no longer answers on the network'
        : `broke the connection: ${explain(code)}`;
  return new GantryError('GTY_RESET', `${where} ${what}`, { cause: error });
}

/** Why an address cannot be listened on. */
export function listenError(error: unknown, endpoint: Endpoint): GantryError {
  const where = describeEndpoint(endpoint);
  const code = codeOf(error);
  return new GantryError('GTY_LISTEN', `cannot listen on ${where}: ${listenFix(code, endpoint)}`, {
    cause: error,
  });
}

function listenFix(code: string, { host, port }: Endpoint): string {
  switch (code) {
    case 'EADDRINUSE':
      return `port ${port} is taken by another program; stop that program or choose another port`;
    case 'EACCES':
      return `port ${port} needs a privilege; grant CAP_NET_BIND_SERVICE or choose a port above 1023`;
    case 'EADDRNOTAVAIL':
      return `${host} is no address of this machine; add it to an interface or choose another address`;
    default:
      return explain(code);
  }
}

function explain(code: string): string {
  switch (code) {
    case 'EHOSTUNREACH':
      return 'no route to the host';
    case 'ENETUNREACH':
      return 'no route to its network';
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return 'its name cannot be resolved';
    case 'EADDRNOTAVAIL':
      return 'the local address is no address of this machine, or it has no free port left';
    case 'EMFILE':
    case 'ENFILE':
      return 'too many open files; raise the limit (LimitNOFILE of the service, ulimit -n)';
    default:
      return code;
  }
}
