/** hl7v2-net, with the messages of hl7v2. */
import { HL7Message } from 'hl7v2';
import { HL7Server, Hl7Client } from 'hl7v2-net';
import type { Hl7Library } from './hl7-library.ts';

export const hl7v2Net: Hl7Library = {
  async listen(port, got) {
    const server = HL7Server.createServer();
    // With the frame round it.
    server.on('data', (frame: Buffer) => got(frame.subarray(1, -2)));
    server.on('error', (error: Error) => console.error(error));
    await server.listen({ port, host: '127.0.0.1' });
  },

  async connect(port) {
    const client = Hl7Client.createClient({ host: '127.0.0.1', port });
    await client.connect();
    return {
      async send(text) {
        const message = HL7Message.parse(text);
        const answer = await client.sendMessageWaitAck(message);
        return { sent: message.toHL7String(), answer: answer.toHL7String() };
      },
      close: () => void client.close(),
    };
  },
};
