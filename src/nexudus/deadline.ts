import type { Clock } from '../clock/clock.js';

const MINIMUM_ATTEMPT_MS = 1_000;

/** How long a caller waits, from its arrival on. All attempts and all waiting fit in it. */
export class Deadline {
  readonly #clock: Clock;
  /** On the clock's monotonic scale. */
  readonly atMs: number;
  /** No attempt begins with less than this left, since a late answer makes an unknown outcome. */
  readonly minimumAttemptMs: number;

  /** @param arrivedAtMs when the wait began, on the clock's monotonic scale */
  constructor(clock: Clock, waitMs: number, arrivedAtMs = clock.nowMs()) {
    this.#clock = clock;
    this.atMs = arrivedAtMs + waitMs;
    this.minimumAttemptMs = Math.min(MINIMUM_ATTEMPT_MS, waitMs / 4);
  }

  /** What is left; 0 when it is over. */
  remainingMs(): number {
    return Math.max(0, this.atMs - this.#clock.nowMs());
  }

  /** Whether an attempt that begins `inMs` from now would still have its minimum. */
  allowsAttempt(inMs = 0): boolean {
    return inMs + this.minimumAttemptMs <= this.remainingMs();
  }
}
