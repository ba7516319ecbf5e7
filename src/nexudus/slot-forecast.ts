import type { WindowCounter } from './window-counter.js';

/** Who waits is woken by a timer, which knows whole milliseconds. */
export const TIMER_GRAIN_MS = 1;

/** What a forecast starts from. */
export interface Outlook {
  readonly nowMs: number;
  /** Nothing is sent before. */
  readonly pausedUntilMs: number;
  /** How long a call is expected to take. */
  readonly latencyMs: number;
  /** Calls that are not writes, and go before them. */
  readonly calls: number;
  /** After a throttle: one call alone, and the others after its end. */
  readonly probe: 'none' | 'next' | 'under-way';
}

/**
 * When the next slots for writes will come, if all are used: one after the other, since each fills the windows for
 * those behind it. Kept until something changes, and worked out no further than somebody asked: what waits may be
 * much, but what is sent, and so what changes, is little.
 */
export class SlotForecast {
  readonly #callWindows: readonly WindowCounter[];
  readonly #writeWindows: readonly WindowCounter[];
  /** The beginnings of the calls, then of the writes. */
  #slotsAtMs: number[] = [];
  #outlook: Outlook | undefined;

  constructor(callWindows: readonly WindowCounter[], writeWindows: readonly WindowCounter[]) {
    this.#callWindows = callWindows;
    this.#writeWindows = writeWindows;
  }

  /** A call began or ended, or a window changed. */
  invalidate(): void {
    this.#outlook = undefined;
  }

  /** When a write with so many others before it can be sent. */
  slotAtMs(ahead: number, present: Outlook): number {
    const outlook = this.#isStale(present) ? this.#restart(present) : (this.#outlook ?? present);
    const position = outlook.calls + ahead;
    for (let next = this.#slotsAtMs.length; next <= position; next += 1) this.#extend(next, outlook);
    return this.#slotsAtMs[position] ?? 0;
  }

  #isStale({ nowMs, calls }: Outlook): boolean {
    // A slot that went by unused (what waits has to wait for something else) is no promise.
    return this.#outlook?.calls !== calls || (this.#slotsAtMs[0] ?? 0) < nowMs;
  }

  #restart(outlook: Outlook): Outlook {
    this.#slotsAtMs = [];
    this.#outlook = outlook;
    return outlook;
  }

  #extend(position: number, { nowMs, pausedUntilMs, latencyMs, calls, probe }: Outlook): void {
    let atMs =
      this.#slotsAtMs[position - 1] ?? (pausedUntilMs > nowMs ? pausedUntilMs + TIMER_GRAIN_MS : nowMs);
    if (position === 0 && probe === 'under-way') atMs = Math.max(atMs, nowMs + latencyMs);
    if (position === 1 && probe === 'next') atMs += latencyMs;
    const fit = (window: WindowCounter, index: number, offset: number): void => {
      // After as many as the limit, the places of the first ones come round again.
      const again = index - window.assumedLimit;
      const freeAtMs =
        again < 0
          ? window.roomAtMs(index, nowMs, latencyMs)
          : (this.#slotsAtMs[offset + again] ?? 0) + latencyMs + window.holdMs;
      if (freeAtMs > nowMs) atMs = Math.max(atMs, freeAtMs + TIMER_GRAIN_MS);
    };
    for (const window of this.#callWindows) fit(window, position, 0);
    if (position >= calls) for (const window of this.#writeWindows) fit(window, position - calls, calls);
    this.#slotsAtMs.push(atMs);
  }
}
