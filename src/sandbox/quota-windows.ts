/** At most `limit` calls in any `periodMs`. */
export interface QuotaWindow {
  readonly limit: number;
  readonly periodMs: number;
}

/** How windows lie in time: behind each call, or side by side from an offset. */
export interface WindowShape {
  readonly windowShape: 'sliding' | 'fixed';
  readonly windowOffsetMs: number;
}

const UNIT_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** Reads `60/1m,2500/1d`; `off` is no window at all. */
export function parseLimits(text: string): QuotaWindow[] {
  if (text === 'off') return [];
  return text.split(',').map((part) => {
    const [, limit, count, unit = ''] = /^(\d+)\/(\d+)(ms|s|m|h|d)$/.exec(part.trim()) ?? [];
    const unitMs = UNIT_MS[unit];
    const periodMs = Number(count) * (unitMs ?? 0);
    if (unitMs === undefined || periodMs === 0) {
      throw new Error(`"${part}" is not a limit such as 60/1m (units: ms, s, m, h, d)`);
    }
    return { limit: Number(limit), periodMs };
  });
}

/** Remembers when calls came, and says which one is too many. */
export class QuotaMeter {
  private timesMs: number[] = [];
  private parsed: { text: string; windows: QuotaWindow[] } = { text: 'off', windows: [] };

  /** Counts a call, whether it is refused or not: upstream's windows count refused attempts, too. */
  refuses(limits: string, nowMs: number, shape: WindowShape): boolean {
    // Options may change while the fake runs, so the text is looked at every time and parsed when it is new.
    if (this.parsed.text !== limits) this.parsed = { text: limits, windows: parseLimits(limits) };
    const { windows } = this.parsed;
    if (windows.length === 0) return false;

    this.forgetBefore(nowMs - Math.max(...windows.map(({ periodMs }) => periodMs)));
    this.timesMs.push(nowMs);
    return windows.some(({ limit, periodMs }) => this.countIn(periodMs, nowMs, shape) > limit);
  }

  private countIn(periodMs: number, nowMs: number, { windowShape, windowOffsetMs }: WindowShape): number {
    if (windowShape === 'sliding') return this.timesMs.length - this.firstWhere((t) => t > nowMs - periodMs);
    const beginMs = windowOffsetMs + Math.floor((nowMs - windowOffsetMs) / periodMs) * periodMs;
    return this.timesMs.length - this.firstWhere((t) => t >= beginMs);
  }

  /** Binary search: times are in order of arrival. */
  private firstWhere(isIn: (timeMs: number) => boolean): number {
    let low = 0;
    let high = this.timesMs.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (isIn(this.timesMs[middle] ?? 0)) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  /** Only when half of the log is dead, so that a call costs the same however long the fake runs. */
  private forgetBefore(timeMs: number): void {
    const dead = this.firstWhere((t) => t >= timeMs);
    if (dead > 1000 && dead * 2 > this.timesMs.length) this.timesMs = this.timesMs.slice(dead);
  }
}
