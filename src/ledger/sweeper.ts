import type { Clock } from '../clock/clock.js';
import { DatabaseUnavailable } from '../database/database.errors.js';
import type { Queries, Row } from '../database/database.js';
import type { DeliveryLine } from '../nexudus/delivery.line.js';
import type { AppLogger } from '../observability/app-logger.js';
import type { Metrics } from '../observability/metrics.js';
import { DELIVERY_COLUMNS, type Ledger } from './ledger.js';
import type { Orphans } from './orphans.js';
import type { Settlements } from './settlements.js';

const SWEEP_EVERY_MS = 2_000;
/** So that a transaction is short: the rest is for the next time, or for another replica. */
const BITE = 100;
/** More than anybody counts by hand. */
const MOST_COUNTED = 1_000;

/** Does what time brings: expired deliveries, orphans, content and rows that are kept no longer. In each replica. */
export class Sweeper {
  #cancel: () => void = () => undefined;
  #sweeping: Promise<void> = Promise.resolve();
  #stopped = false;

  constructor(
    private readonly ledger: Ledger,
    private readonly orphans: Orphans,
    private readonly line: DeliveryLine,
    private readonly settlements: Settlements,
    private readonly clock: Clock,
    private readonly log: AppLogger,
    private readonly metrics: Metrics,
  ) {}

  start(): void {
    // Not all replicas at the same moment.
    this.#cancel = this.clock.after(SWEEP_EVERY_MS * (0.75 + Math.random() / 2), () => {
      this.#sweeping = this.sweep()
        .catch((error: unknown) => {
          if (error instanceof DatabaseUnavailable) return;
          this.log.error({ err: error }, 'The ledger could not be tidied up');
        })
        .then(() => {
          if (!this.#stopped) this.start();
        });
    });
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#cancel();
    await this.#sweeping;
  }

  /** @throws DatabaseUnavailable */
  async sweep(): Promise<void> {
    const { database } = this.ledger;
    await this.#expire();
    await this.#bury();
    await database.query(
      `update bff.delivery set content = null, content_until = null where id in (
         select id from bff.delivery where content_until <= now() order by content_until limit ${BITE}
         for update skip locked)`,
    );
    await database.query(
      `delete from bff.delivery where id in (
         select id from bff.delivery where keep_until <= now() order by keep_until limit ${BITE}
         for update skip locked)`,
    );
    // A caller that is gone would be counted for ever; one that comes again is counted anew.
    await database.query(
      `delete from bff.backlog where caller in (
         select caller from bff.backlog where waiting = 0 limit ${BITE} for update skip locked)`,
    );
    await this.#count();
  }

  // One that cannot be opened, since its key is gone, must not be in the way of all others.
  async #expire(): Promise<void> {
    await this.#each(
      `mode = 'async' and state = 'accepted' and expires_at <= now()
       and (lease_until is null or lease_until <= now()) order by expires_at`,
      async (queries, row) => {
        const delivery = this.ledger.readWhatOpens(row);
        await this.orphans.expire(queries, delivery);
        await this.line.withdraw(queries, delivery.id);
      },
    );
  }

  async #bury(): Promise<void> {
    await this.#each(
      'owner is not null and lease_until <= now() order by lease_until',
      async (queries, row) => {
        const delivery = this.ledger.readWhatOpens(row);
        const { id, mode, state } = delivery;
        if (state === 'sending') await this.orphans.settle(queries, delivery);
        else if (state === 'accepted' && mode === 'sync') await this.ledger.remove(queries, id);
        else {
          await queries.query(
            'update bff.delivery set owner = null, lease_until = null, fence = fence + 1 where id = $1',
            [id],
          );
        }
      },
    );
  }

  /** One transaction for each, so that nobody waits for more than one. */
  async #each(where: string, work: (queries: Queries, row: Row) => Promise<void>): Promise<void> {
    for (let done = 0; done < BITE; done += 1) {
      const id = await this.ledger.database.transaction(async (queries) => {
        const [row] = await queries.query(
          `select ${DELIVERY_COLUMNS} from bff.delivery where ${where} limit 1 for update skip locked`,
        );
        if (row === undefined) return undefined;
        await work(queries, row);
        return row['id'] as string;
      });
      if (id === undefined) return;
      this.line.changed();
      this.settlements.announce(id);
    }
  }

  async #count(): Promise<void> {
    const { database } = this.ledger;
    const bounded = (state: string): string =>
      `(select count(*) from (select 1 from bff.delivery where ${state} limit ${MOST_COUNTED}) as counted)`;
    const [row] = await database.query<{ waiting: string; sending: string; unknown: string; oldest: string }>(
      `select (select coalesce(sum(waiting), 0) from bff.backlog_total) as waiting,
         ${bounded("owner is not null and mode = 'async' and state = 'sending'")} as sending,
         ${bounded("state = 'unknown'")} as unknown,
         coalesce((select extract(epoch from now() - accepted_at) from bff.delivery
           where mode = 'async' and state = 'accepted' order by expires_at limit 1), 0) as oldest`,
    );
    if (row === undefined) return;
    const { deliveries, deliveryOldestWaitSeconds } = this.metrics;
    deliveries.set({ state: 'accepted' }, Math.max(0, Number(row.waiting) - Number(row.sending)));
    deliveries.set({ state: 'sending' }, Number(row.sending));
    deliveries.set({ state: 'unknown' }, Number(row.unknown));
    deliveryOldestWaitSeconds.set(Number(row.oldest));
  }
}
