import type { Clock } from '../clock/clock.js';
import { Quota, type CallKind, type PacerLimits, type Slot } from '../nexudus/quota.js';

/** How a call may end, as it is written down. */
export type EndKind = 'answered' | 'throttled' | 'unanswered' | 'not-sent';

/** The beginning or the end of a call, as all replicas have it. */
export interface QuotaEvent {
  readonly seq: number;
  /** On the database's clock; never less than that of the event before. */
  readonly atMs: number;
  readonly kind: CallKind | EndKind;
  /** The number of its beginning. */
  readonly call: number;
  /** Who made the call. */
  readonly replica: string;
  readonly caller: string | undefined;
  readonly retryAfterMs: number | undefined;
}

/** A call that has not ended. */
export interface OpenCall {
  readonly kind: CallKind;
  readonly replica: string;
  readonly caller: string | undefined;
}

/**
 * The quota of all replicas: what comes of their common log, the same in each of them.
 *
 * It is kept twice. What decides sees the database's clock alone, and only while the gate is held: a window forgets
 * what its clock has passed, so that a clock that runs ahead would let too much through. What forecasts and is shown
 * goes by the time that it must be there by now.
 */
export class SharedQuota {
  readonly #truth: Folded;
  readonly #view: Folded;
  readonly #open = new Map<number, OpenCall>();
  readonly #clock: Clock;
  #lastSeq = 0;
  #throttledAt = 0;
  #truthMs = 0;
  #viewMs: number | undefined;
  #anchor = { databaseMs: 0, localMs: 0 };

  constructor(limits: PacerLimits, clock: Clock) {
    this.#clock = clock;
    this.#truth = new Folded(new Quota(limits, { nowMs: () => this.#truthMs }));
    this.#view = new Folded(new Quota(limits, { nowMs: () => this.#viewMs ?? this.presentMs }));
  }

  /** Decides; to be asked while the gate is held. */
  get truth(): Quota {
    return this.#truth.quota;
  }

  /** For forecasts, headers and metrics. */
  get view(): Quota {
    return this.#view.quota;
  }

  /** The number of the latest event in it; 0 when there is none. */
  get lastSeq(): number {
    return this.#lastSeq;
  }

  /** The number of the latest throttle answer in it: it moves all deadlines. */
  get throttledAt(): number {
    return this.#throttledAt;
  }

  /** Calls that have not ended, by number. */
  get open(): ReadonlyMap<number, OpenCall> {
    return this.#open;
  }

  /** What the database's clock must show by now. */
  get presentMs(): number {
    const { databaseMs, localMs } = this.#anchor;
    return databaseMs + this.#clock.nowMs() - localMs;
  }

  /** Forecasts for many as of one moment: one forecast then serves them all. */
  forecast<T>(work: (view: Quota, presentMs: number) => T): T {
    const { presentMs } = this;
    this.#viewMs = presentMs;
    try {
      return work(this.view, presentMs);
    } finally {
      this.#viewMs = undefined;
    }
  }

  /** The database's clock shows this, or did a moment ago. */
  observe(databaseMs: number): void {
    this.#anchor = { databaseMs, localMs: this.#clock.nowMs() };
  }

  /** It is this late, while the gate is held. */
  hold(nowMs: number): void {
    this.#truthMs = Math.max(this.#truthMs, nowMs);
    this.observe(nowMs);
  }

  /** All events up to that one are in it, those that nobody needs any more left out. */
  reached(seq: number): void {
    this.#lastSeq = Math.max(this.#lastSeq, seq);
  }

  /** Takes in the next event of the log; one that is there already changes nothing. */
  fold(event: QuotaEvent): void {
    if (event.seq <= this.#lastSeq) return;
    this.#lastSeq = event.seq;
    if (event.kind === 'throttled') this.#throttledAt = event.seq;
    if (event.kind === 'write' || event.kind === 'call') {
      this.#open.set(event.seq, { kind: event.kind, replica: event.replica, caller: event.caller });
    } else this.#open.delete(event.call);
    this.#truthMs = Math.max(this.#truthMs, event.atMs);
    this.#truth.fold(event);
    this.#viewMs = event.atMs;
    this.#view.fold(event);
    this.#viewMs = undefined;
  }
}

/** A quota, and the slots of the calls that have not ended. */
class Folded {
  readonly #slots = new Map<number, Slot>();

  constructor(readonly quota: Quota) {}

  fold({ seq, kind, call, caller, retryAfterMs }: QuotaEvent): void {
    if (kind === 'write' || kind === 'call') {
      if (caller !== undefined) this.quota.see(caller);
      this.#slots.set(
        seq,
        this.quota.begin(kind, caller, () => undefined),
      );
      return;
    }
    this.#slots.get(call)?.end(kind === 'throttled' ? { kind, retryAfterMs } : { kind });
    this.#slots.delete(call);
  }
}
