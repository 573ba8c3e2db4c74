/** @medplum/hl7. It reads a message into its parts and writes these again: bytes are not shown. */
import { Hl7Message } from '@medplum/core';
import { Hl7Client, Hl7Server } from '@medplum/hl7';
import type { Hl7Library } from './hl7-library.ts';

export const medplum: Hl7Library = {
  async listen(port, got) {
    const server = new Hl7Server((connection) => {
      connection.addEventListener('message', ({ message }) => {
        got(message.toString());
        connection.send(message.buildAck());
      });
      connection.addEventListener('error', ({ error }) => console.error(error));
    });
    await server.start(port);
  },

  async connect(port) {
    const client = new Hl7Client({ host: '127.0.0.1', port });
    await client.connect();
    return {
      async send(text) {
        const message = Hl7Message.parse(text);
        const answer = await client.sendAndWait(message);
        return { sent: message.toString(), answer: answer.toString() };
      },
      close: () => void client.close(),
    };
  },
};
