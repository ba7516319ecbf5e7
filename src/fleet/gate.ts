import type { Queries } from '../database/database.js';
import type { CallKind } from '../nexudus/quota.js';
import { CALLS_LANE, aheadOf, readLanes, type Lane } from './lanes.js';
import type { EndKind, QuotaEvent } from './shared-quota.js';
import {
  isWaiting,
  numberOf,
  TICKET,
  ticketOf,
  type NextTicket,
  type Ticket,
  type TicketRow,
  type TicketState,
} from './ticket.js';

/** Somebody who comes. */
export interface Comer {
  readonly lane: string;
  readonly caller: string;
  readonly replica: string | undefined;
  readonly deliveryId: string | undefined;
  readonly session: string | undefined;
  readonly message: number | undefined;
}

/** Who has to leave before somebody who comes now. */
export interface Formers {
  readonly session: number | undefined;
  readonly message: number | undefined;
  /** When the latest of them is expected to be sent; -Infinity when there is none. */
  readonly dueAtMs: number;
}

/** In one look, among lanes whose tickets may all have to wait for others of their sessions. */
const LANES_AT_ONCE = 500;

/** The text that makes the database's present, in milliseconds. */
export const PRESENT_MS = '(extract(epoch from clock_timestamp()) * 1000)::double precision';

/**
 * The books of all replicas, held by one transaction at a time: nobody else reads or writes them meanwhile. What it
 * counts is written back by `close`.
 */
export class Gate {
  /** When it was taken, on the database's clock; never before any other who took it. */
  readonly nowMs: number;
  /** Whether the replica that was asked for is there. */
  readonly isAlive: boolean;
  /** Until the next of those who rest or hold; `undefined` when nobody does. */
  nextUntilMs: number | undefined;
  readonly #query: Queries['query'];
  #lastEvent: number;
  #lastTicket: number;
  #lastTurn: number;
  #waiting: number;
  #lanes: Map<string, Lane> | undefined;
  readonly #changed = new Set<string>();
  readonly #events: QuotaEvent[] = [];

  private constructor(query: Queries['query'], row: GateRow, present: PresentRow) {
    this.#query = query;
    this.nowMs = Math.max(present.now_ms, row.last_ms);
    this.isAlive = present.is_alive;
    this.nextUntilMs = present.until_ms ?? undefined;
    this.#lastEvent = Number(row.last_event);
    this.#lastTicket = Number(row.last_ticket);
    this.#lastTurn = Number(row.last_turn);
    this.#waiting = row.waiting;
  }

  /** Waits until nobody else holds it. */
  static async open({ query }: Queries, replica = ''): Promise<Gate> {
    const [row] = await query<GateRow & Record<string, unknown>>(
      'select last_ms, last_event, last_ticket, last_turn, waiting from bff.gate where id = 1 for update',
    );
    // Asked for anew: the time at which a statement was sent is before the wait for the lock.
    const [present] = await query<PresentRow & Record<string, unknown>>(
      `select ${PRESENT_MS} as now_ms,
        exists (select 1 from bff.replica where id = $1) as is_alive,
        (select min(until_ms) from bff.line where until_ms is not null) as until_ms`,
      [replica],
    );
    if (row === undefined || present === undefined) throw new Error('the gate has no row');
    return new Gate(query, row, present);
  }

  /** The number of the latest event in the log. */
  get lastEvent(): number {
    return this.#lastEvent;
  }

  /** Tickets without a slot. */
  get waiting(): number {
    return this.#waiting;
  }

  get query(): Queries['query'] {
    return this.#query;
  }

