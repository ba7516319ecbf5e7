/** At most `limit` calls in any stretch of `periodMs` milliseconds. */
export interface QuotaWindow {
  readonly limit: number;
  readonly periodMs: number;
}

const UNIT_MS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
const DURATION = /^([1-9]\d{0,8})(ms|s|m|h|d)$/;
const WINDOW = /^([1-9]\d{0,8})\/(\w+)$/;
const LONGEST_PERIOD_MS = 31 * UNIT_MS.d;

/** Reads `100ms`, `30s`, `1m`, `1h` or `1d` as milliseconds; `undefined` when it is anything else. */
export function parseDurationMs(text: string): number | undefined {
  const [, amount, unit] = DURATION.exec(text) ?? [];
  if (amount === undefined || unit === undefined) return undefined;
  return Number(amount) * UNIT_MS[unit as keyof typeof UNIT_MS];
}

/**
 * Reads a list of quota windows, `60/1m,2500/1d`; `off` is the empty list.
 * `undefined` when the text is anything else, or a period is over 31 days.
 */
export function parseWindows(text: string): QuotaWindow[] | undefined {
  if (text.trim() === 'off') return [];
  const windows: QuotaWindow[] = [];
  for (const part of text.split(',')) {
    const [, limit, period] = WINDOW.exec(part.trim()) ?? [];
    const periodMs = period === undefined ? undefined : parseDurationMs(period);
    if (limit === undefined || periodMs === undefined || periodMs > LONGEST_PERIOD_MS) return undefined;
    windows.push({ limit: Number(limit), periodMs });
  }
  return windows;
}
