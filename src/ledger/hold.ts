import type { Clock } from '../clock/clock.js';
import { DatabaseUnavailable } from '../database/database.errors.js';
import type { Queries } from '../database/database.js';
import type { WorkJournal, WorkRecord } from '../idempotency/idempotency.store.js';
import { StoreUnavailable } from '../nexudus/nexudus.errors.js';
import type { Delivery } from './delivery.js';

/** What of a row its holder knows. */
export interface Held {
  readonly id: string;
  readonly mode: Delivery['mode'];
  /** Raised by whoever takes the row over: then this holder can change nothing any more. */
  readonly fence: number;
  readonly leaseMs: number;
  /** On the clock's monotonic scale: before the lease was asked for. */
  readonly sinceMs: number;
  /** An earlier holder made an attempt that Nexudus may have run. */
  readonly wasSent: boolean;
  readonly personal: WorkRecord['personal'] | undefined;
}

/** The right to send one write: writes each step down before it is taken. */
export class Hold implements WorkJournal {
  readonly id: string;
  readonly mode: Delivery['mode'];
  readonly fence: number;
  readonly personal: WorkRecord['personal'] | undefined;
  /** Whether an attempt that Nexudus may have run was made before this holder's. */
  readonly wasSent: boolean;
  readonly #leaseMs: number;
  #heldUntilMs: number;

  /** @param changed hears of each change that was written */
  constructor(
    { id, mode, fence, leaseMs, sinceMs, wasSent, personal }: Held,
    private readonly database: Queries,
    private readonly clock: Clock,
    private readonly changed: (id: string) => void = () => undefined,
  ) {
    this.id = id;
    this.mode = mode;
    this.fence = fence;
    this.personal = personal;
    this.wasSent = wasSent;
    this.#leaseMs = leaseMs;
    this.#heldUntilMs = sinceMs + leaseMs;
  }

  /** By the local clock: it goes on while the process is frozen, and was read before the database's. */
  get isHeld(): boolean {
    return this.clock.nowMs() < this.#heldUntilMs;
  }

  /**
   * @throws DatabaseUnavailable nothing may be sent
   * @throws StoreUnavailable somebody has taken it over: nor may it then
   */
  async sending(): Promise<void> {
    const sinceMs = this.clock.nowMs();
    const rows = await this.database.query(
      `update bff.delivery set state = 'sending', attempts = attempts + 1, sent_at = coalesce(sent_at, now()),
         lease_until = now() + $3::float8 * interval '1 millisecond'
       where id = $1 and fence = $2 and owner is not null and state in ('accepted', 'sending') returning id`,
      [this.id, this.fence, this.#leaseMs],
    );
    if (rows.length === 0) throw new StoreUnavailable('taken-over');
    this.#heldUntilMs = sinceMs + this.#leaseMs;
    this.changed(this.id);
  }

  /** Never fails: without it the row says less than is known, and nothing wrong. */
  async notSent(): Promise<void> {
    try {
      await this.database.query(
        `update bff.delivery set state = 'accepted', sent_at = case when $3 then sent_at end
         where id = $1 and fence = $2 and owner is not null and state = 'sending'`,
        [this.id, this.fence, this.wasSent],
      );
      this.changed(this.id);
    } catch (error) {
      if (!(error instanceof DatabaseUnavailable)) throw error;
    }
  }

  /** False when somebody has taken it over. */
  async renew(leaseMs = this.#leaseMs): Promise<boolean> {
    const sinceMs = this.clock.nowMs();
    const rows = await this.database.query(
      `update bff.delivery set lease_until = now() + $3::float8 * interval '1 millisecond'
       where id = $1 and fence = $2 and owner is not null returning id`,
      [this.id, this.fence, leaseMs],
    );
    this.#heldUntilMs = rows.length > 0 ? sinceMs + leaseMs : -Infinity;
    return rows.length > 0;
  }
}
