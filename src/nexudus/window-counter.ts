import type { QuotaWindow } from '../config/windows.js';

/**
 * Our clock and the upstream's may run apart by this share (NTP slews a clock by up to 500 ppm), and it may cut
 * its times to whole milliseconds.
 */
const CLOCK_DRIFT = 1 / 2_000;
const CLOCK_GRAIN_MS = 1;
/** A throttle although our own count has room: somebody else uses the account (AIMD, as TCP does). */
const SHRINK_TO_OF_USED = 0.9;
/** At a stroke; it may have been another window that was full. */
const SHRINK_TO_AT_LEAST = 0.75;
/** First a period without growth, since for so long the past counts; then so many steps of so much in a period. */
const STEPS_PER_PERIOD = 10;
const STEP_SHARE = 1 / 50;
/** Of a day nobody knows after an hour who used it: it is worth a try again. */
const LONGEST_HOLD_MS = 600_000;

/**
 * Counts our calls in one window of the upstream's quota. A call counts from before it is sent until its period
 * after its *answer* has passed. Since the upstream counts it somewhere between the two, no stretch of its own
 * clock as long as the period ever holds more than the limit: whatever the shape and the alignment of its windows.
 *
 * Constant time per call; memory bounded by the limit.
 */
export class WindowCounter {
  readonly limit: number;
  readonly periodMs: number;
  /** How long an answered call goes on counting. */
  readonly holdMs: number;
  /** When each answered call stops counting, oldest first; a ring that grows up to the limit. */
  #freeAtMs: Float64Array;
  /** Who made each of them, in the same places. */
  #callers: (string | undefined)[];
  #head = 0;
  #answered = 0;
  /** When each call that is under way began, in that order. */
  readonly #begunAtMs: number[] = [];
  readonly #usedBy = new Map<string, number>();
  #assumedLimit: number;
  #growsAtMs = 0;

  constructor({ limit, periodMs }: QuotaWindow) {
    this.limit = limit;
    this.periodMs = periodMs;
    this.holdMs = periodMs * (1 + CLOCK_DRIFT) + CLOCK_GRAIN_MS;
    this.#assumedLimit = limit;
    const capacity = Math.min(limit, 64);
    this.#freeAtMs = new Float64Array(capacity);
    this.#callers = new Array<string | undefined>(capacity);
  }

  /** What of the limit we take for ours: less than all while somebody else uses the account. */
  get assumedLimit(): number {
    return this.#assumedLimit;
  }

