import { LRUCache } from 'lru-cache';
import type { Clock } from '../clock/clock.js';
import { type Claim, IdempotencyStore, type KeptAnswer, type Lease } from './idempotency.store.js';

/** How much a store may keep. */
export interface MemoryBounds {
  readonly ttlMs: number;
  /** Keys that run or are unknown, which are never forgotten to make room. */
  readonly heldKeys: number;
  /** Of final answers, with their scopes. */
  readonly answerBytes: number;
}

interface Held {
  readonly fingerprint: string;
  readonly token: number;
  /** Where it is not there, the write runs. */
  readonly answer: KeptAnswer | undefined;
  /** When the lease ends, or an unknown answer's time to live; on the clock's monotonic scale. */
  endsAtMs: number;
}

interface Settled {
  readonly fingerprint: string;
  readonly answer: KeptAnswer;
}

/** What an entry takes beside its texts. */
const ENTRY_BYTES = 512;
/** What runs may end at any moment. */
const TRY_AGAIN_MS = 1_000;

/** Keeps keys in the memory of this process: bounded, gone with it. */
export class MemoryIdempotencyStore extends IdempotencyStore {
  readonly #held = new Map<string, Held>();
  readonly #settled: LRUCache<string, Settled>;
  #token = 0;
  /** No unknown answer's time is over before. */
  #nextEndAtMs = 0;

  constructor(
    private readonly bounds: MemoryBounds,
    private readonly clock: Clock,
  ) {
    super();
    this.#settled = new LRUCache({
      ttl: bounds.ttlMs,
      ttlResolution: 0,
      perf: { now: () => clock.nowMs() },
      maxSize: bounds.answerBytes,
      sizeCalculation: ({ answer }, scope) => ENTRY_BYTES + 2 * (scope.length + answer.body.length),
    });
  }

  override async claim(scope: string, fingerprint: string, leaseMs: number): Promise<Claim> {
    const nowMs = this.clock.nowMs();
    const held = this.#held.get(scope);
    const isOver = held !== undefined && held.endsAtMs <= nowMs;
    // An unknown answer whose time is over is forgotten; a lease that ended without an answer is not.
    const known = held?.answer && isOver ? undefined : (held ?? this.#settled.get(scope));
    if (known === undefined) {
      if (!this.#hasRoom(nowMs)) return { kind: 'full', retryAfterMs: TRY_AGAIN_MS };
    } else {
      if (known.fingerprint !== fingerprint) return { kind: 'reused' };
      if (known.answer !== undefined) return { kind: 'settled', answer: known.answer };
      if (!isOver) return { kind: 'running' };
    }
    const token = (this.#token += 1);
    this.#held.set(scope, { fingerprint, token, answer: undefined, endsAtMs: nowMs + leaseMs });
    return { kind: 'claimed', lease: { scope, token }, takenOver: known !== undefined };
  }

  override async renew(lease: Lease, leaseMs: number): Promise<boolean> {
    const held = this.#of(lease);
    if (held !== undefined) held.endsAtMs = this.clock.nowMs() + leaseMs;
    return held !== undefined;
  }

  override async settle(lease: Lease, answer: KeptAnswer, certainty: 'final' | 'unknown'): Promise<boolean> {
    const held = this.#of(lease);
    if (held === undefined) return false;
    const { fingerprint, token } = held;
    if (certainty === 'unknown') {
      const endsAtMs = this.clock.nowMs() + this.bounds.ttlMs;
      this.#held.set(lease.scope, { fingerprint, token, answer, endsAtMs });
    } else {
      this.#held.delete(lease.scope);
      this.#settled.set(lease.scope, { fingerprint, answer });
    }
    return true;
  }

  override async release(lease: Lease): Promise<void> {
    if (this.#of(lease) !== undefined) this.#held.delete(lease.scope);
  }

  /** What a lease holds, unless somebody took it over or it is settled. */
  #of({ scope, token }: Lease): Held | undefined {
    const held = this.#held.get(scope);
    return held?.token === token && held.answer === undefined ? held : undefined;
  }

  /** Looks through all of them only when the time of one is over. */
  #hasRoom(nowMs: number): boolean {
    if (this.#held.size < this.bounds.heldKeys) return true;
    if (nowMs < this.#nextEndAtMs) return false;
    // Whatever becomes unknown from now on is kept at least as long.
    this.#nextEndAtMs = nowMs + this.bounds.ttlMs;
    for (const [scope, { answer, endsAtMs }] of this.#held) {
      if (answer === undefined) continue;
      if (endsAtMs <= nowMs) this.#held.delete(scope);
      else this.#nextEndAtMs = Math.min(this.#nextEndAtMs, endsAtMs);
    }
    return this.#held.size < this.bounds.heldKeys;
  }
}
