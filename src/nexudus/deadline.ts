import type { Clock } from '../clock/clock.js';
import type { Lifecycle } from '../observability/lifecycle.js';

const MINIMUM_ATTEMPT_MS = 1_000;

/** How long a caller waits, from its arrival on, or until the process stops. All attempts and all waiting fit in it. */
export class Deadline {
  readonly #clock: Clock;
  readonly #lifecycle: Pick<Lifecycle, 'stopByMs'> | undefined;
  readonly #atMs: number;
  /** No attempt begins with less than this left, since a late answer makes an unknown outcome. */
  readonly minimumAttemptMs: number;

  /** @param arrivedAtMs when the wait began, on the clock's monotonic scale */
  constructor(
    clock: Clock,
    waitMs: number,
    arrivedAtMs = clock.nowMs(),
    lifecycle?: Pick<Lifecycle, 'stopByMs'>,
  ) {
    this.#clock = clock;
    this.#lifecycle = lifecycle;
    this.#atMs = arrivedAtMs + waitMs;
    this.minimumAttemptMs = Math.min(MINIMUM_ATTEMPT_MS, waitMs / 4);
  }

  /** On the clock's monotonic scale. */
  get atMs(): number {
    return Math.min(this.#atMs, this.#lifecycle?.stopByMs ?? Infinity);
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
