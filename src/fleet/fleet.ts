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

/** A few times in the length of a lease. */
const RENEW_EVERY_MS = 3_000;
/** Longer than the pause after a throttle may last, where there are no windows. */
const KEEP_SLACK_MS = 120_000;
/** In one bite: nobody must wait for it. */
const PRUNE_CALLS = 500;

/** This process among the replicas: alive, in line, and tidy. */
export class Fleet {
  readonly line: SharedLine;
  readonly #replica: Replica;
  #cancelTick: (() => void) | undefined;
  #isStopped = false;

  constructor(
    limits: PacerLimits,
    private readonly database: Database,
    announcements: Announcements,
    private readonly clock: Clock,
    private readonly log: AppLogger,
  ) {
    const keepsMs = new Quota(limits, clock).longestHoldMs + KEEP_SLACK_MS;
    this.#replica = new Replica(database, clock, keepsMs);
    this.line = new SharedLine(limits, database, announcements, this.#replica, clock, log);
  }

  /** Resolves also when the database is not there yet. */
  async start(): Promise<void> {
    await this.#tick();
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#cancelTick?.();
    await this.line.stop();
  }

  async #tick(): Promise<void> {
    try {
      await this.#live();
    } catch (error) {
      if (!(error instanceof DatabaseUnavailable))
        this.log.error({ err: error }, 'The lease could not be renewed');
    }
    if (this.#isStopped) return;
    this.#cancelTick = this.clock.after(RENEW_EVERY_MS, () => void this.#tick());
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
    if (others?.gone) await this.line.reap();
    await this.#prune();
  }

  /** What no window of any replica can count any more. Only whole calls: one that has not ended still counts. */
  async #prune(): Promise<void> {
    await this.database.query(
      `with over as (select seq, call from bff.quota_event
          where call <> seq and at_ms < ${PRESENT_MS} - (select coalesce(max(keeps_ms), $1) from bff.replica)
          order by seq limit ${PRUNE_CALLS})
        delete from bff.quota_event
          where seq in (select seq from over union all select call from over)`,
      [KEEP_SLACK_MS],
    );
  }
}
