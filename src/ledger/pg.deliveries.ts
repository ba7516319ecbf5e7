import { randomUUID } from 'node:crypto';
import type { Clock } from '../clock/clock.js';
import type { Interruption } from '../clock/interruption.js';
import { OneAtATime } from '../clock/one-at-a-time.js';
import type { DeliveriesConfig } from '../config/sections.js';
import { DatabaseUnavailable } from '../database/database.errors.js';
import type { Queries, Row } from '../database/database.js';
import type { WorkRecord } from '../idempotency/idempotency.store.js';
import type { DeliveryLine, Standing } from '../nexudus/delivery.line.js';
import { WriteAbandoned } from '../nexudus/nexudus.errors.js';
import type { Metrics } from '../observability/metrics.js';
import { Problem } from '../problem-details/problem.js';
import {
  type Acceptance,
  Deliveries,
  type DeliveryPage,
  type Ending,
  type HandOver,
  type StandingDelivery,
} from './deliveries.js';
import { type Delivery, type DeliveryState, isOpen } from './delivery.js';
import type { DeliveryPerformer } from './delivery.performer.js';
import { FewAtATime } from './few-at-a-time.js';
import type { Followers } from './followers.js';
import { DELIVERY_COLUMNS, isFree, type Ledger } from './ledger.js';
import type { Settlements, Watcher } from './settlements.js';
import { withPersonal } from './stored-answer.js';

const NOT_SOONER_MS = 1_000;
/**
 * They wait for each other at the end of the line all the same, each with a connection: the others are for those who
 * send, and for the lease.
 */
