import type { Queries } from '../database/database.js';
import type { DeliveryLine } from '../nexudus/delivery.line.js';
import type { Sighting } from '../nexudus/message.finder.js';
import { isSameMessage, type SoughtMessage } from '../nexudus/message.likeness.js';
import type { NexudusMessage, WriteReceipt } from '../nexudus/write.js';
import type { Delivery } from './delivery.js';
import type { DeliveryPerformer } from './delivery.performer.js';
import type { Hold } from './hold.js';
import { DELIVERY_COLUMNS, type Ledger, resultOf, type Settlement } from './ledger.js';
import type { Settlements } from './settlements.js';

/** One look for a create whose outcome is unknown: this replica's, until it takes too long. */
export interface Look {
  readonly delivery: Delivery;
  readonly sought: SoughtMessage;
  /** Fencing: the how manieth look of this delivery it is. */
  readonly number: number;
  /** For how long the outcome had been unknown when it was begun. */
  readonly unknownForMs: number;
  /** Looks before it that showed the message missing when it should have been there. */
  readonly missing: number;
}

/** What became of a delivery through a look. */
export type Conclusion = 'found' | 'not-sent' | 'missing' | 'unclear' | 'postponed' | 'overtaken';

/** What an operator knows of an unknown delivery. */
export type Decision = { readonly as: 'delivered'; readonly messageId: number } | { readonly as: 'not-sent' };

/** What became of an operator's decision. */
export type Resolution =
  | { readonly kind: 'resolved'; readonly delivery: Delivery; readonly state: 'done' | 'not-sent' }
  | { readonly kind: 'no-such-delivery' | 'not-unknown' | 'not-ended' | 'content-gone' | 'other-message' };

/** Mostly an answer was lost, and the message is there: whoever waits for it hears so early. */
const FIRST_LOOK_AFTER_MS = 5_000;
/** Before that a message that is not there may still come: a list may lag behind its records. */
const SETTLED_AFTER_MS = 30_000;
/**
 * Only when a second look, so much later, misses it too, it is missing: by then Nexudus has given up a request that
 * nobody waits for any more (ASP.NET does after 110 seconds, unless it is told otherwise).
 */
const SECOND_LOOK_AFTER_MS = 90_000;
const LOOKS_TO_MISS = 2;
/** A look that takes longer than this has died with its replica, and another one begins. */
const LOOK_LEASE_MS = 120_000;
/** Where a look decided nothing, the next comes after as long as the outcome has been unknown. */
const LEAST_BACKOFF_MS = 60_000;
const MOST_BACKOFF_MS = 3_600_000;
/** Of an attempt, by default. */
const TWIN_ENDS_WITHIN_MS = 10_000;
/** Twins are looked for among what is being sent right now: more than all replicas send at once. */
const MOST_TWINS = 1_000;

/** Whoever has sent one has mostly put it aside by then. */
const PUT_ASIDE_WITHIN_MS = 5_000;

/** Two deliveries of the same message must not claim the same record: of all replicas one concludes at a time. */
const ONE_CONCLUDES = 'select id from bff.finding where id = 1 for update';

/** Undoes a transaction: a replica that lives has not put the delivery aside yet. */
class NotEnded extends Error {
  override readonly name = 'NotEnded';
}

/** As the indexes have them: settled rows cost nothing here. */
const OPEN = {
  unknown: "state = 'unknown' order by accepted_at, id",
  accepted: "mode = 'async' and state = 'accepted' order by expires_at",
  sending: "owner is not null and state = 'sending' order by lease_until",
} as const;

/**
 * The deliveries whose outcome is unknown: hands them out to be looked for, one replica at a time, and writes down
 * what was found out: by a look, by an operator, or by its sender after all.
 */
export class UnknownDeliveries {
  constructor(
    private readonly ledger: Ledger,
    private readonly line: DeliveryLine,
    private readonly performer: DeliveryPerformer,
    private readonly settlements: Settlements,
  ) {}