  /** Those that have somebody waiting, in the order of their turns. */
  async lanes(): Promise<Lane[]> {
    return [...(await this.#loadedLanes()).values()]
      .filter(({ name, waiting }) => name !== CALLS_LANE && waiting > 0)
      .sort((a, b) => a.turn - b.turn);
  }

  async waitingIn(lane: string): Promise<number> {
    return this.#waiting === 0 ? 0 : ((await this.#loadedLanes()).get(lane)?.waiting ?? 0);
  }

  /** How many go before a new ticket of this lane. */
  async ahead(lane: string): Promise<{ ahead: number; own: number }> {
    if (this.#waiting === 0) return { ahead: 0, own: 0 };
    return aheadOf(await this.lanes(), lane);
  }

  async formers(session: string | undefined, message: number | undefined): Promise<Formers> {
    if (session === undefined && message === undefined) return NO_FORMERS;
    const [row] = await this.#query<{ s: string | null; m: string | null; due_ms: number | null }>(
      `select s, m, greatest((select due_ms from bff.line where seq = s),
          (select due_ms from bff.line where seq = m)) as due_ms
        from (select (select max(seq) from bff.line where session = $1) as s,
          (select max(seq) from bff.line where message = $2) as m) as formers`,
      [session ?? null, message ?? null],
    );
    return {
      session: numberOf(row?.s),
      message: numberOf(row?.m),
      dueAtMs: row?.due_ms ?? -Infinity,
    };
  }

  /** @param call the number of its call, where it has a slot from the start */
  async enter(
    { lane, caller, replica, deliveryId, session, message }: Comer,
    formers: Formers,
    dueAtMs: number,
    state: 'admitted' | 'wants' | 'granted',
    call?: number,
  ): Promise<number> {
    const seq = (this.#lastTicket += 1);
    await this.#query(
      `insert into bff.line (seq, lane, caller, replica, delivery_id, session, message, after_session, after_message,
          state, call, since_ms, due_ms)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)`,
      [
        seq,
        lane,
        caller,
        replica ?? null,
        deliveryId ?? null,
        session ?? null,
        message ?? null,
        formers.session ?? null,
        formers.message ?? null,
        state,
        call ?? null,
        this.nowMs,
        dueAtMs,
      ],
    );
    if (state !== 'granted') await this.#count(lane, caller, 1);
    return seq;
  }

  /**
   * The one that goes next, of those who may; `undefined` when there is none.
   *
   * @param inHands only one that some replica has in hand already: not a delivery that waits for one
   */
  async next(lanes: readonly string[], inHands: boolean): Promise<NextTicket | undefined> {
    const statement = inHands ? NEXT_IN_HANDS : NEXT_TICKET;
    for (let from = 0; from < lanes.length; from += LANES_AT_ONCE) {
      const [row] = await this.#query<TicketRow & Record<string, unknown>>(statement, [
        lanes.slice(from, from + LANES_AT_ONCE),
      ]);
      if (row) return ticketOf(row);
    }
    return undefined;
  }