const ACCEPTED_AT_ONCE = 3;
const CERTAINTY_TRIES = 5;
const CERTAINTY_EVERY_MS = 500;
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const CURSOR = /^(\d{1,17})\.([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/;

/** Undoes the transaction that has found it so. */
class BacklogFull extends Error {
  override readonly name = 'BacklogFull';

  /** @param ofCaller missing where it is that of all callers */
  constructor(readonly ofCaller: string | undefined) {
    super('Too many deliveries wait');
  }
}

/** Undoes a cancellation: others wait in that place, and cannot have it back without overtaking somebody. */
class PlaceNeeded extends Error {
  override readonly name = 'PlaceNeeded';
}

/** Deliveries in the ledger and in the line of all replicas. */
export class PgDeliveries extends Deliveries {
  readonly #accepting = new FewAtATime(ACCEPTED_AT_ONCE);

  constructor(
    private readonly ledger: Ledger,
    private readonly followers: Followers,
    private readonly line: DeliveryLine,
    private readonly settlements: Settlements,
    private readonly performer: DeliveryPerformer,
    private readonly config: DeliveriesConfig,
    private readonly clock: Clock,
    private readonly metrics: Metrics,
  ) {
    super();
  }

  override async accept(handOver: HandOver): Promise<Acceptance> {
    const id = randomUUID();
    const acceptance = await this.#unlessAbandoned(handOver.abandoned, (commit) =>
      this.#accepting
        .run(async () => {
          if (handOver.abandoned.aborted) throw new WriteAbandoned();
          return this.ledger.database.transaction(async (queries) => {
            const accepted = await this.#accept(queries, id, handOver);
            commit();
            return accepted;
          });
        })
        .catch(async (error: unknown) => {
          throw error instanceof BacklogFull ? await this.#tooMany(error) : error;
        })
        .catch((error: unknown) => this.#afterLoss(id, error)),
    );
    if (handOver.key) this.metrics.idempotencyRequests.inc({ result: RESULTS[acceptance.kind] });
    if (acceptance.kind === 'accepted') {
      this.metrics.deliveriesAccepted.inc({ operation: handOver.record.operation });
      this.line.changed();
    }
    return acceptance;
  }

  /**
   * A replica that was frozen finds requests whose callers have long turned to another one, and perhaps cancelled there
   * what they would hand over here once more; and a database that hangs keeps callers longer than they want to wait.
   * Up to the commit that does no harm.
   *
   * @param work calls back before it commits, which throws when it must not any more
   * @throws WriteAbandoned as soon as it is abandoned
   */
  #unlessAbandoned<T>(abandoned: Interruption, work: (commit: () => void) => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const abort = (): void => {
        reject(new WriteAbandoned());
      };
      const settled = (): void => {
        abandoned.removeEventListener('abort', abort);
      };
      if (abandoned.aborted) abort();
      abandoned.addEventListener('abort', abort);
      const commit = (): void => {
        if (abandoned.aborted) throw new WriteAbandoned();
        settled();
      };
      work(commit).finally(settled).then(resolve, reject);
    });
  }

  async #accept(queries: Queries, id: string, { record, key }: HandOver): Promise<Acceptance> {
    const { ledger } = this;
    const entry = { id, mode: 'async', key, record, ttlMs: this.config.ttlMs } as const;
    for (;;) {
      const inserted = await ledger.insert(queries, entry);
      if (inserted !== undefined) {
        return {
          kind: 'accepted',
          id,
          expiresAtMs: inserted.expiresAtMs ?? 0,
          standing: await this.#enter(queries, id, record),
        };
      }
      const row = key && (await ledger.lockKey(queries, key.scope));
      if (key === undefined || row === undefined) continue;
      if (isFree(row)) {
        await ledger.freeKey(queries, row);
        continue;
      }
      if (!ledger.isSameBody(row, key.fingerprint)) return { kind: 'reused' };
      if (row.answer !== null) {
        return {
          kind: 'settled',
          answer: withPersonal(ledger.openAnswer(row.id, row.answer), record.personal.value),
        };
      }
      return row.mode === 'async' ? { kind: 'repeated', id: row.id } : { kind: 'running' };
    }
  }

  /**
   * Into the line, where there is room for one more; `undefined` where it has the place of another, which is still to
   * be asked for.
   */
  async #enter(queries: Queries, id: string, record: WorkRecord): Promise<Standing | undefined> {
    const { caller, session, messageId } = record;
    const former = await this.followers.former(queries, id, record);
    const { ofCaller, ofAll } = await this.ledger.count(queries, caller, 1);
    const { backlogLimit, backlogLimitPerCaller } = this.config;
    if (ofCaller > backlogLimitPerCaller) throw new BacklogFull(caller);
    if (ofAll > backlogLimit) throw new BacklogFull(undefined);
    if (former !== undefined && (await this.followers.follow(queries, former, id))) return undefined;
    return this.line.enter(queries, { deliveryId: id, caller, session, message: messageId });
  }

  /** There is room again when one of those that wait is sent: the first of the caller's, or of all. */
  async #tooMany({ ofCaller }: BacklogFull): Promise<Problem> {
    const [first] = await this.ledger.database.query<{ id: string }>(
      ofCaller === undefined
        ? `select id from bff.delivery where mode = 'async' and state = 'accepted' order by expires_at limit 1`
        : `select id from bff.delivery where mode = 'async' and state = 'accepted' and caller = $1
           order by accepted_at, id limit 1`,
      ofCaller === undefined ? [] : [ofCaller],
    );
    const standing = first && (await this.line.standing(first.id));
    return new Problem('quota-exhausted', {
      detail: 'Too many deliveries wait already.',
      retryAfterMs: Math.max(NOT_SOONER_MS, standing?.estimatedInMs ?? 0),
    });
  }

  /** The connection was lost when all was done but the answer: it is found out whether it was taken on, or it is not. */
  async #afterLoss(id: string, error: unknown): Promise<Acceptance> {
    if (!(error instanceof DatabaseUnavailable) || !error.mayHaveCommitted) throw error;
    for (let tries = 0; tries < CERTAINTY_TRIES; tries += 1) {
      await this.clock.sleep(CERTAINTY_EVERY_MS);
      try {
        // What is there may be what an earlier try has put there.
        if ((await this.ledger.forestall(id)) === 'async') {
          return {
            kind: 'accepted',
            id,
            expiresAtMs: this.clock.epochMs() + this.config.ttlMs,
            standing: undefined,
          };
        }
        break;
      } catch (again) {
        if (!(again instanceof DatabaseUnavailable)) throw again;
        if (tries + 1 === CERTAINTY_TRIES) {
          throw new Problem(
            'internal-error',
            {
              detail:
                'The store of this service was lost: the message may or may not have been taken on, and be sent later.',
              outcome: 'unknown',
            },
            { cause: error },
          );
        }
      }
    }
    throw new DatabaseUnavailable(false, { cause: error });
  }

  override async settled(id: string, signal: Interruption): Promise<Ending | undefined> {
    if (signal.aborted) return undefined;
    return new Promise((resolve, reject) => {
      const end = (ending?: Ending): void => {
        stop();
        signal.removeEventListener('abort', abort);
        resolve(ending);
      };
      const abort = (): void => {
        end();
      };
      const looking = new OneAtATime(async () => {
        const delivery = await this.ledger.find(this.ledger.database, id);
        if (delivery !== undefined && !isOpen(delivery)) end(delivery);
      });
      const look: Watcher = (ending) => {
        if (ending !== undefined) {
          end(ending);
          return;
        }
        looking.run().catch((error: unknown) => {
          // It goes on without the database, which may come back in time.
          if (error instanceof DatabaseUnavailable || !(error instanceof Error)) return;
          stop();
          signal.removeEventListener('abort', abort);
          reject(error);
        });
      };
      const stop = this.settlements.watch(id, look);
      signal.addEventListener('abort', abort);
      look();
    });
  }

  override async find(caller: string, id: string): Promise<StandingDelivery | undefined> {
    if (!UUID.test(id)) return undefined;
    const delivery = await this.ledger.find(this.ledger.database, id);
    if (!isOwn(delivery, caller)) return undefined;
    const [standing] = await this.#standings([delivery]);
    return standing;
  }

  override async list(
    caller: string,
    state: DeliveryState | undefined,
    limit: number,
    cursor: string | undefined,
  ): Promise<DeliveryPage | undefined> {
    const [match, beforeMicros, beforeId] = CURSOR.exec(fromBase64(cursor)) ?? [];
    if (cursor !== undefined && match === undefined) return undefined;
    const conditions = ["mode = 'async'", 'caller = $1'];
    const values: unknown[] = [caller, limit + 1];
    if (state !== undefined) conditions.push(`state = $${values.push(state)}`);
    if (beforeMicros !== undefined) {
      const at = `timestamptz 'epoch' + $${values.push(beforeMicros)}::bigint * interval '1 microsecond'`;
      conditions.push(`(accepted_at, id) < (${at}, $${values.push(beforeId)}::uuid)`);
    }
    const rows = await this.ledger.database.query(
      `select ${DELIVERY_COLUMNS}, (extract(epoch from accepted_at) * 1000000)::bigint as accepted_at_us
       from bff.delivery where ${conditions.join(' and ')} order by accepted_at desc, id desc limit $2`,
      values,
    );
    const page = rows.slice(0, limit);
    const last = page.at(-1);
    const deliveries = await this.#standings(page.map((row) => this.ledger.readWhatOpens(row)));
    return { deliveries, next: rows.length > limit && last !== undefined ? cursorOf(last) : undefined };
  }

  override async cancel(caller: string, id: string): Promise<boolean | undefined> {
    if (!UUID.test(id)) return undefined;
    const { ledger } = this;
    // Rows of deliveries first, then those that count them, then the line: always in this order, or two would wait for
    // each other.
    const work = async (queries: Queries): Promise<boolean | undefined> => {
      const delivery = await ledger.lockWhatOpens(queries, id);
      if (!isOwn(delivery, caller)) return undefined;
      // One that was tried and may have been run waits to be tried again: nobody can say that it was not sent.
      if (delivery.state !== 'accepted' || delivery.sentAtMs !== undefined) return false;
      const followers = await this.followers.of(queries, id);
      await ledger.close(queries, delivery, 'cancelled');
      if (!(await this.followers.takeBack(queries, id, followers))) throw new PlaceNeeded();
      await this.line.withdraw(queries, id);
      return true;
    };
    const isCancelled = await ledger.database.transaction(work).catch((error: unknown) => {
      if (error instanceof PlaceNeeded) return false;
      throw error;
    });
    if (isCancelled) {
      this.line.changed();
      this.settlements.announce(id);
    }
    return isCancelled;
  }

  override watch(id: string, changed: () => void): () => void {
    return this.settlements.watch(id, () => {
      changed();
    });
  }

  async #standings(deliveries: readonly Delivery[]): Promise<StandingDelivery[]> {
    const waiting = deliveries.filter(({ state }) => state === 'accepted');
    const standings = await this.line.standings(waiting.map(placeIn));
    return deliveries.map((delivery) => {
      const { state, answer, content } = delivery;
      const value =
        content === undefined ? undefined : this.performer.personal({ ...delivery, content }).value;
      return {
        delivery,
        standing: state === 'accepted' ? standings.get(placeIn(delivery)) : undefined,
        answer: answer && withPersonal(answer, value),
      };
    });
  }
}

const RESULTS = {
  accepted: 'claimed',
  settled: 'replayed',
  repeated: 'replayed',
  running: 'in-use',
  reused: 'reused',
} as const satisfies Record<Acceptance['kind'], string>;

/** Writes that somebody waited for are in the ledger, too, and are not for its routes. */
function isOwn(delivery: Delivery | undefined, caller: string): delivery is Delivery {
  return delivery?.mode === 'async' && delivery.caller === caller;
}

/** The delivery that has the place in the line in which this one is sent. */
function placeIn({ id, mergedInto }: Delivery): string {
  return mergedInto ?? id;
}

function cursorOf(row: Row): string {
  return Buffer.from(`${String(row['accepted_at_us'])}.${String(row['id'])}`).toString('base64url');
}

function fromBase64(cursor: string | undefined): string {
  return cursor === undefined ? '' : Buffer.from(cursor, 'base64url').toString('latin1');
}
