/** Time as the service sees it, so that tests can hold it. */
export abstract class Clock {
  /** Monotonic milliseconds since an arbitrary start: for waits and deadlines. */
  abstract nowMs(): number;

  /** Milliseconds since the Unix epoch: for dates that others wrote. */
  abstract epochMs(): number;

  /** Calls back once after `delayMs`; the returned function cancels it. Does not keep the process alive. */
  abstract after(delayMs: number, callback: () => void): () => void;
}

/** The machine's own clock. */
export class SystemClock extends Clock {
  nowMs(): number {
    return performance.now();
  }

  epochMs(): number {
    return Date.now();
  }

  after(delayMs: number, callback: () => void): () => void {
    const timer = setTimeout(callback, delayMs);
    timer.unref();
    return () => {
      clearTimeout(timer);
    };
  }
}
