import type { WindowCounter } from './window-counter.js';

const DAY_MS = 86_400_000;
/** Callers that are remembered; beyond, the one that was seen longest ago is forgotten. */
const MOST_CALLERS = 10_000;

/** Keeps a share of each daily window back from callers who have used as much as that, for those who have not. */
export class DayReserve {
  readonly #sizes: ReadonlyMap<WindowCounter, number>;
  /** When each caller was last seen, in that order. */
  readonly #callersSeen = new Map<string, number>();

  constructor(windows: readonly WindowCounter[], share: number) {
    const daily = windows.filter(({ periodMs }) => periodMs >= DAY_MS);
    this.#sizes = new Map(daily.map((window) => [window, Math.floor(window.limit * share)]));
  }

  get windows(): readonly WindowCounter[] {
    return [...this.#sizes.keys()];
  }

  /** Whether it matters who makes a call that counts here. */
  isOn(window: WindowCounter): boolean {
    return this.#sizes.has(window);
  }

  /** A caller that is there may want a part of the day. */
  see(caller: string, nowMs: number): void {
    this.#callersSeen.delete(caller);
    this.#callersSeen.set(caller, nowMs);
    for (const [other, seenAtMs] of this.#callersSeen) {
      if (nowMs - seenAtMs < DAY_MS && this.#callersSeen.size <= MOST_CALLERS) break;
      this.#callersSeen.delete(other);
    }
  }

  /** Whether a caller may have one of the slots that are left. */
  allows(caller: string, nowMs: number): boolean {
    for (const [window, size] of this.#sizes) {
      if (window.room(nowMs) <= size && this.#keptBack(window, size, caller, 0, nowMs) > 0) return false;
    }
    return true;
  }

  /** When there will be room for a caller's write behind `ahead` others, of which `ownAhead` are its own. */
  roomAtMs(caller: string, ahead: number, ownAhead: number, nowMs: number, latencyMs: number): number {
    let atMs = nowMs;
    for (const [window, size] of this.#sizes) {
      const keptBack = this.#keptBack(window, size, caller, ownAhead, nowMs);
      if (keptBack > 0) atMs = Math.max(atMs, window.roomAtMs(ahead + keptBack, nowMs, latencyMs));
    }
    return atMs;
  }

  #keptBack(window: WindowCounter, size: number, caller: string, ownAhead: number, nowMs: number): number {
    // Nothing is kept back for nobody.
    if (this.#callersSeen.size <= 1) return 0;
    return window.usedBy(caller, nowMs) + ownAhead >= size ? size : 0;
  }
}
