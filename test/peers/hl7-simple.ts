/** simple-hl7, which takes what has come for one message whenever a chunk ends with an end block. */
import { createRequire } from 'node:module';
import type { Hl7Library } from './hl7-library.ts';

/** A message of its own kind. */
interface Text {
  toString(): string;
}

/** What is used of it; it has no types. */
interface SimpleHl7 {
  readonly Parser: new (options: { segmentSeperator: string }) => { parse(text: string): Text };
  readonly Server: {
    createTcpServer(
      handler: (error: Error | null, request?: { raw: string }, response?: { end(): void }) => void,
    ): { start(port: number, encoding: string): void; server: import('node:net').Server };
    createTcpClient(options: { host: string; port: number; keepalive: boolean }): {
      connect(connected: (error?: Error) => void): void;
      send(message: Text, answered: (error: Error | null, answer: Text) => void): void;
      close(): void;
    };
  };
}

const { Parser, Server } = createRequire(import.meta.url)('simple-hl7') as SimpleHl7;

export const simpleHl7: Hl7Library = {
  async listen(port, got) {
    const server = Server.createTcpServer((error, request, response) => {
      if (error) throw error;
      // One character a byte, with the frame round it.
      got(Buffer.from(request!.raw, 'latin1').subarray(1, -2));
      response!.end();
    });
    server.start(port, 'latin1');
    await new Promise((listening) => server.server.once('listening', listening));
  },

  async connect(port) {
    const client = Server.createTcpClient({ host: '127.0.0.1', port, keepalive: true });
    await new Promise<void>((resolve, reject) => {
      client.connect((error) => (error ? reject(error) : resolve()));
    });
    return {
      send(text) {
        const message = new Parser({ segmentSeperator: '\r' }).parse(text);
        return new Promise((resolve, reject) => {
          client.send(message, (error, answer) => {
            if (error) reject(error);
            else resolve({ sent: message.toString(), answer: answer.toString() });
          });
        });
      },
      close: () => client.close(),
    };
  },
};
