/**
 * Takes associations and whatever is stored on them, and keeps nothing: `p-data-sink.ts PORT`. It reads with our own
 * channels, so that it is faster than whatever is measured in front of it.
 */
import { indexAssociate } from '../../protocols/dicom/associate.ts';
import { writeAssociateAc } from '../../protocols/dicom/associate-write.ts';
import { COMMAND, type Command, RESPONSE_BIT } from '../../protocols/dicom/command-set.ts';
import { writeCommand } from '../../protocols/dicom/p-data.ts';
import { PDU } from '../../protocols/dicom/pdu.ts';
import { createPduCollector } from '../../protocols/dicom/pdu-collector.ts';
import { createPduFollower, type PduFollower } from '../../protocols/dicom/pdu-follower.ts';
import { writeReleaseRp } from '../../protocols/dicom/small-pdus.ts';
import type { Channel } from '../../src/relay/channel.ts';
import { listen } from '../../src/relay/listen.ts';

/** Accepts every context of a request with its first transfer syntax, PDUs of any length. */
function answerTo(bytes: Buffer): Buffer {
  const request = indexAssociate(bytes);
  return writeAssociateAc({
    request,
    maxLength: 0,
    presentationContexts: request.presentationContexts.map(({ id, transferSyntaxes }) => ({
      id,
      result: 0,
      transferSyntax: transferSyntaxes[0]!,
    })),
  });
}

function follow(channel: Channel): PduFollower {
  let storing: Command | undefined;
  return createPduFollower({
    command: (command) => {
      storing = command;
    },
    dataEnd: (contextId) =>
      channel.write(
        writeCommand(contextId, {
          commandField: COMMAND.C_STORE | RESPONSE_BIT,
          messageIdRespondedTo: storing?.messageId,
          affectedSopClass: storing?.affectedSopClass,
          affectedSopInstance: storing?.affectedSopInstance,
          status: 0,
        }),
      ),
    pduEnd: (type) => {
      if (type === PDU.A_RELEASE_RQ) channel.write(writeReleaseRp());
    },
    fault: () => channel.reset(),
  });
}

await listen({ host: '127.0.0.1', port: Number(process.argv[2]) }, (channel) => {
  const collector = createPduCollector();
  let follower: PduFollower | undefined;
  channel.handler = {
    read(bytes) {
      if (follower) {
        follower.push(bytes);
        return;
      }
      const collected = collector.push(bytes);
      if (!collected) return;
      follower = follow(channel);
      channel.write(answerTo(collected.pdu));
    },
    ended: () => channel.end(),
    closed() {},
  };
});
