import { hash, randomUUID } from 'node:crypto';
import type { Clock } from '../clock/clock.js';
import type { DeliveriesConfig, IdempotencyConfig } from '../config/sections.js';
import { LedgerKeyMissing } from '../database/database.errors.js';
import type { Database, Queries, Row } from '../database/database.js';
import type { Sealer } from '../database/sealer.js';
import type { KeptAnswer, WorkRecord } from '../idempotency/idempotency.store.js';
import type { AppLogger } from '../observability/app-logger.js';
import type { Delivery, DeliveryState } from './delivery.js';
import { type Held, Hold } from './hold.js';
import { type StoredAnswer, withoutPersonal } from './stored-answer.js';
import type { Settlements } from './settlements.js';

/** A key with all that it belongs to, and of what body it is. */
export interface Key {
  readonly scope: string;
  readonly fingerprint: string;
}

/** A write that is to be taken on. */
export interface Entry {
  readonly id: string;
  readonly mode: Delivery['mode'];
  readonly key: Key | undefined;
  readonly record: WorkRecord | undefined;
  /** Where this replica begins with it at once. */
  readonly leaseMs?: number;
  /** Where it may wait. */
  readonly ttlMs?: number;
}

/** What stands under a key. */
export interface KeyRow extends Row {
  readonly id: string;
  readonly mode: Delivery['mode'];
  readonly state: DeliveryState;
  readonly fingerprint: string;
  readonly fence: string;
  readonly answer: Buffer | null;
  readonly was_sent: boolean;
  readonly is_held: boolean;
  readonly is_over: boolean;
}

/** How a write has ended. */
export interface Settlement {
  readonly state: Extract<DeliveryState, 'done' | 'rejected' | 'unknown'>;
  readonly answer: KeptAnswer;
}

/** Of a row that nobody has taken over yet. */
export const FIRST_FENCE = 1;
const PARTS = 16;

/** As columns, for everybody who reads a whole row. */
export const DELIVERY_COLUMNS = `id, mode, caller, operation, message_id, session, state, attempts, content, answer,
  merged_into, fence, ${['accepted_at', 'expires_at', 'sent_at', 'settled_at', 'lease_until'].map(epochMs).join(', ')},
  floor(extract(epoch from now()) * 1000)::bigint as now_ms`;

/**
 * The rows of the deliveries: takes writes on, and writes down what became of them. Only whoever holds a row changes
 * it, and each change says so (`fence`), so that a replica that was frozen for too long changes nothing.
 */
export class Ledger {
  /** This process, as far as leases are concerned. */
  readonly owner = randomUUID();
  /** The ids of ledger keys that were found missing, so that each is said once. */
  readonly #missing = new Set<string>();

  constructor(
    readonly database: Database,
    private readonly sealer: Sealer,
    private readonly settlements: Settlements,
    private readonly clock: Clock,
    private readonly idempotency: IdempotencyConfig,
    private readonly deliveries: DeliveriesConfig,
    private readonly log: AppLogger,
  ) {}

  /** Takes a write on. `undefined` when there is one with this key, or this id. */
  async insert(
    queries: Queries,
    { id, mode, key, record, leaseMs, ttlMs }: Entry,
  ): Promise<{ readonly expiresAtMs: number | undefined } | undefined> {
    const [row] = await queries.query(
      `insert into bff.delivery (id, mode, caller, operation, message_id, session, scope, fingerprint, state, content,
         owner, fence, lease_until, expires_at)
       values ($1, $2, $3, $4, $5, $6, $7, $8, 'accepted', $9, $10, $13,
         now() + $11::float8 * interval '1 millisecond', now() + $12::float8 * interval '1 millisecond')
       on conflict do nothing returning ${epochMs('expires_at')}`,
      [
        id,
        mode,
        record?.caller ?? '',
        record?.operation ?? 'create',
        record?.messageId ?? null,
        record?.session ?? null,
        key ? scopeName(key.scope) : null,
        key ? this.sealer.mark(key.fingerprint) : null,
        record ? this.sealer.seal(record.content, placeOf(id)) : null,
        leaseMs === undefined ? null : this.owner,
        leaseMs ?? null,
        ttlMs ?? null,
        FIRST_FENCE,
      ],
    );
    return row && { expiresAtMs: optionalNumber(row['expires_at_ms']) };
  }