  /**
   * The next one that is due, if there is any. Nobody else gets it for as long as a look may take.
   *
   * @param overdueMs only one that has been due for so long
   */
  async take(overdueMs: number): Promise<Look | undefined> {
    const row = await this.ledger.database.transaction(async (queries) => {
      const [due] = await queries.query<{ id: string }>(
        `select id from bff.delivery
         where state = 'unknown' and operation = 'create' and content is not null
           and settled_at <= now() - $1::float8 * interval '1 millisecond'
           and next_look_at <= now() - $2::float8 * interval '1 millisecond'
         order by next_look_at limit 1 for update skip locked`,
        [FIRST_LOOK_AFTER_MS + overdueMs, overdueMs],
      );
      if (due === undefined) return undefined;
      const [taken] = await queries.query(
        `update bff.delivery set looks = looks + 1,
           next_look_at = now() + $2::float8 * interval '1 millisecond'
         where id = $1
         returning ${DELIVERY_COLUMNS}, looks, missing_looks,
           (extract(epoch from now() - settled_at) * 1000)::float8 as unknown_for_ms`,
        [due.id, LOOK_LEASE_MS],
      );
      return taken;
    });
    if (row === undefined) return undefined;
    // Out of the transaction: one that cannot be opened must not be in the way of the others.
    const delivery = this.ledger.read(row);
    return {
      delivery,
      sought: this.#soughtOf(delivery),
      number: Number(row['looks']),
      unknownForMs: Number(row['unknown_for_ms']),
      missing: Number(row['missing_looks']),
    };
  }