  /** Somebody else uses the account: what we had just now is about our share, and a little less is safe. */
  shrink(nowMs: number): void {
    const target = Math.max(this.used(nowMs) * SHRINK_TO_OF_USED, this.#assumedLimit * SHRINK_TO_AT_LEAST);
    this.#assumedLimit = Math.max(1, Math.min(this.#assumedLimit, Math.floor(target)));
    this.#growsAtMs = nowMs + Math.min(this.periodMs, LONGEST_HOLD_MS);
  }

  /** Takes back what was given up, little by little; says whether anything changed. */
  growBack(nowMs: number): boolean {
    if (this.#assumedLimit === this.limit || nowMs < this.#growsAtMs) return false;
    const stepMs = Math.min(this.periodMs, LONGEST_HOLD_MS) / STEPS_PER_PERIOD;
    const steps = 1 + Math.floor((nowMs - this.#growsAtMs) / stepMs);
    const step = Math.max(1, Math.floor(this.limit * STEP_SHARE));
    this.#assumedLimit = Math.min(this.limit, this.#assumedLimit + steps * step);
    this.#growsAtMs += steps * stepMs;
    return true;
  }

  /** Calls that count now, those under way included. */
  used(nowMs: number): number {
    this.#expire(nowMs);
    return this.#answered + this.#begunAtMs.length;
  }

  /** How many more may be sent now. */
  room(nowMs: number): number {
    return Math.max(0, this.#assumedLimit - this.used(nowMs));
  }

  /** How many of the calls that count are this caller's. */
  usedBy(caller: string, nowMs: number): number {
    this.#expire(nowMs);
    return this.#usedBy.get(caller) ?? 0;
  }

  begin(nowMs: number, caller?: string): void {
    this.#begunAtMs.push(nowMs);
    if (caller !== undefined) this.#usedBy.set(caller, (this.#usedBy.get(caller) ?? 0) + 1);
  }

  /**
   * @param begunAtMs as given to its beginning
   * @param counts false where no byte left: the upstream never saw it
   * @param lateMs how much later than now the upstream may still get to it, where no answer came
   */
  end(nowMs: number, begunAtMs: number, counts: boolean, lateMs: number, caller?: string): void {
    this.#begunAtMs.splice(this.#begunAtMs.indexOf(begunAtMs), 1);
    if (!counts) {
      this.#release(caller);
      return;
    }
    if (this.#answered === this.#freeAtMs.length) this.#grow();
    const last = this.#at(this.#answered - 1);
    const tail = (this.#head + this.#answered) % this.#freeAtMs.length;
    // Kept in order: an answer that follows a lost one is held as long, which errs on the safe side.
    this.#freeAtMs[tail] = Math.max(nowMs + lateMs + this.holdMs, this.#answered > 0 ? last : 0);
    this.#callers[tail] = caller;
    this.#answered += 1;
  }

  /**
   * When there will be room for one more call after `ahead` others have been sent, at the earliest.
   *
   * @param latencyMs how long a call is expected to take: what is under way, and what is ahead
   */
  roomAtMs(ahead: number, nowMs: number, latencyMs: number): number {
    this.#expire(nowMs);
    const free = this.#assumedLimit - this.#answered - this.#begunAtMs.length;
    const roundMs = latencyMs + this.holdMs;
    // After as many as the limit the same places come round again, one call and one period later.
    const laterMs = Math.floor(ahead / this.#assumedLimit) * roundMs;
    const place = ahead % this.#assumedLimit;
    if (place < free) return nowMs + laterMs;
    // A place is free when a call stops counting: the answered ones first, then those under way.
    const index = place - free;
    if (index < this.#answered) return laterMs + this.#at(index);
    const endsAtMs = Math.max(nowMs, (this.#begunAtMs[index - this.#answered] ?? nowMs) + latencyMs);
    return laterMs + endsAtMs + this.holdMs;
  }

  /** When there will be more room than now by time alone; `undefined` when it takes the end of a call. */
  nextRoomAtMs(nowMs: number): number | undefined {
    const release = this.nextReleaseAtMs(nowMs);
    if (this.#assumedLimit === this.limit) return release;
    return Math.min(release ?? Infinity, this.#growsAtMs);
  }

  /** When the next of the calls that count stops counting; `undefined` when none does by itself. */
  nextReleaseAtMs(nowMs: number): number | undefined {
    this.#expire(nowMs);
    // With a shrunken limit more may count than are ours: room comes only when enough of them are gone.
    const index = Math.max(0, this.#answered + this.#begunAtMs.length - this.#assumedLimit);
    return index < this.#answered ? this.#at(index) : undefined;
  }

  #expire(nowMs: number): void {
    while (this.#answered > 0 && this.#at(0) <= nowMs) {
      this.#release(this.#callers[this.#head]);
      this.#callers[this.#head] = undefined;
      this.#head = (this.#head + 1) % this.#freeAtMs.length;
      this.#answered -= 1;
    }
  }

  #release(caller: string | undefined): void {
    if (caller === undefined) return;
    const left = (this.#usedBy.get(caller) ?? 0) - 1;
    if (left > 0) this.#usedBy.set(caller, left);
    else this.#usedBy.delete(caller);
  }

  #at(index: number): number {
    return this.#freeAtMs[(this.#head + index) % this.#freeAtMs.length] ?? 0;
  }

  #grow(): void {
    const capacity = this.#freeAtMs.length * 2;
    const freeAtMs = new Float64Array(capacity);
    const callers = new Array<string | undefined>(capacity);
    for (let index = 0; index < this.#answered; index += 1) {
      freeAtMs[index] = this.#at(index);
      callers[index] = this.#callers[(this.#head + index) % this.#freeAtMs.length];
    }
    this.#freeAtMs = freeAtMs;
    this.#callers = callers;
    this.#head = 0;
  }
}
