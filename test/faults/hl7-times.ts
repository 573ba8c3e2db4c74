/** What half and what nearly all of many waited, at most. */
export interface Times {
  readonly count: number;
  /** Milliseconds. */
  readonly p50: number;
  readonly p99: number;
  readonly most: number;
}

export function timesOf(milliseconds: readonly number[]): Times {
  const sorted = [...milliseconds].sort((a, b) => a - b);
  const at = (part: number) =>
    Math.round((sorted[Math.min(Math.floor(sorted.length * part), sorted.length - 1)] ?? 0) * 10) / 10;
  return { count: sorted.length, p50: at(0.5), p99: at(0.99), most: at(1) };
}

export function describeTimes({ count, p50, p99, most }: Times): string {
  return `${count} messages, p50 ${p50} ms, p99 ${p99} ms, longest ${most} ms`;
}
