import { beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { onEvent } from '../../src/observe/events.ts';
import { createDeadlines } from '../../src/relay/deadlines.ts';
import { noticeRefused } from '../../src/relay/refused.ts';

describe('connections that are turned away', () => {
  let said: string[];
  let vip: { vip: string; deadlines: ReturnType<typeof createDeadlines> };

  beforeEach(() => {
    vi.useFakeTimers();
    said = [];
    vip = { vip: 'A', deadlines: createDeadlines() };
    const stop = onEvent('notice', ({ message, fields }) =>
      said.push(`${message} ${Object.values(fields).join(' ')}`),
    );
    onTestFinished(() => {
      stop();
      vip.deadlines.close();
      vi.useRealTimers();
    });
  });

  it('are said once a minute for each address, then how many more there were', () => {
    for (let n = 0; n < 5; n += 1) noticeRefused(vip, '192.0.2.1', 'it does not speak TLS');
    noticeRefused(vip, '192.0.2.2', 'it does not speak TLS');
    noticeRefused({ ...vip, vip: 'B' }, '192.0.2.1', 'it shows no certificate');
    expect(said.splice(0)).toEqual([
      'a connection was turned away A 192.0.2.1 it does not speak TLS',
      'a connection was turned away A 192.0.2.2 it does not speak TLS',
      'a connection was turned away B 192.0.2.1 it shows no certificate',
    ]);
    vi.advanceTimersByTime(61_000);
    expect(said.splice(0)).toEqual(['more connections were turned away A 192.0.2.1 4']);
    noticeRefused(vip, '192.0.2.1', 'it shows no certificate');
    expect(said).toEqual(['a connection was turned away A 192.0.2.1 it shows no certificate']);
    vi.advanceTimersByTime(61_000);
    expect(said).toHaveLength(1);
  });

  it('of too many addresses the rest is left unsaid, for that minute', () => {
    for (let n = 0; n < 5000; n += 1)
      noticeRefused(vip, `10.0.${n >>> 8}.${n & 0xff}`, 'it does not speak TLS');
    expect(said).toHaveLength(1000);
    vi.advanceTimersByTime(61_000);
    noticeRefused(vip, '10.9.9.9', 'it does not speak TLS');
    expect(said).toHaveLength(1001);
  });
});
