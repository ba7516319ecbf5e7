import { randomUUID } from 'node:crypto';
import type { Clock } from '../clock/clock.js';
import { inTime, type WhenLate } from '../clock/in-time.js';
import { DatabaseUnavailable } from '../database/database.errors.js';
import type { Queries } from '../database/database.js';
import {
  type Claim,
  IdempotencyStore,
  type KeptAnswer,
  type Lease,
  type WorkRecord,
} from '../idempotency/idempotency.store.js';
import type { Background } from './background.js';
import { Hold } from './hold.js';
import { FIRST_FENCE, isFree, type KeyRow, type Ledger } from './ledger.js';
import { withPersonal } from './stored-answer.js';
import type { UnknownDeliveries } from './unknown.deliveries.js';

/** Who waits for an answer does not wait for our books: they are closed behind its back. */
const PATIENCE_MS = 1_000;

/** Keeps keys in the ledger, for all replicas: a key that was claimed is a delivery that somebody waits for. */
export class PgIdempotencyStore extends IdempotencyStore {
  constructor(
    private readonly ledger: Ledger,
    private readonly unknown: Pick<UnknownDeliveries, 'learn'>,
    private readonly background: Background,
    private readonly clock: Clock,
  ) {
    super();
  }

  override async claim(
    scope: string,
    fingerprint: string,
    leaseMs: number,
    record?: WorkRecord,
    whenLate?: WhenLate,
  ): Promise<Claim> {
    const claim = this.#claim(scope, fingerprint, leaseMs, record);
    if (whenLate === undefined) return claim;
    return inTime(claim, whenLate, () => {
      const letGo = (made: Claim): void => {
        if (made.kind === 'claimed') this.#letGo(holdOf(made.lease));
      };
      claim.then(letGo, () => undefined);
      return new DatabaseUnavailable(false);
    });
  }

  async #claim(
    scope: string,
    fingerprint: string,
    leaseMs: number,
    record: WorkRecord | undefined,
  ): Promise<Claim> {
    const { ledger } = this;
    const id = randomUUID();
    const sinceMs = this.clock.nowMs();
    let taken: { id: string; fence: number } = { id, fence: FIRST_FENCE };
    const claimed = (row: Pick<KeyRow, 'id' | 'mode' | 'was_sent'>, fence: number): Claim => {
      taken = { id: row.id, fence };
      return {
        kind: 'claimed',
        takenOver: fence > FIRST_FENCE,
        lease: {
          scope,
          token: fence,
          journal: ledger.hold({
            id: row.id,
            mode: row.mode,
            fence,
            leaseMs,
            sinceMs,
            wasSent: row.was_sent,
            personal: record?.personal,
          }),
        },
      };
    };
    const entry = { id, mode: 'sync', key: { scope, fingerprint }, record, leaseMs } as const;
    const begin = async (queries: Queries): Promise<Claim | undefined> =>
      (await ledger.insert(queries, entry)) && claimed({ id, mode: 'sync', was_sent: false }, FIRST_FENCE);
    try {
      const begun = await begin(ledger.database);
      if (begun !== undefined) return begun;
      // A lock is for whoever changes something: a replay, and one that comes too early, only look.
      const standing = await ledger.findKey(ledger.database, scope);
      const known = standing && this.#known(standing, fingerprint, record);
      if (known !== undefined) return known;
      return await ledger.database.transaction(async (queries) => {
        for (;;) {
          const row = await ledger.lockKey(queries, scope);
          if (row !== undefined && !isFree(row)) {
            const now = this.#known(row, fingerprint, record);
            return now ?? claimed(row, await ledger.takeOver(queries, row, leaseMs));
          }
          if (row !== undefined) await ledger.freeKey(queries, row);
          const again = await begin(queries);
          if (again !== undefined) return again;
        }
      });
    } catch (error) {
      if (error instanceof DatabaseUnavailable && error.mayHaveCommitted) this.#letGo(taken);
      throw error;
    }
  }

  /** Its caller is told that nothing was sent: nobody is to wait for the end of a lease that nobody uses. */
  #letGo(taken: { readonly id: string; readonly fence: number }): void {
    void this.background.untilDone(() => this.ledger.letGo(taken));
  }

  override async renew(lease: Lease, leaseMs: number): Promise<boolean> {
    return holdOf(lease).renew(leaseMs);
  }

  override async settle(lease: Lease, answer: KeptAnswer, certainty: 'final' | 'unknown'): Promise<boolean> {
    const state = certainty === 'unknown' ? 'unknown' : answer.outcome === 'done' ? 'done' : 'rejected';
    const hold = holdOf(lease);
    const settlement = { state, answer } as const;
    const settled = async (): Promise<boolean> =>
      (await this.ledger.settle(hold, settlement)) || (await this.unknown.learn(hold, settlement));
    return (await this.#behind(settled)) ?? true;
  }

  override async release(lease: Lease): Promise<void> {
    await this.#behind(() => this.ledger.release(holdOf(lease)));
  }

  /** `undefined` where that is not done yet. */
  async #behind<T>(work: () => Promise<T>): Promise<T | undefined> {
    const patience = this.clock.sleep(PATIENCE_MS).then(() => undefined);
    return Promise.race([this.background.untilDone(work), patience]);
  }

  /** What a key is answered as long as it is not free; `undefined` where it is, or can be taken over. */
  #known(row: KeyRow, fingerprint: string, record: WorkRecord | undefined): Claim | undefined {
    if (isFree(row)) return undefined;
    const { id, mode, state, answer, is_held: isHeld } = row;
    if (!this.ledger.isSameBody(row, fingerprint)) return { kind: 'reused' };
    if (answer !== null) {
      return {
        kind: 'settled',
        answer: withPersonal(this.ledger.openAnswer(id, answer), record?.personal.value),
      };
    }
    return isHeld || (mode === 'async' && state !== 'unknown') ? { kind: 'running' } : undefined;
  }
}

function holdOf({ journal }: Lease): Hold {
  if (journal instanceof Hold) return journal;
  throw new Error('the lease is one of another store');
}
