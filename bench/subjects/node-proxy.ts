/**
 * A reverse proxy of npm before one server, with connections kept to it: `node-proxy.ts LISTEN SERVER PACKAGE`, ports on
 * 127.0.0.1; PACKAGE is `http-proxy-3` or `httpxy`.
 */
import { Agent, createServer, type IncomingMessage, type ServerResponse } from 'node:http';

const [listenPort, serverPort, name] = process.argv.slice(2);

const target = `http://127.0.0.1:${serverPort}`;
const agent = new Agent({ keepAlive: true });

async function handlerOf(): Promise<(request: IncomingMessage, response: ServerResponse) => void> {
  if (name === 'httpxy') {
    const { createProxyServer } = await import('httpxy');
    const proxy = createProxyServer({ target, agent, xfwd: true });
    return (request, response) => void proxy.web(request, response);
  }
  const { createProxyServer } = await import('http-proxy-3');
  const proxy = createProxyServer({ target, agent, xfwd: true });
  return (request, response) => proxy.web(request, response);
}

// A connection that wrk resets at its end is no reason to end.
process.on('uncaughtException', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'ECONNRESET') throw error;
});

createServer(await handlerOf()).listen(Number(listenPort), '127.0.0.1');
