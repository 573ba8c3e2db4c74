/**
 * Every error Gantry raises: one class, a code from one table. The manual's error page is generated from this table.
 * No patient data and no unescaped peer text in any message.
 */

export type ErrorSource = 'client' | 'server' | 'internal';

interface ErrorKind {
  /** Who caused it. */
  readonly source: ErrorSource;
  /** May the same work be tried on another server? */
  readonly retryable: boolean;
  /** What an operator should do, a sentence. */
  readonly advice: string;
}

/** Code → what it means. Codes are never renamed or used again for something else. */
export const ERRORS = {
  GTY_CONNECT_REFUSED: {
    source: 'server',
    retryable: true,
    advice: 'The server refuses connections: is its service running, and is the port right?',
  },
  GTY_CONNECT_TIMEOUT: {
    source: 'server',
    retryable: true,
    advice: 'The server does not answer on the network: check the address, the route and the firewall.',
  },
  GTY_CONNECT_FAILED: {
    source: 'server',
    retryable: true,
    advice: 'The server cannot be reached: check the address and the route.',
  },
  GTY_TLS_CERTIFICATE: {
    source: 'server',
    retryable: true,
    advice:
      'The certificate of the server is not accepted: renew it there, or set `tls.ca` and `tls.servername` of the pool to what it really is.',
  },
  GTY_TLS_HANDSHAKE: {
    source: 'server',
    retryable: true,
    advice:
      'TLS could not be agreed on with the server: does its port speak TLS, which versions, and does it ask for a certificate of ours (`tls.cert` and `tls.key` of the pool)?',
  },
  GTY_RESET: {
    source: 'server',
    retryable: true,
    advice: 'The other side reset the connection: look in its own log for the reason.',
  },
  GTY_CLOSED: {
    source: 'server',
    retryable: true,
    advice: 'The other side closed the connection before its work was done: look in its own log.',
  },
  GTY_ACCEPT_TIMEOUT: {
    source: 'server',
    retryable: true,
    advice: 'The server took the connection but did not answer in time: it is overloaded or stuck.',
  },
  GTY_STALLED: {
    source: 'client',
    retryable: false,
    advice: 'A peer stopped in the middle of its data: check that peer and the network to it.',
  },
  GTY_LISTEN: {
    source: 'internal',
    retryable: false,
    advice:
      'The address cannot be listened on: is another program using the port, or is a privilege missing?',
  },
  GTY_QUEUE: {
    source: 'internal',
    retryable: false,
    advice:
      'The file of the durable queue cannot be used: the message says what is in the way. Messages in it stay there.',
  },
  GTY_LAYER4: {
    source: 'internal',
    retryable: false,
    advice:
      'The rules of layer 4 VIPs could not be put into the kernel: the message says what is in the way. Those in force before go on.',
  },
  GTY_SOURCE: {
    source: 'internal',
    retryable: true,
    advice:
      'A connection could not be given the address of its client (`source: client`): the message says what is in the way. It was not made from another address instead.',
  },
  GTY_PROTOCOL: {
    source: 'client',
    retryable: false,
    advice:
      'A peer sent bytes that its protocol does not allow: the log line names the rule that was broken.',
  },
} as const satisfies Record<string, ErrorKind>;

export type ErrorCode = keyof typeof ERRORS;

export class GantryError extends Error {
  readonly code: ErrorCode;
  readonly source: ErrorSource;
  readonly retryable: boolean;

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'GantryError';
    this.code = code;
    this.source = ERRORS[code].source;
    this.retryable = ERRORS[code].retryable;
  }
}