  /**
   * Finds out whether a row was written whose insertion nobody has confirmed. Whoever comes first has the id: where it
   * was not, it never will be.
   *
   * @returns the mode of what is there now: a row that holds nothing is one that somebody waited for
   */
  async forestall(id: string): Promise<Delivery['mode'] | undefined> {
    const [row] = await this.database.query<{ mode: Delivery['mode'] }>(
      `insert into bff.delivery (id, mode, caller, operation, state, keep_until)
       values ($1, 'sync', '', 'create', 'cancelled', now() + interval '1 hour')
       on conflict (id) do update set id = excluded.id returning mode`,
      [id],
    );
    return row?.mode;
  }

  /**
   * Lets go of a row that this replica holds or does not hold: that got lost, and nothing was done under it. Its key is
   * as if the holder were gone.
   */
  async letGo({ id, fence }: { readonly id: string; readonly fence: number }): Promise<void> {
    await this.forestall(id);
    await this.database.query(
      'update bff.delivery set lease_until = now() where id = $1 and fence = $2 and owner = $3',
      [id, fence, this.owner],
    );
  }

  /** What stands under a key. */
  findKey(queries: Queries, scope: string): Promise<KeyRow | undefined> {
    return this.#key(queries, scope, '');
  }

  /** The same, which nobody else changes within the transaction. */
  lockKey(queries: Queries, scope: string): Promise<KeyRow | undefined> {
    return this.#key(queries, scope, 'for update');
  }