  /** Writes down what a look has shown. */
  async conclude(look: Look, sighting: Sighting): Promise<Conclusion> {
    const { id } = look.delivery;
    const conclusion = await this.#unlessOvertaken(look, (queries, delivery) =>
      this.#conclude(queries, look, delivery, sighting),
    ).catch((error: unknown) => {
      if (!(error instanceof NotEnded)) throw error;
      return this.#unlessOvertaken(look, (queries) => this.#postpone(queries, look, PUT_ASIDE_WITHIN_MS));
    });
    if (conclusion === 'found' || conclusion === 'not-sent') this.#tell(id);
    return conclusion;
  }

  /** Writes down what an operator has found out. */
  async resolve(id: string, decision: Decision): Promise<Resolution> {
    const resolution = await this.ledger.database
      .transaction((queries) => this.#resolve(queries, id, decision))
      .catch((error: unknown): Resolution => {
        if (error instanceof NotEnded) return { kind: 'not-ended' };
        throw error;
      });
    if (resolution.kind === 'resolved') this.#tell(id);
    return resolution;
  }

  /**
   * Writes down what its sender knows of one that was given up as unknown meanwhile: the sender could not say so in
   * time, since it was held up or the database was away.
   *
   * @returns false where it is not unknown, somebody may have sent it since, or its record is taken for that of another
   */
  async learn(hold: Hold, settlement: Settlement): Promise<boolean> {
    if (settlement.state === 'unknown') return false;
    const isLearnt = await this.ledger.database.transaction((queries) =>
      this.#learn(queries, hold, settlement),
    );
    if (isLearnt) this.#tell(hold.id);
    return isLearnt;
  }

  /** The deliveries that are not settled for good, by their state; of those that wait, the ones that were handed over. */
  async list(state: keyof typeof OPEN, limit: number): Promise<Delivery[]> {
    const rows = await this.ledger.database.query(
      `select ${DELIVERY_COLUMNS} from bff.delivery where ${OPEN[state]} limit $1`,
      [limit],
    );
    return rows.map((row) => this.ledger.readWhatOpens(row));
  }

  /** Of a delivery whose content is kept, and can be opened: where it belongs. */
  messageOf({ content }: Delivery): Omit<NexudusMessage, 'Content'> | undefined {
    return content === undefined ? undefined : this.performer.message({ content });
  }

  async #resolve(queries: Queries, id: string, decision: Decision): Promise<Resolution> {
    const delivery = await this.ledger.lock(queries, id);
    if (delivery === undefined) return { kind: 'no-such-delivery' };
    if (delivery.state !== 'unknown') return { kind: 'not-unknown' };
    if (decision.as === 'not-sent') {
      // Without its content it cannot be sent, and says nothing of any use any more.
      if (delivery.mode === 'async' && delivery.content === undefined) return { kind: 'content-gone' };
      await this.#notSent(queries, delivery, true);
      return { kind: 'resolved', delivery, state: 'not-sent' };
    }
    const { messageId } = decision;
    if (delivery.operation === 'replace' && delivery.messageId !== messageId)
      return { kind: 'other-message' };
    if (delivery.content === undefined) return { kind: 'content-gone' };
    await this.#done(queries, delivery, delivery.content, { id: messageId, updatedAt: null });
    return { kind: 'resolved', delivery, state: 'done' };
  }

  async #learn(queries: Queries, { id, fence, personal }: Hold, settlement: Settlement): Promise<boolean> {
    await queries.query(ONE_CONCLUDES);
    const delivery = await this.ledger.lockWhatOpens(queries, id);
    if (delivery === undefined || !isLeftSince(delivery, fence)) return false;
    const record = delivery.operation === 'create' ? resultOf(settlement.answer) : null;
    if (record !== null && (await this.#claimed(queries, [{ id: record }])).size > 0) return false;
    await this.#close(queries, delivery, settlement, personal);
    return true;
  }

  #unlessOvertaken(
    look: Look,
    work: (queries: Queries, delivery: Delivery) => Promise<Conclusion>,
  ): Promise<Conclusion> {
    return this.ledger.database.transaction(async (queries) => {
      await queries.query(ONE_CONCLUDES);
      const delivery = await this.#lockUnknown(queries, look);
      return delivery === undefined ? 'overtaken' : work(queries, delivery);
    });
  }

  async #conclude(
    queries: Queries,
    look: Look,
    delivery: Delivery,
    sighting: Sighting,
  ): Promise<Exclude<Conclusion, 'overtaken'>> {
    if (sighting.kind === 'not-looked') return this.#postpone(queries, look, sighting.againInMs);
    if (sighting.kind === 'seen') {
      const claimed = await this.#claimed(queries, [...sighting.matches, ...sighting.doubtful]);
      const [match, another] = sighting.matches.filter(({ id }) => !claimed.has(id));
      const isDoubtful = sighting.doubtful.some(({ id }) => !claimed.has(id));
      if (match && !another && delivery.content !== undefined) {
        if (await this.#hasTwin(queries, look)) return this.#postpone(queries, look, TWIN_ENDS_WITHIN_MS);
        await this.#done(queries, delivery, delivery.content, match);
        return 'found';
      }
      if (!match && !isDoubtful) return this.#missing(queries, look, delivery);
    }
    const backoffMs = Math.min(Math.max(look.unknownForMs, LEAST_BACKOFF_MS), MOST_BACKOFF_MS);
    await this.#again(queries, look, backoffMs, 0);
    return 'unclear';
  }

  async #postpone(queries: Queries, look: Look, afterMs: number): Promise<'postponed'> {
    await this.#again(queries, look, afterMs, look.missing);
    return 'postponed';
  }

  async #missing(queries: Queries, look: Look, delivery: Delivery): Promise<'missing' | 'not-sent'> {
    const leftMs = SETTLED_AFTER_MS - look.unknownForMs;
    const missing = leftMs > 0 ? 0 : look.missing + 1;
    if (missing >= LOOKS_TO_MISS) {
      // It is not sent later than its caller was told.
      await this.#notSent(queries, delivery, false);
      return 'not-sent';
    }
    await this.#again(queries, look, leftMs > 0 ? leftMs : SECOND_LOOK_AFTER_MS, missing);
    return 'missing';
  }

  async #again(queries: Queries, { delivery }: Look, afterMs: number, missing: number): Promise<void> {
    await queries.query(
      `update bff.delivery set missing_looks = $2, next_look_at = now() + $3::float8 * interval '1 millisecond'
       where id = $1`,
      [delivery.id, missing, afterMs],
    );
  }

  async #done(
    queries: Queries,
    delivery: Delivery,
    content: string,
    { id, updatedAt }: WriteReceipt,
  ): Promise<void> {
    const work = { ...delivery, content };
    const answer = this.performer.delivered(work, { id, updatedAt });
    await this.#close(queries, delivery, { state: 'done', answer }, this.performer.personal(work));
  }

  async #close(
    queries: Queries,
    delivery: Delivery,
    { state, answer }: Settlement,
    personal: Hold['personal'],
  ): Promise<void> {
    await this.ledger.close(queries, delivery, state, answer, personal);
    // It may still hold up its session.
    await this.line.withdraw(queries, delivery.id);
  }

  /**
   * What somebody waited for is as if it had never been; what was handed over waits for its turn once more.
   *
   * @throws NotEnded
   */
  async #notSent(queries: Queries, delivery: Delivery, anew: boolean): Promise<void> {
    const { id, mode, caller, session, messageId } = delivery;
    if (mode === 'sync') {
      await this.ledger.remove(queries, id);
      return;
    }
    await this.ledger.reopen(queries, delivery, anew);
    const ticket = { deliveryId: id, caller, session, message: messageId };
    if (!(await this.line.enterAgain(queries, ticket))) throw new NotEnded();
  }

  #tell(id: string): void {
    this.line.changed();
    this.settlements.announce(id);
  }

  async #lockUnknown(queries: Queries, { delivery: { id }, number }: Look): Promise<Delivery | undefined> {
    const [row] = await queries.query<{ id: string }>(
      `select id from bff.delivery where id = $1 and state = 'unknown' and looks = $2 for update`,
      [id, number],
    );
    return row && this.ledger.find(queries, id);
  }

  /** Those records of which a delivery is known to be the create. */
  async #claimed(queries: Queries, records: readonly { readonly id: number }[]): Promise<Set<number>> {
    const rows = await queries.query<{ result_id: string | number }>(
      `select result_id from bff.delivery where operation = 'create' and result_id = any($1)`,
      [records.map(({ id }) => id)],
    );
    return new Set(rows.map(({ result_id }) => Number(result_id)));
  }

  /**
   * Whether the same message is being sent for another delivery right now: then the record may be that one's. Once
   * that one is unknown, too, it does not matter which of the two the record is said to be of.
   */
  async #hasTwin(queries: Queries, { delivery: { id }, sought }: Look): Promise<boolean> {
    const rows = await queries.query(
      `select ${DELIVERY_COLUMNS} from bff.delivery
       where owner is not null and state = 'sending' and operation = 'create' and id <> $1 limit $2`,
      [id, MOST_TWINS],
    );
    const isTwin = ({ content }: Delivery): boolean =>
      content !== undefined && isSameMessage(this.performer.message({ content }), sought.message);
    return rows.some((row) => isTwin(this.ledger.read(row)));
  }

  #soughtOf({ id, content = '', sentAtMs, acceptedAtMs, settledAtMs }: Delivery): SoughtMessage {
    return {
      message: this.performer.message({ content }),
      sentAtMs: sentAtMs ?? acceptedAtMs,
      endedAtMs: settledAtMs ?? acceptedAtMs,
      tag: id,
    };
  }
}

/**
 * Whether nobody has sent a delivery since its holder of this fence, and nobody says what became of it. Whoever takes
 * a create over that somebody waited for says that its outcome is unknown, and does not send it: where it may be sent
 * again, there is no such row any more. What was handed over is sent again in the same row.
 */
function isLeftSince({ mode, operation, state, fence }: Delivery, former: number): boolean {
  if (mode === 'sync' && operation === 'create')
    return fence > former && (state === 'unknown' || state === 'sending');
  return fence === former + 1 && state === 'unknown';
}
