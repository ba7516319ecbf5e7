import type { Queries } from '../database/database.js';
import type { DeliveryLine } from '../nexudus/delivery.line.js';
import type { WriteReceipt } from '../nexudus/write.js';
import type { Delivery } from './delivery.js';
import type { DeliveryPerformer } from './delivery.performer.js';
import { DELIVERY_COLUMNS, type Ledger } from './ledger.js';
import type { Settlements } from './settlements.js';

/** What became of an attempt to resolve one: `not-found`, or in a state where there is nothing to resolve. */
export type Resolved = Delivery | 'not-found' | 'not-unknown';

/** Writes whose outcome is unknown, of all callers, handed over or not; and what is found out about them. */
export class UnknownDeliveries {
  constructor(
    private readonly ledger: Ledger,
    private readonly line: DeliveryLine,
    private readonly performer: DeliveryPerformer,
    private readonly settlements: Settlements,
  ) {}

  /** For operators; the ones that were accepted last come first. */
  async list(limit: number): Promise<Delivery[]> {
    const rows = await this.ledger.database.query(
      `select ${DELIVERY_COLUMNS} from bff.delivery where state = 'unknown' order by accepted_at desc limit $1`,
      [limit],
    );
    return rows.map((row) => this.ledger.read(row));
  }

  /**
   * Takes creates that are due to be looked up, each for one replica alone until `againAfterMs` have passed. Their
   * `looks` count the times that this was done.
   */
  async due(limit: number, againAfterMs: number): Promise<(Delivery & { readonly looks: number })[]> {
    const rows = await this.ledger.database.query(
      `update bff.delivery set looks = looks + 1, next_look_at = now() + $2::float8 * interval '1 millisecond'
       where id in (
         select id from bff.delivery
         where state = 'unknown' and operation = 'create' and content is not null
           and next_look_at <= now()
         order by next_look_at limit $1 for update skip locked)
       returning ${DELIVERY_COLUMNS}, looks`,
      [limit, againAfterMs],
    );
    return rows.map((row) => ({ ...this.ledger.read(row), looks: Number(row['looks']) }));
  }

  /** When to look at one again. */
  async lookAgain(id: string, afterMs: number): Promise<void> {
    await this.ledger.database.query(
      `update bff.delivery set next_look_at = now() + $2::float8 * interval '1 millisecond'
       where id = $1 and state = 'unknown'`,
      [id, afterMs],
    );
  }

  /** Of these ids of messages at Nexudus, those that are known to be of other deliveries. */
  async claimed(messageIds: readonly number[], exceptOf: string): Promise<ReadonlySet<number>> {
    const rows = await this.ledger.database.query<{ result_id: number }>(
      'select result_id from bff.delivery where result_id = any($1::integer[]) and id <> $2',
      [messageIds, exceptOf],
    );
    return new Set(rows.map(({ result_id }) => result_id));
  }

  /** It was delivered: from now on a repeat is answered as the request would have been. */
  async delivered(id: string, receipt: WriteReceipt): Promise<Resolved> {
    return this.#resolve(id, async (queries, delivery) => {
      const { content } = delivery;
      const work = content === undefined ? undefined : { ...delivery, content };
      await this.ledger.close(
        queries,
        delivery,
        'done',
        work && this.performer.delivered(work, receipt),
        work && this.performer.personal(work),
      );
      await queries.query('update bff.delivery set result_id = $2 where id = $1', [id, receipt.id]);
      await this.line.withdraw(queries, id);
    });
  }

  /**
   * It was not sent: one that was handed over goes back to the end of the line, and is sent; of one that somebody
   * waited for, the key is free again.
   */
  async notSent(id: string): Promise<Resolved> {
    return this.#resolve(id, async (queries, delivery) => {
      const { mode, caller, session, messageId } = delivery;
      if (mode === 'sync') {
        await this.ledger.remove(queries, id);
        return;
      }
      await this.ledger.reopen(queries, delivery);
      // It may still hold up its session.
      await this.line.withdraw(queries, id);
      await this.line.enter(queries, { deliveryId: id, caller, session, message: messageId });
    });
  }

  async #resolve(
    id: string,
    work: (queries: Queries, delivery: Delivery) => Promise<void>,
  ): Promise<Resolved> {
    const { ledger } = this;
    const resolved = await ledger.database.transaction(async (queries): Promise<Resolved> => {
      const delivery = await ledger.lock(queries, id);
      if (delivery === undefined) return 'not-found';
      if (delivery.state !== 'unknown') return 'not-unknown';
      await work(queries, delivery);
      return (await ledger.find(queries, id)) ?? delivery;
    });
    if (typeof resolved === 'object') {
      this.line.changed();
      this.settlements.announce(id);
    }
    return resolved;
  }
}
