import type { QuotaWindow } from '../../src/config/windows.js';
import type { CallEnd } from '../../src/nexudus/pacer.js';
import type { VirtualClock } from './virtual-clock.js';

/** How the upstream counts: over the last period, or from one mark of its clock to the next. */
export type WindowShape =
  { readonly kind: 'sliding' } | { readonly kind: 'fixed'; readonly offsetMs: number };

export interface UpstreamWindow extends QuotaWindow {
  readonly on: 'write' | 'call';
  readonly shape: WindowShape;
}

/** Plain data, so that a failing case can be read. */
export interface UpstreamModel {
  readonly seed: number;
  readonly windows: readonly UpstreamWindow[];
  /** An answer takes from the first to the second; a share of them takes `spikeMs` longer. */
  readonly latencyMs: readonly [least: number, most: number];
  readonly spikeMs: number;
  /** In a hundred. */
  readonly spikes: number;
  readonly lost: number;
  readonly unconnected: number;
  /** The upstream's clock runs by this share slower (or faster, below 0) than ours. */
  readonly drift: number;
  /** What a throttle answer says; `undefined` when it says nothing. */
  readonly retryAfterMs: number | undefined;
  /** Somebody else on the same account: calls at random moments, so many a minute in the mean. */
  readonly foreign: readonly {
    readonly fromMs: number;
    readonly untilMs: number;
    readonly perMinute: number;
  }[];
}

export interface UpstreamCall {
  readonly id: string;
  readonly sentAtMs: number;
  readonly arrivedAtMs: number;
  readonly throttled: boolean;
}

/** Client's `NEXUDUS_ATTEMPT_TIMEOUT_MS`, and how much later a call may still get through. */
const ATTEMPT_TIMEOUT_MS = 10_000;
const LATE_MS = 1_000;
const CONNECT_FAILURE_MS = 5;

/** An upstream that counts at a random moment between send and answer, and remembers every call too many. */
export class SimulatedUpstream {
  readonly calls: UpstreamCall[] = [];
  foreignCalls = 0;
  readonly #clock: VirtualClock;
  readonly #model: UpstreamModel;
  readonly #counters: readonly { readonly on: 'write' | 'call'; readonly count: (atMs: number) => boolean }[];

  constructor(model: UpstreamModel, clock: VirtualClock) {
    this.#model = model;
    this.#clock = clock;
    this.#counters = model.windows.map((window) => ({ on: window.on, count: counterOf(window) }));
    for (const [index, { fromMs, untilMs, perMinute }] of model.foreign.entries()) {
      this.#playForeign(`foreign ${index}`, fromMs, untilMs, perMinute, 0);
    }
  }

  get throttled(): readonly UpstreamCall[] {
    return this.calls.filter(({ throttled }) => throttled);
  }

  /** The fate of a call hangs on its id and the seed alone, so that a changed story changes nothing else. */
  send(on: 'write' | 'call', id: string, ended: (end: CallEnd) => void): void {
    const { latencyMs, spikeMs, spikes, lost, unconnected, retryAfterMs } = this.#model;
    const sentAtMs = this.#clock.nowMs();
    const chance = (what: string): number => this.#chance(`${id} ${what}`);
    if (chance('unconnected') * 100 < unconnected) {
      this.#clock.at(sentAtMs + CONNECT_FAILURE_MS, () => {
        ended({ kind: 'not-sent' });
      });
      return;
    }
    const [least, most] = latencyMs;
    const spike = chance('spike') * 100 < spikes ? spikeMs : 0;
    const isLost = chance('lost') * 100 < lost;
    const tookMs = isLost ? ATTEMPT_TIMEOUT_MS : least + chance('latency') * (most - least) + spike;
    const reachMs = isLost ? ATTEMPT_TIMEOUT_MS + LATE_MS : tookMs;
    const arrivesAtMs = sentAtMs + edgy(chance('way')) * reachMs;
    let end: CallEnd = { kind: 'unanswered' };
    this.#clock.at(arrivesAtMs, () => {
      const throttled = this.#arrive(on);
      this.calls.push({ id, sentAtMs, arrivedAtMs: arrivesAtMs, throttled });
      if (!isLost) end = throttled ? { kind: 'throttled', retryAfterMs } : { kind: 'answered' };
    });
    this.#clock.at(sentAtMs + tookMs, () => {
      ended(end);
    });
  }

  #arrive(on: 'write' | 'call'): boolean {
    // Its clock reads whole milliseconds.
    const atMs = Math.floor(this.#clock.nowMs() * (1 - this.#model.drift));
    // No shortcut: a refused call counts in every window.
    return this.#counters
      .filter((counter) => counter.on === 'call' || on === 'write')
      .map(({ count }) => count(atMs))
      .includes(true);
  }

  #playForeign(name: string, fromMs: number, untilMs: number, perMinute: number, index: number): void {
    const gapMs = (-Math.log(1 - this.#chance(`${name} ${index}`)) * 60_000) / perMinute;
    if (fromMs + gapMs > untilMs) return;
    this.#clock.at(fromMs + gapMs, () => {
      this.foreignCalls += 1;
      this.#arrive('write');
      this.#playForeign(name, fromMs + gapMs, untilMs, perMinute, index + 1);
    });
  }

  #chance(what: string): number {
    return chanceOf(`${this.#model.seed} ${what}`);
  }
}

/** From 0 up to but not 1, always the same for the same words (FNV-1a, and the last steps of MurmurHash 3). */
export function chanceOf(words: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < words.length; index += 1) {
    hash = Math.imul(hash ^ words.charCodeAt(index), 0x01000193);
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return ((hash ^ (hash >>> 16)) >>> 0) / 2 ** 32;
}

/** The worst cases are at the ends: the one arrives as it is sent, the next as it is answered. */
function edgy(chance: number): number {
  if (chance < 0.25) return 0;
  return chance < 0.5 ? 1 : (chance - 0.5) * 2;
}

/** Counts a call, and says whether it was one too many. */
function counterOf({ limit, periodMs, shape }: UpstreamWindow): (atMs: number) => boolean {
  if (shape.kind === 'sliding') {
    const times: number[] = [];
    let first = 0;
    return (atMs) => {
      times.push(atMs);
      while ((times[first] ?? Infinity) <= atMs - periodMs) first += 1;
      return times.length - first > limit;
    };
  }
  let bucket = -Infinity;
  let count = 0;
  return (atMs) => {
    const present = Math.floor((atMs + shape.offsetMs) / periodMs);
    if (present !== bucket) count = 0;
    bucket = present;
    count += 1;
    return count > limit;
  };
}
