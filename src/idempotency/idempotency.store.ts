import type { WhenLate } from '../clock/in-time.js';

/** An answer as it was given, so that it can be given again byte for byte. */
export interface KeptAnswer {
  readonly status: number;
  readonly contentType: string;
  readonly location: string | undefined;
  readonly body: string;
  /** What became of the message, for the log of a replay. */
  readonly outcome: string;
  /** The slug, where it is a problem. */
  readonly problem: string | undefined;
}

/** What a store that outlives its process writes down of the work beside its key. */
export interface WorkRecord {
  /** Its name among all others. */
  readonly caller: string;
  readonly operation: 'create' | 'replace';
  /** Of the message that is replaced. */
  readonly messageId: number | undefined;
  /** Work of one session is done in order. */
  readonly session: string | undefined;
  /** What of the answer is personal, and not kept in it: whoever repeats the request brings it along. */
  readonly personal: { readonly member: string; readonly value: string };
  /** All that it takes to do the work later, or to find out whether it was done. For whoever does it; kept encrypted. */
  readonly content: string;
}

/** Where each step of the work is written down before it is taken. */
export interface WorkJournal {
  /** Names the work among all others. */
  readonly id: string;
  /**
   * Before each attempt: from now on the outcome is unknown.
   *
   * @throws when it cannot be written, or somebody else has taken the work over: it must not be done then
   */
  sending(attempt: number): Promise<void>;
  /** After an attempt that provably did nothing, where another may follow. */
  notSent(): Promise<void>;
  /** Whether the work is still this process's to do. */
  readonly isHeld: boolean;
}

/** The right to run what a key stands for. Whoever holds it settles or releases it. */
export interface Lease {
  readonly scope: string;
  /** Fencing: a lease that somebody has taken over can no longer change anything. */
  readonly token: number;
  /** Of a store that outlives its process: without it, silence means that the work may have been done. */
  readonly journal?: WorkJournal;
}

/** What a key is found to be. */
export type Claim =
  | {
      readonly kind: 'claimed';
      readonly lease: Lease;
      /** Somebody held it and went silent: its message may have been sent. */
      readonly takenOver: boolean;
    }
  | { readonly kind: 'running' }
  | { readonly kind: 'settled'; readonly answer: KeptAnswer }
  /** It was used with another body. */
  | { readonly kind: 'reused' }
  /** No more keys can be kept; those that are kept are not forgotten for it. */
  | { readonly kind: 'full'; readonly retryAfterMs: number };

/**
 * Remembers what became of keyed requests. A scope is a key with all that it belongs to (caller, method, route, path
 * id), as one text.
 *
 * Its promises, which one contract test asks of every store:
 * - of many claims of one scope, one gets the lease;
 * - a lease that is not renewed ends; the next claim of the same body takes it over, and is told so: never a free key,
 *   save where the store knows that nothing was begun;
 * - an answer is kept for its time to live; one that is final may be forgotten earlier to make room, while what runs
 *   and what is unknown never is.
 */
export abstract class IdempotencyStore {
  /**
   * @param leaseMs how long the lease holds, unless it is renewed
   * @param record for a store that outlives its process
   * @param whenLate for a store that may be slow: a claim that comes later than that is let go
   */
  abstract claim(
    scope: string,
    fingerprint: string,
    leaseMs: number,
    record?: WorkRecord,
    whenLate?: WhenLate,
  ): Promise<Claim>;
  /** False when somebody has taken the lease over. */
  abstract renew(lease: Lease, leaseMs: number): Promise<boolean>;
  /** Keeps the answer for its time to live. False when somebody has taken the lease over: nothing is changed then. */
  abstract settle(lease: Lease, answer: KeptAnswer, certainty: 'final' | 'unknown'): Promise<boolean>;
  /** Frees the key: as if it had never been used. */
  abstract release(lease: Lease): Promise<void>;
}

/** Where another store than this process's own is given: that of all replicas. */
export const SHARED_IDEMPOTENCY_STORE = Symbol('shared idempotency store');
