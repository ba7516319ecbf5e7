import type { Announcements } from '../database/announcements.js';
import type { Clock } from '../clock/clock.js';
import { DatabaseUnavailable } from '../database/database.errors.js';
import type { Database } from '../database/database.js';
import type { PacerLimits } from '../nexudus/pacer.js';
import { Quota } from '../nexudus/quota.js';
import type { AppLogger } from '../observability/app-logger.js';
import { PRESENT_MS } from './gate.js';
import { Replica } from './replica.js';
import { SharedLine } from './shared-line.js';

const LEASE_MS = 10_000;
/** So that one that fails is tried again, twice. */
const RENEWALS_PER_LEASE = 4;
/** Longer than the pause after a throttle may last, where there are no windows. */
const KEEP_SLACK_MS = 120_000;
/** In one bite: nobody must wait for it. */
const PRUNE_EVENTS = 1_000;
const MOST_BITES = 10;

/** This process among the replicas: alive, in line, and tidy. */
export class Fleet {
  readonly line: SharedLine;
  readonly #replica: Replica;
  #cancelTick: (() => void) | undefined;
  /** Since when the lease was renewed each time; `undefined` after a failure. */
  #steadySinceMs: number | undefined;
  #isStopped = false;

  constructor(
    limits: PacerLimits,
    private readonly database: Database,
    announcements: Announcements,
    private readonly clock: Clock,
    private readonly log: AppLogger,
    private readonly leaseMs = LEASE_MS,
  ) {
    const keepsMs = new Quota(limits, clock).longestHoldMs + KEEP_SLACK_MS;
    this.#replica = new Replica(database, clock, leaseMs, keepsMs);
    this.line = new SharedLine(limits, database, announcements, this.#replica, clock, log);
  }

  /** Resolves when it is one of the replicas, or the database is not there yet. */
  async start(): Promise<void> {
    await this.#tick();
    await this.line.settle();
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#cancelTick?.();
    await this.line.stop();
  }

  async #tick(): Promise<void> {
    try {
      await this.#live();
      this.#steadySinceMs ??= this.clock.nowMs();
    } catch (error) {
      this.#steadySinceMs = undefined;
      if (!(error instanceof DatabaseUnavailable))
        this.log.error({ err: error }, 'The lease could not be renewed');
    }
    if (this.#isStopped) return;
    this.#cancelTick = this.clock.after(this.leaseMs / RENEWALS_PER_LEASE, () => void this.#tick());
  }

  async #live(): Promise<void> {
    // Who holds the gate finds that this life is over, and begins another.
    if (!(await this.#replica.renew())) this.line.pump();
    const [others] = await this.database.query<{ some: boolean; gone: boolean }>(
      `select count(*) > 0 as some, coalesce(bool_or(lease_until_ms < ${PRESENT_MS}), false) as gone
        from bff.replica where id <> $1`,
      [this.#replica.id],
    );
    this.line.hasOthers = others?.some === true;
    if (others?.gone && this.#isSteady) await this.line.reap();
    for (let bite = 0; bite < MOST_BITES && (await this.#prune()); bite += 1);
  }

  /** When the database was away from all, the others get the time to renew their leases, too. */
  get #isSteady(): boolean {
    return this.#steadySinceMs !== undefined && this.clock.nowMs() - this.#steadySinceMs >= this.leaseMs / 2;
  }

  /**
   * What no window of any replica can count any more. Only whole calls: one that has not ended still counts.
   *
   * @returns whether there may be more
   */
  async #prune(): Promise<boolean> {
    const rows = await this.database.query(
      `with oldest as (select seq, call, at_ms from bff.quota_event order by seq limit ${PRUNE_EVENTS}),
          over as (select seq, call from oldest where call <> seq
            and at_ms < ${PRESENT_MS} - (select coalesce(max(keeps_ms), $1) from bff.replica))
        delete from bff.quota_event
          where seq in (select seq from over union all select call from over) returning seq`,
      [KEEP_SLACK_MS],
    );
    return rows.length >= PRUNE_EVENTS / 2;
  }
}
