import { Injectable } from '@nestjs/common';
import { Clock } from '../clock/clock.js';
import type { WhenLate } from '../clock/in-time.js';
import { AppLogger } from '../observability/app-logger.js';
import { Metrics } from '../observability/metrics.js';
import { Problem } from '../problem-details/problem.js';
import {
  IdempotencyStore,
  type Claim,
  type KeptAnswer,
  type Lease,
  type WorkJournal,
  type WorkRecord,
} from './idempotency.store.js';
import { keyInUse, keyReused } from './key.problems.js';

/** A request that carries a key. */
export interface KeyedRequest {
  /** For the log. */
  readonly requestId: string;
  /** The key with all that it belongs to, as one text. */
  readonly scope: string;
  /** The same for the same body. */
  readonly fingerprint: string;
  /**
   * What is to be said of work that somebody else began and left: it may have been done. `undefined` where doing it
   * again does no harm.
   */
  readonly orphaned: (() => Error) | undefined;
  /** Written down by a store that outlives this process. */
  readonly record?: WorkRecord;
  /** When its wait is over. */
  readonly whenLate?: WhenLate;
}

/** What is to be kept of work that failed; `undefined` where nothing is, and the key is free again. */
export type Keep = { readonly answer: KeptAnswer; readonly certainty: 'final' | 'unknown' } | undefined;

const LEASE_MS = 30_000;
const RENEW_EVERY_MS = 10_000;

/** Same key, same answer: work is done once for each key, and its answer is kept. */
@Injectable()
export class Idempotency {
  constructor(
    private readonly store: IdempotencyStore,
    private readonly clock: Clock,
    private readonly log: AppLogger,
    private readonly metrics: Metrics,
  ) {}

  /**
   * Does the work, unless it was done before under the same key: then its answer comes again.
   *
   * @param work rejects with whatever became of it
   * @param keepOf says what to keep of a failure
   * @throws Problem `idempotency-key-in-use`, `idempotency-key-reused`, or `quota-exhausted` when no more keys can be
   *   kept
   * @throws whatever the work does
   */
  async once(
    { requestId, scope, fingerprint, orphaned, record, whenLate }: KeyedRequest,
    work: (journal: WorkJournal | undefined) => Promise<KeptAnswer>,
    keepOf: (failure: unknown) => Keep,
  ): Promise<{ readonly answer: KeptAnswer; readonly replayed: boolean }> {
    const claim = await this.store.claim(scope, fingerprint, LEASE_MS, record, whenLate);
    this.metrics.idempotencyRequests.inc({ result: RESULTS[claim.kind] });
    switch (claim.kind) {
      case 'settled':
        return { answer: claim.answer, replayed: true };
      case 'running':
        throw keyInUse();
      case 'reused':
        throw keyReused();
      case 'full':
        throw new Problem('quota-exhausted', {
          detail: 'No more idempotency keys can be kept at present.',
          retryAfterMs: claim.retryAfterMs,
        });
      case 'claimed':
        break;
    }
    const { lease, takenOver } = claim;
    const stopRenewing = this.#renew(lease, requestId);
    try {
      const begun = takenOver && orphaned ? Promise.reject(orphaned()) : work(lease.journal);
      const answer = await begun.catch(async (failure: unknown) => {
        await this.#settle(lease, keepOf(failure), requestId);
        throw failure;
      });
      await this.#settle(lease, { answer, certainty: 'final' }, requestId);
      return { answer, replayed: false };
    } finally {
      stopRenewing();
    }
  }

  async #settle(lease: Lease, keep: Keep, requestId: string): Promise<void> {
    if (keep === undefined) {
      await this.store.release(lease);
    } else if (!(await this.store.settle(lease, keep.answer, keep.certainty))) {
      this.log.warn(
        { requestId, outcome: keep.answer.outcome },
        'An idempotency key was taken over while its request ran',
      );
    }
  }

  /** For as long as the work takes: only a holder that is gone loses its lease. */
  #renew(lease: Lease, requestId: string): () => void {
    let cancel: () => void = () => undefined;
    const again = (): void => {
      cancel = this.clock.after(RENEW_EVERY_MS, () => {
        again();
        this.store.renew(lease, LEASE_MS).catch((error: unknown) => {
          this.log.warn({ requestId, err: error }, 'The lease of an idempotency key could not be renewed');
        });
      });
    };
    again();
    return () => {
      cancel();
    };
  }
}

const RESULTS = {
  claimed: 'claimed',
  settled: 'replayed',
  running: 'in-use',
  reused: 'reused',
  full: 'refused',
} as const satisfies Record<Claim['kind'], string>;