  async ticket(seq: number): Promise<Ticket | undefined> {
    const [row] = await this.#query<TicketRow & Record<string, unknown>>(
      `select ${TICKET} from bff.line where seq = $1`,
      [seq],
    );
    return row && ticketOf(row);
  }

  async ticketOfDelivery(deliveryId: string): Promise<Ticket | undefined> {
    const [row] = await this.#query<TicketRow & Record<string, unknown>>(
      `select ${TICKET} from bff.line where delivery_id = $1`,
      [deliveryId],
    );
    return row && ticketOf(row);
  }

  async ticketsOf(replicas: readonly string[]): Promise<Ticket[]> {
    const rows = await this.#query<TicketRow & Record<string, unknown>>(
      `select ${TICKET} from bff.line where replica = any($1::text[]) order by seq`,
      [replicas],
    );
    return rows.map(ticketOf);
  }

  /** Gives a slot. The lane goes to the end of the round. */
  async grant({ seq, lane, caller }: NextTicket, call: number, replica: string): Promise<void> {
    await this.#query(
      "update bff.line set state = 'granted', call = $2, replica = $3, due_ms = $4 where seq = $1",
      [seq, call, replica, this.nowMs],
    );
    await this.#count(lane, caller, -1);
    const [own] = (await this.lanes()).filter(({ name }) => name === lane);
    if (own) own.turn = this.#lastTurn += 1;
  }

  /** From now on it wants a slot: a first one, or one more. It keeps its place among its own. */
  async want({ seq, lane, caller, state }: Ticket): Promise<void> {
    await this.#query("update bff.line set state = 'wants' where seq = $1", [seq]);
    if (!isWaiting(state)) await this.#count(lane, caller, 1);
  }

  /** Wants a slot later. It is nobody's until then. */
  async rest(ticket: Ticket, forMs: number): Promise<void> {
    await this.#putDown(ticket, 'resting', this.#until(forMs));
  }

  /** Wants nothing any more, and holds up its session and its message for so long. */
  async hold(ticket: Ticket, forMs: number): Promise<void> {
    await this.#putDown(ticket, 'held', this.#until(forMs));
  }

  /** Wants a slot after all: in the place that it has. It is nobody's until then. */
  async wantAgain(ticket: Ticket): Promise<void> {
    await this.#putDown(ticket, 'wants', null);
  }

  /** The next of its session, and of its message, may go. */
  async leave({
    seq,
    lane,
    caller,
    state,
    session,
    message,
    afterSession,
    afterMessage,
  }: Ticket): Promise<void> {
    await this.#query('delete from bff.line where seq = $1', [seq]);
    if (session !== undefined) {
      await this.#query('update bff.line set after_session = $2 where after_session = $1', [
        seq,
        afterSession ?? null,
      ]);
    }
    if (message !== undefined) {
      await this.#query('update bff.line set after_message = $2 where after_message = $1', [
        seq,
        afterMessage ?? null,
      ]);
    }
    if (isWaiting(state)) await this.#count(lane, caller, -1);
  }

  /** Those whose rest is over want a slot, those whose hold is over leave. */
  async wake(): Promise<void> {
    if (this.nextUntilMs === undefined || this.nextUntilMs > this.nowMs) return;
    await this.#query(
      "update bff.line set state = 'wants', until_ms = null where until_ms <= $1 and state = 'resting'",
      [this.nowMs],
    );
    const held = await this.#query<TicketRow & Record<string, unknown>>(
      `select ${TICKET} from bff.line where until_ms <= $1 and state = 'held' order by seq`,
      [this.nowMs],
    );
    // Anew for each: that the former left has changed the link.
    for (const { seq } of held) {
      const ticket = await this.ticket(Number(seq));
      if (ticket) await this.leave(ticket);
    }
    const [row] = await this.#query<{ until_ms: number | null }>(
      'select min(until_ms) as until_ms from bff.line where until_ms is not null',
    );
    this.nextUntilMs = row?.until_ms ?? undefined;
  }

  /** A call begins; its number. */
  begin(kind: CallKind, replica: string, caller: string | undefined): QuotaEvent {
    return this.#append(kind, this.#lastEvent + 1, replica, caller, undefined);
  }

  end(kind: EndKind, call: number, replica: string, retryAfterMs?: number): QuotaEvent {
    return this.#append(kind, call, replica, undefined, retryAfterMs);
  }

  /** Writes back what was counted. */
  async close(): Promise<void> {
    const lanes = [...this.#changed]
      .map((name) => this.#lanes?.get(name))
      .filter((lane) => lane !== undefined);
    const filled = lanes.filter(({ waiting }) => waiting > 0);
    const emptied = lanes.filter(({ waiting }) => waiting <= 0);
    if (filled.length > 0) {
      await this.#query(
        `insert into bff.lane (name, caller, turn, waiting)
          select * from unnest($1::text[], $2::text[], $3::bigint[], $4::integer[])
          on conflict (name) do update set turn = excluded.turn, waiting = excluded.waiting`,
        [
          filled.map(({ name }) => name),
          filled.map(({ caller }) => caller),
          filled.map(({ turn }) => turn),
          filled.map(({ waiting }) => waiting),
        ],
      );
    }
    if (emptied.length > 0) {
      await this.#query('delete from bff.lane where name = any($1::text[])', [
        emptied.map(({ name }) => name),
      ]);
    }
    const events = this.#events;
    const state = [this.nowMs, this.#lastEvent, this.#lastTicket, this.#lastTurn, this.#waiting];
    const update =
      'update bff.gate set last_ms = $1, last_event = $2, last_ticket = $3, last_turn = $4, waiting = $5 where id = 1';
    if (events.length === 0) await this.#query(update, state);
    else {
      await this.#query(
        `with appended as (
            insert into bff.quota_event (at_ms, seq, kind, call, replica, caller, retry_after_ms)
            select $1::double precision, * from
              unnest($6::bigint[], $7::text[], $8::bigint[], $9::text[], $10::text[], $11::double precision[]))
          ${update}`,
        [
          ...state,
          events.map(({ seq }) => seq),
          events.map(({ kind }) => kind),
          events.map(({ call }) => call),
          events.map(({ replica }) => replica),
          events.map(({ caller }) => caller ?? null),
          events.map(({ retryAfterMs }) => retryAfterMs ?? null),
        ],
      );
    }
  }

  #append(
    kind: QuotaEvent['kind'],
    call: number,
    replica: string,
    caller: string | undefined,
    retryAfterMs: number | undefined,
  ): QuotaEvent {
    const event = {
      seq: (this.#lastEvent += 1),
      atMs: this.nowMs,
      kind,
      call,
      replica,
      caller,
      retryAfterMs,
    };
    this.#events.push(event);
    return event;
  }

  async #putDown(
    { seq, lane, caller, state: former }: Ticket,
    state: TicketState,
    untilMs: number | null,
  ): Promise<void> {
    await this.#query(
      'update bff.line set state = $2, until_ms = $3, replica = null, call = null where seq = $1',
      [seq, state, untilMs],
    );
    const change = Number(isWaiting(state)) - Number(isWaiting(former));
    if (change !== 0) await this.#count(lane, caller, change);
  }

  #until(forMs: number): number {
    const untilMs = this.nowMs + forMs;
    this.nextUntilMs = Math.min(this.nextUntilMs ?? Infinity, untilMs);
    return untilMs;
  }

  /** A lane that is new in the round goes to its end. */
  async #count(name: string, caller: string, change: number): Promise<void> {
    const lanes = await this.#loadedLanes();
    let lane = lanes.get(name);
    if (lane === undefined) {
      lane = { name, caller, turn: 0, waiting: 0 };
      lanes.set(name, lane);
    }
    if (lane.waiting === 0) lane.turn = this.#lastTurn += 1;
    lane.waiting += change;
    this.#waiting += change;
    this.#changed.add(name);
  }

  async #loadedLanes(): Promise<Map<string, Lane>> {
    this.#lanes ??= new Map((await readLanes(this.#query)).map((lane) => [lane.name, lane]));
    return this.#lanes;
  }
}

/** Of each lane the first that may go, in the order of the lanes: as many look-ups in an index as lanes are passed. */
export const NEXT_TICKET = nextTicketWhere(
  "state = 'wants' and after_session is null and after_message is null",
);
/** The same of those that some replica has in hand. */
export const NEXT_IN_HANDS = nextTicketWhere(
  "state = 'wants' and after_session is null and after_message is null and replica is not null",
);

function nextTicketWhere(condition: string): string {
  return `select t.* from unnest($1::text[]) with ordinality as l (name, place)
    cross join lateral (select ${TICKET} from bff.line
      where lane = l.name and ${condition} order by seq limit 1) as t
    order by l.place limit 1`;
}

export const NO_FORMERS: Formers = { session: undefined, message: undefined, dueAtMs: -Infinity };

interface GateRow {
  readonly last_ms: number;
  readonly last_event: string;
  readonly last_ticket: string;
  readonly last_turn: string;
  readonly waiting: number;
}

interface PresentRow {
  readonly now_ms: number;
  readonly is_alive: boolean;
  readonly until_ms: number | null;
}
