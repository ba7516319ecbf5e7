import type { Clock } from '../clock/clock.js';
import type { Database, Queries } from '../database/database.js';
import type { KeptToken, TokenBox, TokenLease, TokenOutcome } from '../nexudus/token.vault.js';
import { LEASE_MS, PgTokenLease } from './pg.token.lease.js';
import type { Fence, TokenRow } from './token.row.js';

/** To ask a database that is away again costs Nexudus nothing. */
const AGAIN_WITHIN_MS = 1_000;

const AWAY: TokenOutcome = {
  kind: 'unavailable',
  detail: 'the database is away',
  againWithinMs: AGAIN_WITHIN_MS,
};

/** What a box tells, and whom. */
export interface BoxEvents {
  /** To the other replicas, when the transaction is committed. */
  announce(queries: Queries): Promise<void>;
  /** To the session: another token may be there. */
  changed(): void;
  /** The database did not do what it was asked for. */
  failed(error: unknown): void;
  closed(): void;
}

/** The token of one set of credentials, kept for all replicas. */
export class PgTokenBox implements TokenBox {
  readonly #waiting = new Set<() => void>();
  #isClosed = false;

  constructor(
    private readonly database: Database,
    private readonly row: TokenRow,
    private readonly clock: Clock,
    private readonly events: BoxEvents,
  ) {}

  async look(): Promise<KeptToken> {
    return (await this.#tried(async () => (await this.row.read(this.database))?.kept)) ?? {};
  }

  async settle(
    known: (kept: KeptToken) => TokenOutcome | undefined,
    ask: (lease: TokenLease) => Promise<TokenOutcome>,
  ): Promise<TokenOutcome> {
    while (!this.#isClosed) {
      const changed = this.#change();
      const found = await this.#tried(() => this.#take(known));
      if (found === undefined) return AWAY;
      if (found === 'leased') await changed;
      else if (!(found instanceof PgTokenLease)) return found;
      else {
        const outcome = await this.#asked(found, ask);
        if (outcome !== undefined) return outcome;
      }
    }
    return { kind: 'unavailable', detail: 'no longer asked for' };
  }

  /** @param isNews whether somebody said that something has changed; or it is only time to look */
  wake(isNews: boolean): void {
    for (const wake of this.#waiting) wake();
    this.#waiting.clear();
    if (isNews) this.events.changed();
  }

  close(): void {
    this.#isClosed = true;
    this.wake(false);
    this.events.closed();
  }

  /** What will do as it is, or the lease; or somebody else has it. */
  async #take(
    known: (kept: KeptToken) => TokenOutcome | undefined,
  ): Promise<TokenOutcome | PgTokenLease | 'leased'> {
    const askedAtMs = this.clock.nowMs();
    const found = await this.database.transaction(async (queries) => {
      const { kept, fence, isLeased, leaseEndsAtMs } = await this.row.lock(queries);
      const outcome = known(kept);
      if (outcome !== undefined) return outcome;
      if (isLeased) return 'leased';
      return { kept, fence: await this.row.lease(queries, fence, LEASE_MS), formerEndedAtMs: leaseEndsAtMs };
    });
    if (found === 'leased' || 'kind' in found) return found;
    const { fence } = found;
    const extend = (): Promise<boolean | undefined> =>
      this.#tried(() => this.row.extend(this.database, fence, LEASE_MS));
    return new PgTokenLease(found, askedAtMs, extend, this.clock);
  }

  /** Asks under the lease. Nothing where it ended meanwhile: what others were told counts then. */
  async #asked(
    lease: PgTokenLease,
    ask: (lease: TokenLease) => Promise<TokenOutcome>,
  ): Promise<TokenOutcome | undefined> {
    let outcome: TokenOutcome = { kind: 'unavailable', detail: 'a fault of ours' };
    let isKept: boolean | undefined;
    try {
      outcome = await ask(lease);
    } finally {
      lease.stopExtending();
      isKept = await this.#kept(lease, outcome);
    }
    if (isKept === undefined) return AWAY;
    return isKept ? outcome : undefined;
  }

  /** Tried as long as the lease lasts: what cannot be stored is lost, and the refresh token that was spent for it. */
  async #kept(lease: PgTokenLease, outcome: TokenOutcome): Promise<boolean | undefined> {
    for (;;) {
      const changed = this.#change();
      const isKept = await this.#tried(() => this.#keep(lease.fence, outcome));
      if (isKept !== undefined || this.#isClosed || !lease.isHeld) return isKept;
      await changed;
    }
  }

  /** Gives the lease back, with what came of it; false when it had ended before. */
  async #keep(fence: Fence, outcome: TokenOutcome): Promise<boolean> {
    return this.database.transaction(async (queries) => {
      const isKept = await this.#write(queries, fence, outcome);
      if (isKept) await this.events.announce(queries);
      return isKept;
    });
  }

  #write(queries: Queries, fence: Fence, outcome: TokenOutcome): Promise<boolean> {
    switch (outcome.kind) {
      case 'issued':
        return this.row.keep(queries, fence, outcome.pair);
      case 'refused':
        return this.row.refuse(queries, fence, outcome.refusal);
      case 'blocked':
      case 'unavailable':
        return this.row.release(queries, fence);
    }
  }

  /** Nothing where the database did not do it. */
  async #tried<T>(work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await work();
    } catch (error) {
      this.events.failed(error);
      return undefined;
    }
  }

  /** Resolves when there may be something new. */
  #change(): Promise<void> {
    return new Promise((resolve) => this.#waiting.add(resolve));
  }
}
