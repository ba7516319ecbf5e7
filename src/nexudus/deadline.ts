import type { Clock } from '../clock/clock.js';
import type { Interruption } from '../clock/interruption.js';
import type { Lifecycle } from '../observability/lifecycle.js';

const MINIMUM_ATTEMPT_MS = 1_000;

/** How long a caller waits, from its arrival on, or until the process stops. All attempts and all waiting fit in it. */
export class Deadline {
  readonly #clock: Clock;
  readonly #lifecycle: Pick<Lifecycle, 'stopByMs' | 'onStop'> | undefined;
  readonly #atMs: number;
  /** No attempt begins with less than this left, since a late answer makes an unknown outcome. */
  readonly minimumAttemptMs: number;

  /** @param arrivedAtMs when the wait began, on the clock's monotonic scale */
  constructor(
    clock: Clock,
    waitMs: number,
    arrivedAtMs = clock.nowMs(),
    lifecycle?: Pick<Lifecycle, 'stopByMs' | 'onStop'>,
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

  /**
   * Calls back once, when too little is left for an attempt; a stop of the process moves that moment forward. The
   * returned function takes it back. Whoever waits for anything waits with this, so that nobody waits too long.
   */
  whenLate(callback: () => void): () => void {
    let cancelTimer: (() => void) | undefined;
    const arm = (): void => {
      cancelTimer?.();
      cancelTimer = this.#clock.after(Math.max(0, this.remainingMs() - this.minimumAttemptMs), () => {
        takeBack?.();
        callback();
      });
    };
    const takeBack = this.#lifecycle?.onStop(arm);
    arm();
    return () => {
      cancelTimer?.();
      takeBack?.();
    };
  }

  /** Resolves when the work is done, when it is too late for an attempt, or when the signal aborts. Never rejects. */
  async orLate(work: Promise<unknown>, signal: Interruption): Promise<void> {
    if (signal.aborted) return;
    await new Promise<void>((resolve) => {
      const end = (): void => {
        cancel();
        signal.removeEventListener('abort', end);
        resolve();
      };
      const cancel = this.whenLate(end);
      signal.addEventListener('abort', end);
      work.then(end, end);
    });
  }
}