  async #key(queries: Queries, scope: string, lock: '' | 'for update'): Promise<KeyRow | undefined> {
    const [row] = await queries.query<KeyRow>(
      `select id, mode, state, fingerprint, fence, answer, sent_at is not null as was_sent,
         coalesce(lease_until > now(), false) as is_held,
         coalesce(keep_until <= now()
           or state <> 'unknown' and settled_at <= now() - $2::float8 * interval '1 millisecond', false) as is_over
       from bff.delivery where scope = $1 ${lock}`,
      [scopeName(scope), this.idempotency.ttlMs],
    );
    return row;
  }

  /**
   * Whether a body is the one that a key was used with.
   *
   * @throws LedgerKeyMissing
   */
  isSameBody({ id, fingerprint }: KeyRow, other: string): boolean {
    return this.#open(id, () => this.sealer.isMarkOf(fingerprint, other));
  }

  /** Lets a key that is free be used anew. What was handed over with it may be asked for longer than that. */
  async freeKey(queries: Queries, { id, mode }: KeyRow): Promise<void> {
    if (mode === 'sync') await this.remove(queries, id);
    else await queries.query('update bff.delivery set scope = null where id = $1', [id]);
  }

  async remove(queries: Queries, id: string): Promise<void> {
    await queries.query('delete from bff.delivery where id = $1', [id]);
  }

  /** A hold on a row that this replica has just taken. */
  hold(held: Held): Hold {
    // Of one that somebody waits for, nobody else wants to hear.
    const changed = (id: string): void => {
      if (held.mode === 'async') this.settlements.announce(id);
    };
    return new Hold(held, this.database, this.clock, changed);
  }

  /** Takes a row over from a holder that is gone, in the transaction that has found it so. */
  async takeOver(
    queries: Queries,
    row: { readonly id: string; readonly fence: string | number },
    leaseMs: number,
  ): Promise<number> {
    const fence = Number(row.fence) + 1;
    await queries.query(
      `update bff.delivery set owner = $2, fence = $3, lease_until = now() + $4::float8 * interval '1 millisecond'
       where id = $1`,
      [row.id, this.owner, fence, leaseMs],
    );
    return fence;
  }

  /**
   * Writes down how a write has ended. False when somebody has taken it over: nothing is changed then.
   *
   * @param also what is to be written down together with that, for one that was handed over: of other deliveries at
   *   once, of the line in what it returns
   */
  async settle(
    hold: Hold,
    { state, answer }: Settlement,
    also: (queries: Queries) => Promise<(() => Promise<void>) | undefined> = () => Promise.resolve(undefined),
  ): Promise<boolean> {
    const ours = { id: hold.id, fence: hold.fence };
    if (hold.mode === 'sync') return this.#end(this.database, ours, 'sync', state, answer, hold.personal);
    const isOurs = await this.database.transaction(async (queries) => {
      const [row] = await queries.query<{ caller: string; is_open: boolean }>(
        `select caller, state in ('accepted', 'sending') as is_open from bff.delivery
         where id = $1 and fence = $2 for update`,
        [hold.id, hold.fence],
      );
      if (row === undefined) return false;
      if (!(await this.#end(queries, ours, 'async', state, answer, hold.personal))) return false;
      const last = await also(queries);
      if (row.is_open) await this.count(queries, row.caller, -1);
      await last?.();
      return true;
    });
    if (isOurs) this.settlements.announce(hold.id);
    return isOurs;
  }

  /**
   * Ends one that nobody is at any more, in the transaction that has locked its row. Whoever thinks that it still
   * holds it can change nothing from now on.
   */
  async close(
    queries: Queries,
    { id, mode, caller, state: former }: Pick<Delivery, 'id' | 'mode' | 'caller' | 'state'>,
    state: DeliveryState,
    answer?: KeptAnswer,
    personal?: Hold['personal'],
  ): Promise<void> {
    await this.#end(queries, { id }, mode, state, answer, personal);
    const wasOpen = former === 'accepted' || former === 'sending';
    if (mode === 'async' && wasOpen) await this.count(queries, caller, -1);
  }

  /** @param row with the fence of whoever holds it; without, of one that is locked */
  async #end(
    queries: Queries,
    { id, fence }: { readonly id: string; readonly fence?: number },
    mode: Delivery['mode'],
    state: DeliveryState,
    answer: KeptAnswer | undefined,
    personal: Hold['personal'],
  ): Promise<boolean> {
    const isUnknown = state === 'unknown';
    const contentMs = this.deliveries.contentRetentionMs;
    // The repeat of a request that somebody waited for brings its content along: ours is not needed any more.
    const clearsNow = !isUnknown && (mode === 'sync' || contentMs === 0);
    const rows = await queries.query(
      `update bff.delivery set state = $2, answer = $3, result_id = $4, owner = null, fence = fence + 1,
         lease_until = null, settled_at = now(), keep_until = now() + $5::float8 * interval '1 millisecond',
         content = case when $6 then null else content end,
         content_until = case when $7 then now() + $8::float8 * interval '1 millisecond' end,
         -- What can be sent again safely leaves its key free.
         scope = case when $9 or ($11 and operation = 'replace') then null else scope end, next_look_at = case when $11 then now() end
       where id = $1 and ($10::bigint is null or (fence = $10 and owner is not null and answer is null))
       returning id`,
      [
        id,
        state,
        answer ? this.sealAnswer(id, answer, personal) : null,
        answer && state === 'done' ? resultOf(answer) : null,
        mode === 'sync' ? this.idempotency.ttlMs : Math.max(this.idempotency.ttlMs, contentMs),
        clearsNow,
        !isUnknown && !clearsNow,
        contentMs,
        state === 'expired' || state === 'cancelled',
        fence ?? null,
        isUnknown,
      ],
    );
    return rows.length > 0;
  }

  /**
   * It is free for whoever comes next. One that somebody waited for is as if it had never been; one that was handed
   * over waits again.
   *
   * @param mayHaveRun whether Nexudus may have run an attempt: sending it again must be safe then
   * @returns false when somebody has taken it over
   */
  async release({ id, fence, mode }: Hold, mayHaveRun = false): Promise<boolean> {
    const isOurs = "id = $1 and fence = $2 and owner is not null and state in ('accepted', 'sending')";
    if (mode === 'sync') {
      const deleted = await this.database.query(`delete from bff.delivery where ${isOurs} returning id`, [
        id,
        fence,
      ]);
      return deleted.length > 0;
    }
    const freed = await this.database.query(
      `update bff.delivery set state = 'accepted', owner = null, lease_until = null,
         sent_at = case when $3 then sent_at end
       where ${isOurs} returning id`,
      [id, fence, mayHaveRun],
    );
    if (freed.length > 0) this.settlements.announce(id);
    return freed.length > 0;
  }

  /**
   * One that was handed over waits again, in the transaction that has locked it.
   *
   * @param anew whether its time begins anew
   */
  async reopen(
    queries: Queries,
    { id, caller }: Pick<Delivery, 'id' | 'caller'>,
    anew: boolean,
  ): Promise<void> {
    await queries.query(
      `update bff.delivery set state = 'accepted', answer = null, owner = null, lease_until = null,
         fence = fence + 1, merged_into = null, sent_at = null, settled_at = null, keep_until = null,
         looks = 0, missing_looks = 0, next_look_at = null,
         expires_at = case when $3 then now() + $2::float8 * interval '1 millisecond' else expires_at end
       where id = $1`,
      [id, this.deliveries.ttlMs, anew],
    );
    await this.count(queries, caller, 1);
  }

  /** Counts deliveries that wait; how many there are then, of the caller and of all. */
  async count(queries: Queries, caller: string, by: 1 | -1): Promise<{ ofCaller: number; ofAll: number }> {
    const [own] = await queries.query<{ waiting: string }>(
      `insert into bff.backlog (caller, waiting) values ($1, $2)
       on conflict (caller) do update set waiting = backlog.waiting + $2 returning waiting`,
      [caller, by],
    );
    await queries.query(
      `insert into bff.backlog_total (part, waiting) values ($1, $2)
       on conflict (part) do update set waiting = backlog_total.waiting + $2`,
      [Math.floor(Math.random() * PARTS), by],
    );
    const [all] = await queries.query<{ waiting: string }>(
      'select coalesce(sum(waiting), 0)::bigint as waiting from bff.backlog_total',
    );
    return { ofCaller: Number(own?.waiting ?? 0), ofAll: Number(all?.waiting ?? 0) };
  }

  sealAnswer(id: string, answer: KeptAnswer, personal: Hold['personal']): Buffer {
    return this.sealer.seal(JSON.stringify(withoutPersonal(answer, personal)), answerPlaceOf(id));
  }

  /** @throws LedgerKeyMissing */
  openAnswer(id: string, sealed: Buffer): StoredAnswer {
    const text = this.#open(id, () => this.sealer.open(sealed, answerPlaceOf(id)));
    return JSON.parse(text) as StoredAnswer;
  }

  #openContent(id: string, sealed: Buffer): string {
    return this.#open(id, () => this.sealer.open(sealed, placeOf(id)));
  }

  /** Operators hear of what does not open; of a key that is missing once, since it closed many. */
  #open<T>(id: string, open: () => T): T {
    try {
      return open();
    } catch (error) {
      if (!(error instanceof LedgerKeyMissing)) {
        this.log.error({ delivery: id, err: error }, 'A delivery cannot be opened');
      } else if (!this.#missing.has(error.keyId)) {
        this.#missing.add(error.keyId);
        this.log.error(
          { missing: error.keyId, delivery: id },
          'A ledger key is missing here: what was closed with it cannot be opened, and its repeats are refused',
        );
      }
      throw error;
    }
  }

  /**
   * A row with what is sealed in it.
   *
   * @throws LedgerKeyMissing
   */
  read(row: Row): Delivery {
    return this.#read(row, (open) => open());
  }

  /** The same, without what cannot be opened: as if it were kept no longer. */
  readWhatOpens(row: Row): Delivery {
    return this.#read(row, (open) => {
      try {
        return open();
      } catch {
        return undefined;
      }
    });
  }

  #read(row: Row, opened: <T>(open: () => T) => T | undefined): Delivery {
    const { id } = row as { id: string };
    const bytes = (name: string): Buffer | null => row[name] as Buffer | null;
    const answer = bytes('answer');
    const content = bytes('content');
    return {
      id,
      mode: row['mode'] as Delivery['mode'],
      caller: row['caller'] as string,
      operation: row['operation'] as Delivery['operation'],
      messageId: optionalNumber(row['message_id']),
      session: optionalText(row['session']),
      state: row['state'] as DeliveryState,
      attempts: Number(row['attempts']),
      acceptedAtMs: Number(row['accepted_at_ms']),
      expiresAtMs: optionalNumber(row['expires_at_ms']),
      sentAtMs: optionalNumber(row['sent_at_ms']),
      settledAtMs: optionalNumber(row['settled_at_ms']),
      answer: answer ? opened(() => this.openAnswer(id, answer)) : undefined,
      content: content ? opened(() => this.#openContent(id, content)) : undefined,
      mergedInto: optionalText(row['merged_into']),
      fence: Number(row['fence']),
      heldUntilMs: optionalNumber(row['lease_until_ms']),
      readAtMs: Number(row['now_ms']),
    };
  }

  /** Without what of it cannot be opened. */
  async find(queries: Queries, id: string): Promise<Delivery | undefined> {
    const [row] = await queries.query(`select ${DELIVERY_COLUMNS} from bff.delivery where id = $1`, [id]);
    return row && this.readWhatOpens(row);
  }

  /**
   * One that nobody else changes within the transaction.
   *
   * @throws LedgerKeyMissing
   */
  async lock(queries: Queries, id: string): Promise<Delivery | undefined> {
    const row = await this.#locked(queries, id);
    return row && this.read(row);
  }

  /** The same, without what of it cannot be opened: for whoever does not need that. */
  async lockWhatOpens(queries: Queries, id: string): Promise<Delivery | undefined> {
    const row = await this.#locked(queries, id);
    return row && this.readWhatOpens(row);
  }

  async #locked(queries: Queries, id: string): Promise<Row | undefined> {
    const [row] = await queries.query(
      `select ${DELIVERY_COLUMNS} from bff.delivery where id = $1 for update`,
      [id],
    );
    return row;
  }
}

/** Whether a key can be used anew: its time is over, or whoever held it went away before anything was sent. */
export function isFree({ is_over, is_held, mode, state, was_sent }: KeyRow): boolean {
  return is_over || (!is_held && mode === 'sync' && state === 'accepted' && !was_sent);
}

/** Nothing to be guessed from it without the caller's own key, and the same in every replica, whatever its keys. */
function scopeName(scope: string): string {
  return hash('sha256', scope, 'base64url');
}

function placeOf(id: string): string {
  return `delivery:${id}`;
}

function answerPlaceOf(id: string): string {
  return `delivery:${id}/answer`;
}

function epochMs(column: string): string {
  return `floor(extract(epoch from ${column}) * 1000)::bigint as ${column}_ms`;
}

function optionalText(value: unknown): string | undefined {
  return value === null ? undefined : (value as string);
}

function optionalNumber(value: unknown): number | undefined {
  return value === null ? undefined : Number(value);
}

/** The id in an answer of the API. */
export function resultOf({ body }: KeptAnswer): number | null {
  const { id } = JSON.parse(body) as { id?: unknown };
  return typeof id === 'number' ? id : null;
}
