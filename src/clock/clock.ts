import type { Interruption } from './interruption.js';

/** Time as the service sees it, so that tests can hold it. */
export abstract class Clock {
  /** Monotonic milliseconds since an arbitrary start: for waits and deadlines. */
  abstract nowMs(): number;

  /** Milliseconds since the Unix epoch: for dates that others wrote. */
  abstract epochMs(): number;

  /** Calls back once after `delayMs`; the returned function cancels it. Does not keep the process alive. */
  abstract after(delayMs: number, callback: () => void): () => void;

  /** Resolves after `ms`, or when the signal aborts, whichever comes first. */
  async sleep(ms: number, signal?: Interruption): Promise<void> {
    if (signal?.aborted) return;
    await new Promise<void>((resolve) => {
      const end = (): void => {
        cancel();
        signal?.removeEventListener('abort', end);
        resolve();
      };
      const cancel = this.after(ms, end);
      signal?.addEventListener('abort', end);
    });
  }
}

/** setTimeout fires at once beyond this. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** The machine's own clock. */
export class SystemClock extends Clock {
  nowMs(): number {
    return performance.now();
  }

  epochMs(): number {
    return Date.now();
  }

  after(delayMs: number, callback: () => void): () => void {
    const timer = setTimeout(callback, Math.min(delayMs, LONGEST_TIMER_MS));
    timer.unref();
    return () => {
      clearTimeout(timer);
    };
  }
}
