/** TLS clients and servers of Node's own. */
import { once } from 'node:events';
import { type AddressInfo, connect as connectPlain, type Socket } from 'node:net';
import { type ConnectionOptions, connect, createServer, type TlsOptions } from 'node:tls';
import { type Address, TestConnection, TestListener } from '../../peers/test-connection.ts';
import { within } from '../../peers/waiting.ts';
import { later } from './setup.ts';

/** `script` is run for each connection whose handshake is done. */
export async function tlsServer(
  options: TlsOptions,
  script: (connection: TestConnection) => unknown,
): Promise<Address> {
  const server = createServer({ ...options, allowHalfOpen: true } as TlsOptions, (socket) => {
    const connection = new TestConnection(socket);
    connection.patience = Number.POSITIVE_INFINITY;
    later(() => void socket.destroy());
    script(connection);
  });
  server.on('tlsClientError', () => {});
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  later(() => void server.close());
  return { host: '127.0.0.1', port: (server.address() as AddressInfo).port };
}

/** RST under TLS, from the side of a `tlsServer`. */
export function resetCarrier(connection: TestConnection): void {
  (connection.socket as unknown as { readonly _parent: Socket })._parent.resetAndDestroy();
}

/** A client whose handshake is done; rejects when it fails. `carrier`: the connection under TLS. */
export async function tlsClient(
  to: Address,
  options: ConnectionOptions,
): Promise<{ readonly client: TestConnection; readonly carrier: Socket }> {
  const carrier = connectPlain({ ...to, allowHalfOpen: true });
  const socket = connect({ ...options, socket: carrier });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  socket.once('secureConnect', resolve);
  socket.once('error', reject);
  socket.once('close', () => reject(new Error('closed in the handshake')));
  const client = new TestConnection(socket);
  later(() => void carrier.destroy());
  await within(promise, 'a TLS handshake');
  return { client, carrier };
}

/** The bytes with which a client begins that asks for this name. */
export async function clientHello(servername: string): Promise<Buffer> {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  const readHello = async (connection: TestConnection) => {
    const header = await connection.read(5);
    resolve(Buffer.concat([header, await connection.read(header.readUInt16BE(3))]));
    connection.reset();
  };
  const listener = new TestListener((connection) => void readHello(connection).catch(reject));
  await listener.start();
  connect({ ...listener.address, servername }).on('error', () => {});
  const hello = await within(promise, 'a ClientHello');
  await listener.stop();
  return hello;
}
