/** Must show, in its short form: `npm run faults -- websocket` takes five minutes. */
import { expect, test } from 'vitest';
import { describeWith } from '../peers/processes.ts';
import { runWebSocket } from './websocket.ts';

describeWith(['openssl'], 'WebSocket through TLS', () => {
  test('with a reload, a drain of the other server, and a certificate change in between: not one message lost', async () => {
    const result = await runWebSocket({ seconds: 6, print: () => {} });
    expect(result).toMatchObject({ lost: 0, open: true, certificateChanged: true });
    expect(result.sent).toBeGreaterThan(500);
    expect(result.received).toBe(result.sent);
  });
});
