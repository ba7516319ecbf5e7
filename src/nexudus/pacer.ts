import { Injectable } from '@nestjs/common';
import { Clock } from '../clock/clock.js';
import type { Deadline } from './deadline.js';
import { QuotaExhausted, WriteAbandoned } from './nexudus.errors.js';

/** Says when a write may be sent. After a throttle answer every waiting write waits, not only the one it hit. */
@Injectable()
export class Pacer {
  #pausedUntilMs = 0;

  constructor(private readonly clock: Clock) {}

  /** Holds every write for this long. The pause only ever moves forward. */
  pause(forMs: number): void {
    this.#pausedUntilMs = Math.max(this.#pausedUntilMs, this.clock.nowMs() + forMs);
  }

  /**
   * Resolves when the write may be sent.
   *
   * @throws QuotaExhausted at once, when the pause leaves no time for an attempt
   * @throws WriteAbandoned when the caller goes away first
   */
  async turn(deadline: Deadline, abandoned: AbortSignal): Promise<void> {
    for (;;) {
      if (abandoned.aborted) throw new WriteAbandoned();
      const waitMs = this.#pausedUntilMs - this.clock.nowMs();
      if (waitMs <= 0) return;
      if (!deadline.allowsAttempt(waitMs)) throw new QuotaExhausted(waitMs);
      await sleep(waitMs, this.clock, abandoned);
    }
  }
}

/** Waits, or less when the signal comes first. */
export async function sleep(ms: number, clock: Clock, signal: AbortSignal): Promise<void> {
  await new Promise<void>((resolve) => {
    const end = (): void => {
      cancel();
      signal.removeEventListener('abort', end);
      resolve();
    };
    const cancel = clock.after(ms, end);
    signal.addEventListener('abort', end);
    if (signal.aborted) end();
  });
}
