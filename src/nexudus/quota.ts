import type { Clock } from '../clock/clock.js';
import type { QuotaWindow } from '../config/windows.js';
import { DayReserve } from './day-reserve.js';
import { SlotForecast } from './slot-forecast.js';
import { WindowCounter } from './window-counter.js';

/** What the pacer keeps to. */
export interface PacerLimits {
  /** On writes alone. */
  readonly write: readonly QuotaWindow[];
  /** On every call: writes, reads, and those for the token. */
  readonly call: readonly QuotaWindow[];
  /** The share of a day's writes that is kept for callers that have used little of them, 0 to 1. */
  readonly reserveShare: number;
}

/** How a call ended, as far as the quota is concerned. */
export type CallEnd =
  | { readonly kind: 'answered' }
  /** 409 or 429: it counts, since the upstream counts refused attempts, too. */
  | { readonly kind: 'throttled'; readonly retryAfterMs: number | undefined }
  /** Bytes left and no answer came: it may still be counted, a little later. */
  | { readonly kind: 'unanswered' }
  /** No byte left: the upstream never saw it. */
  | { readonly kind: 'not-sent' };

/** The right to make one call now. Must be ended, once. */
export interface Slot {
  /** False where it is one of a quota that is shared, and the others may take it for given up by now. */
  readonly isHeld?: boolean;
  end(end: CallEnd): void;
}

/** What an operator wants to see of one window. */
export interface WindowState {
  readonly kind: 'write' | 'call';
  readonly window: QuotaWindow;
  readonly assumedLimit: number;
  readonly used: number;
  /** Of those that we take for ours. */
  readonly remaining: number;
  /** Until there is room for one more than now; 0 when nothing counts. */
  readonly resetMs: number;
}

/** How much later the upstream may still count a call that was given up. */
const LATE_MS = 1_000;
/** A guess for the first call; then the slowest of late, forgotten by and by. */
const FIRST_LATENCY_MS = 100;
const LATENCY_DECAY = 0.05;
/** Of the newest call in what is usual: one slow answer among quick ones is forgotten after a few. */
const USUAL_WEIGHT = 0.3;
/** Where the upstream does not say how long to wait, or it was not enough: a guess that doubles. */
const GUESSED_PAUSE_MS = 1_000;
const LONGEST_GUESS_MS = 60_000;
const TAKEN_AT_ITS_WORD = 3;
/** A `Retry-After` of 0, or a date that is past, must not become a storm. */
const SHORTEST_PAUSE_MS = 100;

/** Writes count in all windows, other calls in those on calls alone. */
export type CallKind = 'write' | 'call';

/** Whose turn it is to wait, and behind how many. */
export interface Position {
  readonly caller: string;
  /** Writes that go before. */
  readonly ahead: number;
  /** How many of them are the caller's own. */
  readonly ownAhead: number;
  /** Calls that are not writes, and go before all of these. */
  readonly calls: number;
}

/**
 * What may be sent now, and when more may be: all windows together, the pause after a throttle answer, and what is
 * kept back of a day. Knows calls, not who waits for them.
 */
export class Quota {
  readonly #clock: Pick<Clock, 'nowMs'>;
  readonly #windows: Readonly<Record<CallKind, readonly WindowCounter[]>>;
  readonly #writeWindows: ReadonlySet<WindowCounter>;
  readonly #reserve: DayReserve;
  readonly #forecast: SlotForecast;
  #pausedUntilMs = -Infinity;
  /** Throttles in a row; one probe at a time until a call is answered again. */
  #throttles = 0;
  #throttledAtMs = -Infinity;
  #underWay = 0;
  #latencyMs = FIRST_LATENCY_MS;
  #usualLatencyMs: number | undefined;

