import { Clock } from '../../src/clock/clock.js';

const EPOCH_MS = Date.UTC(2025, 0, 15, 10, 30);
/** Node's; the machine's clock cuts off what is longer. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

interface Timer {
  readonly atMs: number;
  readonly seq: number;
  callback: (() => void) | undefined;
}

/** A clock that goes from event to event, so that a day takes no time and every run is the same. */
export class VirtualClock extends Clock {
  /** A binary heap, the next timer first. */
  readonly #heap: Timer[] = [];
  #nowMs = 0;
  #seq = 0;
  #pending = 0;

  nowMs(): number {
    return this.#nowMs;
  }

  epochMs(): number {
    return EPOCH_MS + this.#nowMs;
  }

  /** As coarse as Node's `setTimeout`: whole milliseconds, and at least one. */
  after(delayMs: number, callback: () => void): () => void {
    const wholeMs = Math.trunc(Math.min(delayMs, LONGEST_TIMER_MS));
    let isSet = true;
    this.#pending += 1;
    const unset = (): void => {
      if (isSet) this.#pending -= 1;
      isSet = false;
    };
    const cancel = this.at(this.#nowMs + Math.max(1, wholeMs), () => {
      unset();
      callback();
    });
    return () => {
      unset();
      cancel();
    };
  }

  /** To the fraction: for what the world does, not the service. */
  at(atMs: number, callback: () => void): () => void {
    const timer: Timer = { atMs: Math.max(atMs, this.#nowMs), seq: (this.#seq += 1), callback };
    this.#push(timer);
    return () => {
      timer.callback = undefined;
    };
  }

  /** Timers of the service that are set and not cancelled. */
  get pending(): number {
    return this.#pending;
  }

  /** Runs the next event, if there is one up to then. */
  step(untilMs = Infinity): boolean {
    for (;;) {
      const next = this.#heap[0];
      if (next === undefined || next.atMs > untilMs) return false;
      this.#pop();
      const { callback } = next;
      if (callback === undefined) continue;
      next.callback = undefined;
      this.#nowMs = next.atMs;
      callback();
      return true;
    }
  }

  /** Runs all events up to then, and stands there. */
  run(untilMs: number): void {
    while (this.step(untilMs));
    if (untilMs !== Infinity) this.#nowMs = Math.max(this.#nowMs, untilMs);
  }

  #push(timer: Timer): void {
    const heap = this.#heap;
    let index = heap.length;
    heap.push(timer);
    while (index > 0) {
      const parentIndex = (index - 1) >> 1;
      const parent = heap[parentIndex];
      if (parent === undefined || isBefore(parent, timer)) break;
      heap[index] = parent;
      index = parentIndex;
    }
    heap[index] = timer;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let index = 0;
    for (;;) {
      let childIndex = 2 * index + 1;
      let child = heap[childIndex];
      const right = heap[childIndex + 1];
      if (child !== undefined && right !== undefined && isBefore(right, child)) {
        child = right;
        childIndex += 1;
      }
      if (child === undefined || isBefore(last, child)) break;
      heap[index] = child;
      index = childIndex;
    }
    heap[index] = last;
  }
}

function isBefore(a: Timer, b: Timer): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.seq < b.seq);
}
