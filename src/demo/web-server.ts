/** A small web server for the demo: says who it is, and echoes what comes over a WebSocket. */
import { createServer } from 'node:http';
import { WebSocketServer } from 'ws';
import { closeAll, type DemoServer, listenOnLoopback } from './demo-server.ts';

/** The longest message that is echoed, bytes. */
const LONGEST_MESSAGE = 64 * 1024;

export async function startWebServer(name: string): Promise<DemoServer> {
  const page = pageOf(name);
  const server = createServer((request, response) => {
    request.resume();
    const accepts = request.headers.accept ?? '';
    const [type, body] = accepts.includes('text/html')
      ? ['text/html; charset=utf-8', page]
      : ['text/plain; charset=utf-8', `${request.method} answered by ${name}\n`];
    response.writeHead(200, { 'content-type': type, 'cache-control': 'no-store' }).end(body);
  });
  const sockets = new WebSocketServer({ server, maxPayload: LONGEST_MESSAGE });
  sockets.on('connection', (socket) => {
    socket.on('error', () => {});
    socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
    socket.send(`${name} echoes what you send`);
  });
  return { name, port: await listenOnLoopback(server), close: () => closeAll(server) };
}

const STYLE =
  'body{font:1rem/1.5 system-ui;max-width:40rem;margin:3rem auto;padding:0 1rem;color-scheme:light dark}' +
  'input{font:inherit;width:100%;box-sizing:border-box}';

const SCRIPT = `
const socket = new WebSocket('/chat/echo');
const say = (text) => document.querySelector('ol').append(Object.assign(document.createElement('li'), { textContent: text }));
socket.onmessage = ({ data }) => say(data);
socket.onclose = () => say('the WebSocket is closed');
document.querySelector('form').onsubmit = (event) => {
  event.preventDefault();
  const input = document.querySelector('input');
  socket.send(input.value);
  input.value = '';
};`;

function pageOf(name: string): string {
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Gantry demo: ${name}</title>
<style>${STYLE}</style>
<h1>${name} answered</h1>
<p>A cookie brings you back to the same server; without it you would take turns. Below, a WebSocket to another pool.</p>
<form><label>Say something <input autocomplete="off"></label></form>
<ol></ol>
<script>${SCRIPT}</script>
`;
}
