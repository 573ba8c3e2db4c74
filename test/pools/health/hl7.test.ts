import { describe, expect, onTestFinished, test } from 'vitest';
import type { CheckTarget } from '../../../src/pools/health/check.ts';
import type { Hl7Options } from '../../../src/pools/health/hl7.ts';
import { acknowledgementOf, fieldOf, hl7Message } from '../../peers/hl7-messages.ts';
import {
  answering,
  answeringHalf,
  answeringWith,
  answeringWithoutMsa,
  answeringWrongId,
  closing,
  dribbling,
  type ReceiverScript,
  resetting,
  silent,
  startReceiver,
} from '../../peers/mllp-peer.ts';
import { ManualDeadlines } from './manual-deadlines.ts';
import { checkOf, resultOf } from './run-check.ts';

function asking(options: Partial<Hl7Options> = {}) {
  return { check: 'hl7', message: undefined, blocks: {}, ...options } as const;
}

async function receiver(script: ReceiverScript) {
  const started = await startReceiver(script);
  onTestFinished(() => started.stop());
  return started;
}

async function resultFrom(
  script: ReceiverScript,
  options?: Partial<Hl7Options>,
  target?: Partial<CheckTarget>,
) {
  return resultOf(asking(options), { ...(await receiver(script)).address, ...target });
}

describe('hl7 check', () => {
  test('sends a message about nobody and is acknowledged: up', async () => {
    const { address, messages, connections } = await receiver(answering());
    const now = () => Date.UTC(2026, 0, 2, 3, 4, 5);
    expect(await resultOf(asking(), { ...address, now })).toMatchObject({
      outcome: 'up',
      reason: 'acknowledges an HL7 message with AA',
    });
    const [message] = await messages.count(1);
    expect(fieldOf(message!.bytes, 'MSH', 9)).toBe('NMD^N02');
    expect(fieldOf(message!.bytes, 'MSH', 7)).toBe('20260102030405+0000');
    expect(message!.bytes.toString('latin1')).not.toContain('PID');
    expect(await connections.items[0]!.connection.ending).toBe('end');
  });

  test.each(['CA', 'AE', 'AR', 'CE', 'CR'])(
    'an acknowledgement is an answer, whatever it says: %s',
    async (code) => {
      expect(await resultFrom(answering(code))).toMatchObject({
        outcome: 'up',
        reason: `acknowledges an HL7 message with ${code}`,
      });
    },
  );

  test('the message of the configuration goes out as it is', async () => {
    const message = hl7Message({ controlId: 'CHECK-1', patient: null }).toString('latin1');
    const { address, messages } = await receiver(answering());
    expect((await resultOf(asking({ message }), address)).outcome).toBe('up');
    expect((await messages.count(1))[0]!.bytes.toString('latin1')).toBe(message);
  });

  test('without a control id any acknowledgement will do', async () => {
    const message = 'MSH|^~\\&|GANTRY||||||NMD^N02\r';
    expect((await resultFrom(answeringWrongId(), { message })).outcome).toBe('up');
  });

  test('an answer a byte at a time', async () => {
    expect((await resultFrom(dribbling())).outcome).toBe('up');
  });

  test('each check has a control id of its own', async () => {
    let now = 1_790_000_000_000;
    const { address, messages } = await receiver(answering());
    const check = checkOf(asking(), { ...address, now: () => now++ });
    for (let run = 0; run < 2; run++) await new Promise((resolve) => check.start(resolve));
    const ids = (await messages.count(2)).map(({ controlId }) => controlId);
    expect(new Set(ids).size).toBe(2);
    expect(Math.max(...ids.map(({ length }) => length))).toBeLessThanOrEqual(20);
  });

  test.each<[string, ReceiverScript, string]>([
    [
      'acknowledges another message',
      answeringWrongId(),
      'acknowledges another HL7 message than the one it got',
    ],
    [
      'answers without MSA',
      answeringWithoutMsa(),
      'answers an HL7 message with something that is no acknowledgement',
    ],
    [
      'answers with a code that is in no table',
      answering('OK'),
      'answers an HL7 message with something that is no acknowledgement',
    ],
    [
      'answers garbage',
      async (_, { connection }) => connection.write(Buffer.alloc(10_000, 'x')),
      'answers an HL7 message with too much garbage',
    ],
    [
      'answers with an over-long frame',
      answeringWith(({ bytes }) => Buffer.concat([acknowledgementOf(bytes), Buffer.alloc(100_000, 'x')])),
      'answers an HL7 message with too much of a frame',
    ],
    ['closes', closing(), 'closes the connection instead of acknowledging an HL7 message'],
  ])('%s: down', async (_, script, reason) => {
    expect(await resultFrom(script)).toMatchObject({ outcome: 'down', reason });
  });

  test('resets: down', async () => {
    expect(await resultFrom(resetting())).toMatchObject({
      outcome: 'down',
      reason: expect.stringMatching(/reset the connection$/),
    });
  });

  test('half an answer, or none: down at the time-out', async () => {
    for (const script of [answeringHalf(), silent()]) {
      const { address, messages, connections } = await receiver(script);
      const deadlines = new ManualDeadlines();
      const result = resultOf(asking(), { ...address, timeout: 3000, deadlines });
      await messages.count(1);
      deadlines.pass(3000);
      expect(await result).toMatchObject({
        outcome: 'down',
        reason: 'takes connections, but acknowledges no HL7 message within 3000 ms',
      });
      await connections.items[0]!.connection.ending;
    }
  });

  test('refused: down', async () => {
    const gone = await receiver(answering());
    await gone.stop();
    expect((await resultOf(asking(), gone.address)).reason).toBe(`${gone.endpoint} refuses connections`);
  });

  test('cancelled, it says nothing and resets', async () => {
    const { address, messages, connections } = await receiver(silent());
    let said = 0;
    const cancel = checkOf(asking(), address).start(() => said++);
    await messages.count(1);
    cancel();
    expect(await connections.items[0]!.connection.ending).toBe('reset');
    expect(said).toBe(0);
  });
});