  constructor({ write, call, reserveShare }: PacerLimits, clock: Pick<Clock, 'nowMs'>) {
    this.#clock = clock;
    const counterOf = (window: QuotaWindow): WindowCounter => new WindowCounter(window);
    const [writeWindows, callWindows] = [write.map(counterOf), call.map(counterOf)];
    this.#windows = { write: [...writeWindows, ...callWindows], call: callWindows };
    this.#writeWindows = new Set(writeWindows);
    this.#reserve = new DayReserve(writeWindows, reserveShare);
    this.#forecast = new SlotForecast(callWindows, writeWindows);
  }

  /** How long a call may count after its end, in the longest of the windows. */
  get longestHoldMs(): number {
    return Math.max(0, ...this.#windows.write.map(({ holdMs }) => holdMs)) + LATE_MS;
  }

  /** How long a call takes as a rule: of those that wait for each other's end, slow ones and quick ones even out. */
  get usualLatencyMs(): number {
    return this.#usualLatencyMs ?? this.#latencyMs;
  }

  get pausedForMs(): number {
    return Math.max(0, this.#pausedUntilMs - this.#clock.nowMs());
  }

  states(kind: 'write' | 'all' = 'all'): WindowState[] {
    const nowMs = this.#clock.nowMs();
    this.#growBack(nowMs);
    const counters = kind === 'write' ? [...this.#writeWindows] : this.#windows.write;
    return counters.map((counter) => {
      const { limit, periodMs, assumedLimit } = counter;
      const used = counter.used(nowMs);
      const nextMs = counter.nextReleaseAtMs(nowMs) ?? nowMs + this.#latencyMs + counter.holdMs;
      return {
        kind: this.#writeWindows.has(counter) ? 'write' : 'call',
        window: { limit, periodMs },
        assumedLimit,
        used,
        remaining: Math.max(0, assumedLimit - used),
        resetMs: used === 0 ? 0 : nextMs - nowMs,
      };
    });
  }

  /** A caller that is there may want a part of the day. */
  see(caller: string): void {
    this.#reserve.see(caller, this.#clock.nowMs());
  }

  /** Whether one may be sent at this moment, the present. */
  allows(kind: CallKind, nowMs: number): boolean {
    this.#growBack(nowMs);
    if (nowMs < this.#pausedUntilMs || (this.#throttles > 0 && this.#underWay > 0)) return false;
    return this.#windows[kind].every((window) => window.room(nowMs) > 0);
  }

  /** Whether a caller may have one of the slots that are left: the last of a day are for those who used little. */
  allowsCaller(caller: string): boolean {
    return this.#reserve.allows(caller, this.#clock.nowMs());
  }

  /**
   * Counts a call that is sent now.
   *
   * @param ended called back when it has ended: whether the others must expect to wait longer for it
   */
  begin(kind: CallKind, caller: string | undefined, ended: (isWorse: boolean) => void): Slot {
    const begunAtMs = this.#clock.nowMs();
    const windows = this.#windows[kind];
    const ownerIn = (window: WindowCounter): string | undefined =>
      this.#reserve.isOn(window) ? caller : undefined;
    for (const window of windows) window.begin(begunAtMs, ownerIn(window));
    this.#underWay += 1;
    this.#forecast.invalidate();
    let isOver = false;
    return {
      end: (end) => {
        if (isOver) return;
        isOver = true;
        const nowMs = this.#clock.nowMs();
        const counts = end.kind !== 'not-sent';
        const lateMs = end.kind === 'unanswered' ? LATE_MS : 0;
        this.#underWay -= 1;
        for (const window of windows) window.end(nowMs, begunAtMs, counts, lateMs, ownerIn(window));
        this.#forecast.invalidate();
        ended(this.#learn(end, begunAtMs, nowMs));
      },
    };
  }

  /** When a write in this position can be expected to be sent. */
  writeAtMs({ caller, ahead, ownAhead, calls }: Position): number {
    const nowMs = this.#clock.nowMs();
    this.#growBack(nowMs);
    const slotAtMs = this.#forecast.slotAtMs(ahead, {
      nowMs,
      pausedUntilMs: this.#pausedUntilMs,
      latencyMs: this.#latencyMs,
      calls,
      probe: this.#throttles === 0 ? 'none' : this.#underWay > 0 ? 'under-way' : 'next',
    });
    return Math.max(slotAtMs, this.#reserve.roomAtMs(caller, ahead, ownAhead, nowMs, this.#latencyMs));
  }

  /** When another call, behind so many, can be expected to be sent. */
  callAtMs(ahead: number): number {
    const nowMs = this.#clock.nowMs();
    const roomAtMs = this.#windows.call.map((window) => window.roomAtMs(ahead, nowMs, this.#latencyMs));
    return Math.max(nowMs, this.#pausedUntilMs, ...roomAtMs);
  }

  /**
   * When to look again whether one may be sent; Infinity where it takes the end of a call.
   *
   * @param nowMs the very moment at which one was not allowed: a clock that is read anew has gone on, and what held
   * it up then may be over without anybody being told
   */
  nextChangeAtMs(kind: CallKind, nowMs: number): number {
    if (this.#pausedUntilMs > nowMs) return this.#pausedUntilMs;
    const next = (window: WindowCounter): number => window.nextRoomAtMs(nowMs) ?? Infinity;
    const full = this.#windows[kind].filter((window) => window.room(nowMs) === 0);
    if (full.length > 0) return Math.max(...full.map(next));
    return Math.min(...this.#reserve.windows.map(next));
  }

  /** Says whether the others must expect to wait longer. */
  #learn(end: CallEnd, begunAtMs: number, nowMs: number): boolean {
    if (end.kind === 'throttled') {
      this.#throttled(end.retryAfterMs, begunAtMs, nowMs);
      return true;
    }
    if (end.kind !== 'answered') return false;
    // The answer to a call from before the throttle says nothing about what came after.
    if (begunAtMs >= this.#throttledAtMs) this.#throttles = 0;
    const formerMs = this.#latencyMs;
    const tookMs = nowMs - begunAtMs;
    const usualMs = this.#usualLatencyMs ?? tookMs;
    this.#usualLatencyMs = usualMs + USUAL_WEIGHT * (tookMs - usualMs);
    this.#latencyMs = Math.max(tookMs, formerMs + LATENCY_DECAY * (tookMs - formerMs));
    return this.#latencyMs > formerMs;
  }

  /** The pause holds everybody, and only ever moves forward. */
  #throttled(retryAfterMs: number | undefined, begunAtMs: number, nowMs: number): void {
    // Answers to calls that were under way together say the same thing once.
    if (begunAtMs >= this.#throttledAtMs) {
      this.#throttles += 1;
      this.#throttledAtMs = nowMs;
      const share = (window: WindowCounter): number => window.used(nowMs) / window.assumedLimit;
      const [fullest] = this.#windows.write
        .filter(({ limit }) => limit > 1)
        .sort((a, b) => share(b) - share(a));
      fullest?.shrink(nowMs);
    }
    const guessMs = guessedPauseMs(this.#throttles);
    // Nexudus says one second, always: it is taken at its word three times, then more is tried.
    const leastMs =
      this.#throttles > TAKEN_AT_ITS_WORD
        ? guessedPauseMs(this.#throttles - TAKEN_AT_ITS_WORD + 1)
        : SHORTEST_PAUSE_MS;
    this.#pausedUntilMs = Math.max(this.#pausedUntilMs, nowMs + Math.max(retryAfterMs ?? guessMs, leastMs));
  }

  #growBack(nowMs: number): void {
    for (const window of this.#windows.write) if (window.growBack(nowMs)) this.#forecast.invalidate();
  }
}

function guessedPauseMs(throttles: number): number {
  return Math.min(LONGEST_GUESS_MS, GUESSED_PAUSE_MS * 2 ** Math.min(throttles - 1, 6));
}
