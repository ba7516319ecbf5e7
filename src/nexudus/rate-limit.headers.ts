import type { Pacer } from './pacer.js';

/**
 * What is left of the write budget, as `RateLimit` and `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers-09):
 * a list of policies, each with its quota `q` and window `w` in seconds, what remains `r`, and the seconds `t` until
 * more does. The returned function makes the headers of the moment; none where there are no limits.
 */
export function rateLimitHeaders(pacer: Pick<Pacer, 'windows'>): () => Record<string, string> {
  // The names and the policy are the configuration: written once, not with every answer.
  const windows = pacer.windows('write').map(({ window }) => window);
  if (windows.length === 0) return () => ({});
  const names = windows.map(({ periodMs }) => windowName(periodMs));
  const policy = windows
    .map(({ limit, periodMs }, index) => `"${names[index]}";q=${limit};w=${seconds(periodMs)}`)
    .join(', ');
  return () => {
    const state = pacer
      .windows('write')
      .map(({ remaining, resetMs }, index) => `"${names[index]}";r=${remaining};t=${seconds(resetMs)}`)
      .join(', ');
    return { 'ratelimit-policy': policy, ratelimit: state };
  };
}

/** The period in the words of the configuration: `1m`, `1d`, `100ms`. */
export function windowName(periodMs: number): string {
  const units = [
    ['d', 86_400_000],
    ['h', 3_600_000],
    ['m', 60_000],
    ['s', 1_000],
  ] as const;
  const [unit, unitMs] = units.find(([, ms]) => periodMs % ms === 0) ?? ['ms', 1];
  return `${periodMs / unitMs}${unit}`;
}

function seconds(ms: number): number {
  return Math.ceil(ms / 1000);
}
