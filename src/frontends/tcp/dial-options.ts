/** What a dial does for one client beyond connecting. */
import { writeProxyHeader } from '../../../protocols/proxy-protocol/write.ts';
import type { Channel } from '../../relay/channel.ts';
import type { DialOptions, ServerLink } from '../../relay/dial.ts';

/** TLS as the pool wants it, and a PROXY protocol header that names the client and the address it came to. */
export function dialOptions(link: ServerLink | undefined, client: Channel): DialOptions | undefined {
  if (link?.tls === undefined && link?.proxyProtocol === undefined) return undefined;
  const { tls, proxyProtocol } = link;
  const ends = { source: client.remote, destination: client.local };
  return { tls, proxyHeader: proxyProtocol && writeProxyHeader(proxyProtocol, ends) };
}
