/** A process of its own, started with few file descriptors: echoes, and prints notices. */
import { events, type NoticeEvent } from '../../src/observe/events.ts';
import { listen } from '../../src/relay/listen.ts';

events.notice.subscribe((event) => console.log(JSON.stringify({ notice: (event as NoticeEvent).message })));

const { endpoint } = await listen({ host: '127.0.0.1', port: 0 }, (channel) => {
  channel.handler = {
    read: (bytes) => void channel.write(bytes),
    ended: () => channel.end(),
    closed() {},
  };
});
console.log(JSON.stringify({ port: endpoint.port }));
