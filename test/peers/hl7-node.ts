/**
 * node-hl7-server and node-hl7-client. The server ends its process when a handler fails, and never forgets a message: what
 * comes on a connection is read again with everything that came before. Here it closes each connection behind its answer,
 * unless told to keep them.
 */
import type { Socket } from 'node:net';
import { Client, Message } from 'node-hl7-client';
import { type SendResponse, Server } from 'node-hl7-server';
import type { Hl7Library } from './hl7-library.ts';

export const nodeHl7: Hl7Library = {
  async listen(port, got, keepsConnections) {
    const server = new Server({ bindAddress: '127.0.0.1' });
    let raw = '';
    const socketOf = (response: SendResponse) =>
      (response as unknown as { readonly _socket: Socket })._socket;
    // One character a byte.
    const inbound = server.createInbound({ port, encoding: 'latin1' }, (_, response) => void take(response));
    async function take(response: SendResponse): Promise<void> {
      got(Buffer.from(raw, 'latin1'));
      await response.sendResponse('AA');
      if (!keepsConnections) socketOf(response).destroySoon();
    }
    inbound.on('data.raw', (text) => {
      raw = text;
    });
    inbound.on('data.error', (error) => console.error(error));
    await new Promise<void>((listening) => inbound.on('listen', () => listening()));
  },

  async connect(port) {
    let answered = (_answer: string) => {};
    const client = new Client({ host: '127.0.0.1' });
    const connection = client.createConnection({ port }, async (response) => {
      answered(response.getMessage().toString());
    });
    await new Promise<void>((connected) => connection.on('connect', () => connected()));
    return {
      async send(text) {
        const message = new Message({ text });
        const answer = new Promise<string>((resolve) => {
          answered = resolve;
        });
        await connection.sendMessage(message);
        return { sent: message.toString(), answer: await answer };
      },
      close: () => void connection.close(),
    };
  },
};
