import type { WindowState } from './pacer.js';

/**
 * What is left of the write budget, as `RateLimit` and `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers-09):
 * a list of policies, each with its quota `q` and window `w` in seconds, what remains `r`, and the seconds `t` until
 * more does. Empty where there are no limits. Pure.
 */
export function rateLimitHeaders(windows: readonly WindowState[]): Record<string, string> {
  const writes = windows.filter(({ kind }) => kind === 'write');
  if (writes.length === 0) return {};
  const policies = writes.map(
    ({ window }) => `"${windowName(window.periodMs)}";q=${window.limit};w=${seconds(window.periodMs)}`,
  );
  const state = writes.map(({ window, assumedLimit, used, resetMs }) => {
    const remaining = Math.max(0, assumedLimit - used);
    return `"${windowName(window.periodMs)}";r=${remaining};t=${seconds(resetMs)}`;
  });
  return { 'ratelimit-policy': policies.join(', '), ratelimit: state.join(', ') };
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
