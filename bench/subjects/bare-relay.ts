/**
 * The relay and nothing else: listens, dials, splices. `bare-relay.ts LISTEN SERVER [direct|copying]`, ports on
 * 127.0.0.1.
 */
import { dial } from '../../src/relay/dial.ts';
import { listen } from '../../src/relay/listen.ts';
import type { ReadMode } from '../../src/relay/read-mode.ts';
import { splice } from '../../src/relay/splice.ts';

const [listenPort, serverPort, mode] = process.argv.slice(2);
const reads = (mode ?? 'direct') as ReadMode;
const target = { host: '127.0.0.1', port: Number(serverPort) };

await listen(
  { host: '127.0.0.1', port: Number(listenPort) },
  (client) => {
    // As a front-end does: the first bytes go out with the connection, which is spliced once it is there.
    const server = dial(
      target,
      {
        connected: () => void splice(client, server),
        read() {},
        ended() {},
        closed: () => client.reset(),
      },
      { reads },
    );
    client.handler = {
      read(bytes) {
        client.pause();
        server.write(bytes);
      },
      ended: () => server.end(),
      closed: () => server.reset(),
    };
  },
  { reads },
);
