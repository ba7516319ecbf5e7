import type { Queries } from '../database/database.js';
import type { KeptAnswer, WorkRecord } from '../idempotency/idempotency.store.js';
import type { DeliveryLine } from '../nexudus/delivery.line.js';
import type { Metrics } from '../observability/metrics.js';
import type { Delivery, DeliveryState } from './delivery.js';
import type { DeliveryPerformer } from './delivery.performer.js';
import { DELIVERY_COLUMNS, type Ledger } from './ledger.js';

/** In one order whoever locks them, or two would wait for each other. */
const FOLLOWERS = `from bff.delivery where merged_into = $1 and state = 'accepted'
  order by accepted_at, id for update`;

/**
 * Deliveries in whose stead a later one is sent, to save quota: replaces of one message that waited when another
 * replace of it came. They have no place in the line, and end as the later one does, unless that is rejected: then they
 * were not written over, and the last of them is sent after all.
 */
export class Followers {
  constructor(
    private readonly ledger: Ledger,
    private readonly line: DeliveryLine,
    private readonly performer: DeliveryPerformer,
    private readonly metrics: Metrics,
  ) {}

  /** The one that waits whose place a new replace may take; nobody else changes it within the transaction. */
  async former(
    queries: Queries,
    id: string,
    { operation, caller, messageId, session }: WorkRecord,
  ): Promise<string | undefined> {
    if (operation !== 'replace') return undefined;
    const [former] = await queries.query<{ id: string }>(
      `select id from bff.delivery
       where mode = 'async' and state = 'accepted' and operation = 'replace' and caller = $1 and message_id = $2
         and session is not distinct from $3 and merged_into is null and owner is null and sent_at is null
         and id <> $4
       order by accepted_at desc limit 1 for update`,
      [caller, messageId, session ?? null, id],
    );
    // Those in whose stead it is sent, too: `follow` changes them when it has the line, and whoever cancels one of them
    // at that moment would have it and wait for the line.
    if (former !== undefined) await queries.query(`select id ${FOLLOWERS}`, [former.id]);
    return former?.id;
  }

  /**
   * Gives the place of one to another, unless something else has come in between that would be overtaken.
   *
   * @returns whether it has a place now
   */
  async follow(queries: Queries, id: string, leaderId: string): Promise<boolean> {
    if (!(await this.line.replace(queries, id, leaderId))) return false;
    await queries.query('update bff.delivery set merged_into = $2 where id = $1 or merged_into = $1', [
      id,
      leaderId,
    ]);
    return true;
  }

  /** Those that wait in whose stead another is sent, in their order. */
  async of(queries: Queries, id: string): Promise<Delivery[]> {
    const rows = await queries.query(`select ${DELIVERY_COLUMNS} ${FOLLOWERS}`, [id]);
    // One that cannot be opened ends like the others: what became of them must not get lost for it.
    return rows.map((row) => this.ledger.readWhatOpens(row));
  }

  /**
   * Lets the last of them have the place again, since the one in their stead is taken back.
   *
   * @returns whether they have one, or there are none
   */
  async takeBack(queries: Queries, id: string, followers: readonly Delivery[]): Promise<boolean> {
    const last = followers.at(-1);
    if (last === undefined) return true;
    if (!(await this.line.replace(queries, id, last.id))) return false;
    await this.#lead(queries, id, last.id);
    return true;
  }

  /**
   * Lets the last of them be sent in the place of the one in their stead, as if that had never come: it is rejected,
   * which says nothing of them.
   *
   * @returns what is to be done last in that transaction, since that is where the line comes
   */
  async goOn(queries: Queries, id: string): Promise<() => Promise<void>> {
    const last = (await queries.query<{ id: string }>(`select id ${FOLLOWERS}`, [id])).at(-1);
    if (last === undefined) return () => Promise.resolve();
    await this.#lead(queries, id, last.id);
    return () => this.line.inherit(queries, id, last.id);
  }

  /** They end as the one in their stead has ended, in the transaction that says so. */
  async settle(
    queries: Queries,
    id: string,
    state: DeliveryState,
    answer: KeptAnswer | undefined,
  ): Promise<string[]> {
    const followers = await this.of(queries, id);
    for (const follower of followers) {
      const { content, operation } = follower;
      const work = content === undefined ? undefined : { ...follower, content };
      await this.ledger.close(
        queries,
        follower,
        state,
        answer && work && this.performer.inStead(work, answer),
        work && this.performer.personal(work),
      );
      this.metrics.deliveriesSettled.inc({ operation, state });
    }
    return followers.map((follower) => follower.id);
  }

  /** From now on this one of them is sent in the stead of the others. */
  async #lead(queries: Queries, formerId: string, id: string): Promise<void> {
    await queries.query('update bff.delivery set merged_into = nullif($2::uuid, id) where merged_into = $1', [
      formerId,
      id,
    ]);
  }
}
