/** An address and a port as text. */

/** `10.0.0.11:104`, `[fd00::1]:104`, `10.0.0.6:*`. */
export function describeEndpoint({
  host,
  port,
}: {
  readonly host: string;
  readonly port: number | '*';
}): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
