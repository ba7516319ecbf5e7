import type { Announcements } from '../database/announcements.js';
import type { Clock } from '../clock/clock.js';
import { OneAtATime } from '../clock/one-at-a-time.js';
import { DatabaseUnavailable } from '../database/database.errors.js';
import type { Database } from '../database/database.js';
import type { Deadline } from '../nexudus/deadline.js';
import type { DeliveryServer } from '../nexudus/delivery.line.js';
import { QuotaExhausted } from '../nexudus/nexudus.errors.js';
import type { PacerLimits } from '../nexudus/pacer.js';
import type { CallEnd, CallKind, Quota, Slot } from '../nexudus/quota.js';
import { TIMER_GRAIN_MS } from '../nexudus/slot-forecast.js';
import type { PacedWrite } from '../nexudus/waiting-write.js';
import type { AppLogger } from '../observability/app-logger.js';
import { NO_FORMERS, PRESENT_MS, type Comer, type Formers } from './gate.js';
import { type Effect, GateQueue, type GateTurn, type GateWork, LINE_CHANNEL, TO_ALL } from './gate.queue.js';
import {
  aheadOf,
  CALLS_LANE,
  callsLane,
  isAwaited,
  readLine,
  turnsOf,
  waitingCalls,
  type Lane,
  type LineState,
} from './lanes.js';
import { LinePlace, type LineRoom } from './line.place.js';
import type { Replica } from './replica.js';
import type { EndKind, SharedQuota } from './shared-quota.js';
import { WAITS, type NextTicket, type Ticket } from './ticket.js';

/** Slots that are given in one transaction: it holds up all replicas. */
const MOST_GRANTS = 50;
/** So that not all replicas look at the same moment. */
const JITTER_MS = 8;
/** A delivery of a dead replica waits for the ledger to say what became of it. */
const ORPHAN_RESTS_MS = 5_000;
const FLUSH_WITHIN_MS = 5_000;
/** It may be back; if not, the others end what this replica leaves behind. */
const FLUSH_UNREACHABLE_MS = 500;
/**
 * The one line of all replicas, and the one quota behind it. Whoever wants or frees something gives slots to all who
 * may have one, here and in other replicas; those hear of it by an announcement, or find it when they look.
 */
export class SharedLine implements GateWork, LineRoom {
  readonly #queue: GateQueue;
  readonly #places = new Map<number, LinePlace>();
  /** Calls that were handed out here, and whose end is not written down. */
  readonly #mine = new Set<number>();
  #server: DeliveryServer | undefined;
  #line: LineState = NOBODY;
  #throttledAt = 0;
  #cancelTimer: (() => void) | undefined;
  #timerAtMs = Infinity;
  #isPumping = false;
  readonly #looking = new OneAtATime(() => this.#look());
  #isStopped = false;
  /** Whether there are other replicas. */
  hasOthers = true;

  constructor(
    limits: PacerLimits,
    private readonly database: Database,
    announcements: Announcements,
    private readonly replica: Replica,
    private readonly clock: Clock,
    private readonly log: AppLogger,
  ) {
    this.#queue = new GateQueue(limits, database, announcements, replica, this, clock, log);
    announcements.on(LINE_CHANNEL, (text) => {
      if (text === undefined || text === TO_ALL || text.includes(replica.id)) void this.look();
    });
  }

  get quota(): SharedQuota {
    return this.#queue.quota;
  }

  get waiting(): number {
    return this.#turns.reduce((sum, { waiting }) => sum + waiting, 0);
  }

  get oldestWaitMs(): number {
    const { oldestSinceMs } = this.#line;
    return oldestSinceMs === undefined ? 0 : Math.max(0, this.quota.presentMs - oldestSinceMs);
  }

  /** Takes a write in. */
  admit({ caller, session, message, deadline, isReady = false }: PacedWrite): Promise<LinePlace> {
    return this.#ask({ caller, lane: caller }, deadline, async (turn) => {
      const { gate, quota } = turn;
      const { truth } = quota;
      truth.see(caller);
      const comer = { lane: caller, caller, replica: turn.replica, deliveryId: undefined, session, message };
      const formers = await gate.formers(session, message);
      const { ahead, own } = await gate.ahead(caller);
      const calls = await gate.waitingIn(CALLS_LANE);
      const dueAtMs = dueOf(truth, formers, { caller, ahead, ownAhead: own, calls });
      if (!deadline.allowsAttempt(dueAtMs - gate.nowMs)) {
        const all = { caller, ahead: gate.waiting - calls, ownAhead: own, calls };
        const error = new QuotaExhausted(dueOf(truth, formers, all) - gate.nowMs);
        return () => error;
      }
      const goesAtOnce =
        isReady &&
        gate.waiting === 0 &&
        formers.session === undefined &&
        formers.message === undefined &&
        truth.allows('write', gate.nowMs) &&
        truth.allowsCaller(caller);
      const call = goesAtOnce ? turn.begin('write', turn.replica, caller) : undefined;
      const state = goesAtOnce ? 'granted' : isReady ? 'wants' : 'admitted';
      const seq = await gate.enter(comer, formers, dueAtMs, state, call);
      return () => this.#placeOf(seq, comer, turn.replica, deadline, call, state === 'wants');
    });
  }

  /** A slot for a call that is not a write. */
  async call(deadline: Deadline): Promise<Slot> {
    const place = await this.#ask<LinePlace | Slot>(CALLS, deadline, async (turn) => {
      const { gate, quota } = turn;
      const before = await gate.waitingIn(CALLS_LANE);
      if (before === 0 && quota.truth.allows('call', gate.nowMs)) {
        const call = turn.begin('call', turn.replica, undefined);
        return () => this.#slotOf(call, turn.replica);
      }
      const inMs = quota.truth.callAtMs(before) - gate.nowMs;
      if (!deadline.allowsAttempt(inMs)) return () => new QuotaExhausted(inMs);
      const comer = { ...CALLS, replica: turn.replica, ...NOTHING_KNOWN };
      const seq = await gate.enter(comer, NO_FORMERS, gate.nowMs + inMs, 'wants');
      return () => this.#placeOf(seq, comer, turn.replica, deadline, undefined, true);
    });
    if (!(place instanceof LinePlace)) return place;
    return new Promise((granted, refused) => {
      place.requestSlot(
        (slot) => {
          // Its ticket was for the wait alone.
          place.leave();
          granted(slot);
        },
        (error) => {
          place.leave();
          refused(error);
        },
      );
    });
  }

  serve(server: DeliveryServer): void {
    this.#server = server;
    this.pump();
  }

  /** Gives slots to all who may have one, soon. */
  pump(): void {
    if (this.#isPumping || this.#isStopped) return;
    this.#isPumping = true;
    const done = (): void => {
      this.#isPumping = false;
    };
    this.#queue.add({ isDurable: false, run: () => Promise.resolve(done), failed: done });
  }

  /** Resolves when nothing is left to be done by this replica, or it takes too long. */
  async settle(): Promise<void> {
    await this.#queue.flush(this.database.isReachable ? FLUSH_WITHIN_MS : FLUSH_UNREACHABLE_MS);
  }

  /** Ends what replicas left behind whose lease is over. */
  async reap(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#queue.add({
        isDurable: false,
        run: async (turn) => {
          const dead = await turn.gate.query<{ id: string }>(
            'delete from bff.replica where lease_until_ms < $1 and id <> $2 returning id',
            [turn.gate.nowMs, turn.replica],
          );
          if (dead.length > 0) await this.#bury(turn, new Set(dead.map(({ id }) => id)));
          return () => {
            if (dead.length > 0)
              this.log.warn({ replicas: dead.length }, 'Replicas are gone: what they held is free');
            resolve();
          };
        },
        failed: () => {
          resolve();
        },
      });
    });
  }

  /** How things stand by now; it costs nobody anything. */
  async look(): Promise<void> {
    try {
      // What it is told of may have come after what is being read: then once more.
      await this.#looking.run();
    } catch (error) {
      if (!(error instanceof DatabaseUnavailable)) {
        this.log.error({ err: error }, 'The line could not be looked at');
      }
    }
  }

  /** Whoever of this replica's can no longer be served in time hears so now. */
  async review(): Promise<void> {
    const asking = [...this.#places.values()].filter(({ isAsking }) => isAsking);
    if (asking.length === 0) return;
    const rows = await this.database
      .query<{ seq: string; own: string }>(OWN_AHEAD, [
        asking.map(({ seq }) => seq),
        [...new Set(asking.map(({ lane }) => lane))],
        Math.max(...asking.map(({ seq }) => seq)),
      ])
      .catch(() => []);
    const { view, presentMs } = this.quota;
    for (const { seq, own } of rows) {
      const place = this.#places.get(Number(seq));
      if (!place?.isAsking || place.deadline === undefined) continue;
      const { caller, lane, deadline } = place;
      const { ahead } = aheadOf(this.#turns, lane, Number(own));
      const isCall = lane === CALLS_LANE;
      const dueAtMs = isCall
        ? view.callAtMs(Number(own))
        : view.writeAtMs({ caller, ahead, ownAhead: Number(own), calls: waitingCalls(this.#line.lanes) });
      if (!deadline.allowsAttempt(dueAtMs - presentMs)) place.refuse(this.tooLate(place));
    }
  }

  /** Writes down what is left to be written, and leaves the others. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#cancelTimer?.();
    this.#queue.add({
      isDurable: true,
      run: async (turn) => {
        // Deliveries that were not sent are the others' now.
        await turn.gate.query('delete from bff.replica where id = $1', [turn.replica]);
        await this.#bury(turn, new Set([turn.replica]));
        return () => {
          this.replica.giveUp();
          this.#queue.stop();
        };
      },
      failed: () => undefined,
    });
    await this.settle();
    this.#queue.stop();
  }

  // Of a place.

  want(place: LinePlace): void {
    this.#forPlace(place, async (turn, ticket) => {
      if (ticket.state === 'admitted' || (ticket.state === 'granted' && ticket.call === place.lastCall)) {
        if (place.isAsking) await turn.gate.want(ticket);
      }
      return () => {
        if (ticket.state === 'granted' && ticket.call !== undefined) this.#handOut(place, ticket.call);
      };
    });
  }

  leave(place: LinePlace): void {
    this.#places.delete(place.seq);
    this.#forPlace(place, async (turn, ticket) => {
      this.#takeBack(turn, place, ticket);
      // Another delivery may have inherited it.
      if (ticket.deliveryId === place.deliveryId) await turn.gate.leave(ticket);
      else await turn.gate.wantAgain(ticket);
      return nothing;
    });
  }

  retreat(place: LinePlace, afterMs: number): Promise<void> {
    return this.#part(place, (turn, ticket) => turn.gate.rest(ticket, afterMs));
  }

  leaveAfter(place: LinePlace, ms: number): Promise<void> {
    return this.#part(place, (turn, ticket) => turn.gate.hold(ticket, ms));
  }

  tooLate(who: Pick<LinePlace, 'caller' | 'lane'>): QuotaExhausted | DatabaseUnavailable {
    if (!this.database.isReachable) return new DatabaseUnavailable(false);
    const { view, presentMs } = this.quota;
    // As if it came anew: all others that wait are before it then.
    const itself = who instanceof LinePlace ? 1 : 0;
    const inLane = this.#line.lanes.find(({ name }) => name === who.lane)?.waiting ?? 0;
    const ownAhead = Math.max(0, inLane - itself);
    const calls = waitingCalls(this.#line.lanes);
    const dueAtMs =
      who.lane === CALLS_LANE
        ? view.callAtMs(ownAhead)
        : view.writeAtMs({ caller: who.caller, ahead: Math.max(0, this.waiting - itself), ownAhead, calls });
    return new QuotaExhausted(Math.max(0, dueAtMs - presentMs));
  }

  // Of the gate.

  async reconcile(turn: GateTurn): Promise<void> {
    const known = new Set(this.#mine);
    for (const ticket of await turn.gate.ticketsOf([turn.replica])) {
      const place = this.#places.get(ticket.seq);
      if (place !== undefined) {
        // What was granted meanwhile is handed out when somebody looks.
        if (ticket.call !== undefined && ticket.call > place.lastCall) known.add(ticket.call);
      } else if (ticket.deliveryId === undefined) await turn.gate.leave(ticket);
      else await turn.gate.rest(ticket, 0);
    }
    for (const [call, { replica }] of turn.quota.open) {
      if (replica === turn.replica && !known.has(call)) turn.end(call, 'not-sent');
    }
  }

  async finish(turn: GateTurn): Promise<Effect[]> {
    const { gate, quota } = turn;
    await gate.wake();
    const effects: Effect[] = [];
    let deliverable = this.#server?.isAble ? (this.#server.room ?? 1) : 0;
    let grants = 0;
    for (; grants < MOST_GRANTS && gate.waiting > 0; grants += 1) {
      const ticket = await this.#next(turn, deliverable > 0);
      if (ticket === undefined) break;
      const kind: CallKind = ticket.lane === CALLS_LANE ? 'call' : 'write';
      if (ticket.replica === undefined) deliverable -= 1;
      const owner = ticket.replica ?? turn.replica;
      const call = turn.begin(kind, owner, kind === 'write' ? ticket.caller : undefined);
      await gate.grant(ticket, call, owner);
      if (owner === turn.replica) {
        effects.push(() => {
          this.#granted(ticket, call, owner);
        });
      } else turn.tell(owner);
    }
    const lanes = gate.waiting === 0 ? [] : await gate.lanes();
    const calls = await gate.waitingIn(CALLS_LANE);
    const inMs = this.#quietForMs(turn, calls > 0 ? 'call' : 'write', grants === MOST_GRANTS);
    effects.push(() => {
      // Who waits for how long is looked up from time to time, for operators: nobody holds the gate for it.
      const oldestSinceMs = lanes.some(isAwaited) ? this.#line.oldestSinceMs : undefined;
      this.#line = { lanes: calls > 0 ? [...lanes, callsLane(calls)] : lanes, oldestSinceMs };
      this.#wakeIn(inMs);
      if (quota.throttledAt > this.#throttledAt) this.#throttled(quota.throttledAt);
    });
    return effects;
  }

  reborn(): void {
    this.#mine.clear();
    for (const [seq, place] of this.#places) {
      if (place.life === this.replica.id) continue;
      this.#places.delete(seq);
      place.lose();
    }
  }

  get #turns(): readonly Lane[] {
    return turnsOf(this.#line.lanes);
  }

  async #next(turn: GateTurn, mayDeliver: boolean): Promise<NextTicket | undefined> {
    const { gate, quota } = turn;
    const { truth } = quota;
    if (!truth.allows('call', gate.nowMs)) return undefined;
    if ((await gate.waitingIn(CALLS_LANE)) > 0) {
      const call = await gate.next([CALLS_LANE], true);
      if (call !== undefined) return call;
    }
    if (!truth.allows('write', gate.nowMs)) return undefined;
    const lanes = await gate.lanes();
    for (const { caller } of lanes) truth.see(caller);
    const mayGo = lanes.filter(({ caller }) => truth.allowsCaller(caller));
    // A delivery that this replica, or another, has in hand goes on, whoever has no hand free for one more.
    return gate.next(
      mayGo.map(({ name }) => name),
      !mayDeliver,
    );
  }

  /** Until the quota, or the end of a rest, may let somebody go. */
  #quietForMs({ gate, quota }: GateTurn, kind: CallKind, isUnfinished: boolean): number {
    if (isUnfinished) return 0;
    const untilMs = gate.nextUntilMs ?? Infinity;
    const quotaAtMs = gate.waiting > 0 ? quota.truth.nextChangeAtMs(kind, gate.nowMs) : Infinity;
    return Math.max(0, Math.min(untilMs, quotaAtMs) - gate.nowMs);
  }

  /** Pumps then, unless it does so sooner. */
  #wakeIn(inMs: number, isKept = false): void {
    const atMs = this.clock.nowMs() + inMs;
    if (this.#isStopped || (isKept && this.#timerAtMs <= atMs)) return;
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    this.#timerAtMs = atMs;
    if (inMs === Infinity) return;
    const jitterMs = this.hasOthers ? Math.random() * JITTER_MS : 0;
    // A timer drops the fraction: it would come just too early.
    this.#cancelTimer = this.clock.after(Math.ceil(inMs + jitterMs), () => {
      this.#timerAtMs = Infinity;
      if (this.hasOthers) void this.look();
      else this.pump();
    });
  }

  async #look(): Promise<void> {
    if (this.#isStopped) return;
    const [row] = await this.database.query<LookRow & Record<string, unknown>>(
      `select ${PRESENT_MS} as now_ms, waiting, last_event,
          (select min(until_ms) from bff.line where until_ms is not null) as until_ms
        from bff.gate where id = 1`,
    );
    if (row === undefined) return;
    if (Number(row.last_event) > this.quota.lastSeq) await this.#queue.catchUp();
    this.quota.observe(row.now_ms);
    this.#line = row.waiting === 0 ? NOBODY : await readLine(this.database.query);
    if ([...this.#places.values()].some(({ isAsking }) => isAsking)) await this.#collect();
    const { throttledAt, view } = this.quota;
    if (throttledAt > this.#throttledAt) this.#throttled(throttledAt);
    const untilMs = row.until_ms ?? Infinity;
    const kind = waitingCalls(this.#line.lanes) > 0 ? 'call' : 'write';
    const { presentMs } = this.quota;
    if (untilMs <= presentMs || (row.waiting > 0 && view.allows(kind, presentMs))) this.pump();
    else {
      const quotaAtMs = row.waiting > 0 ? view.nextChangeAtMs(kind, presentMs) : Infinity;
      this.#wakeIn(Math.max(0, Math.min(untilMs, quotaAtMs) - presentMs), true);
    }
  }

  /** Hands out what other replicas granted to this one's. */
  async #collect(): Promise<void> {
    const life = this.replica.id;
    const rows = await this.database.query<{ seq: string; call: string }>(
      "select seq, call from bff.line where replica = $1 and state = 'granted' and call is not null",
      [life],
    );
    for (const { seq, call } of rows) {
      const place = this.#places.get(Number(seq));
      if (place?.life === life) this.#handOut(place, Number(call));
    }
  }

  #granted(ticket: NextTicket, call: number, life: string): void {
    const place = this.#places.get(ticket.seq);
    if (place !== undefined) {
      this.#handOut(place, call);
      return;
    }
    if (ticket.deliveryId === undefined) return;
    const own = this.#placeOf(ticket.seq, ticket, life, undefined, call);
    this.#server?.send(ticket.deliveryId, own);
    if (this.#server?.isAble) this.pump();
  }

  /** Nothing where it was handed out already. */
  #handOut(place: LinePlace, call: number): void {
    if (call <= place.lastCall) return;
    place.lastCall = call;
    place.grant(this.#slotOf(call, place.life));
  }

  #placeOf(
    seq: number,
    { lane, caller, deliveryId }: Pick<Comer, 'lane' | 'caller' | 'deliveryId'>,
    life: string,
    deadline: Deadline | undefined,
    call: number | undefined,
    isWanting = false,
  ): LinePlace {
    const first = call === undefined ? undefined : { slot: this.#slotOf(call, life), call };
    const place = new LinePlace(this, seq, lane, caller, deliveryId, life, deadline, isWanting, first);
    this.#places.set(seq, place);
    return place;
  }

  #slotOf(call: number, life: string): Slot {
    this.#mine.add(call);
    const { replica } = this;
    let isOver = false;
    return {
      get isHeld() {
        return replica.isSureOf(life);
      },
      end: (end) => {
        if (isOver) return;
        isOver = true;
        this.#end(call, end);
      },
    };
  }

  #end(call: number, end: CallEnd): void {
    const retryAfterMs = end.kind === 'throttled' ? end.retryAfterMs : undefined;
    const kind: EndKind = end.kind;
    this.#queue.add({
      isDurable: true,
      run: (turn) => {
        turn.end(call, kind, retryAfterMs);
        return Promise.resolve(() => {
          this.#mine.delete(call);
        });
      },
      failed: () => undefined,
    });
  }

  /** A slot that was granted and never handed out. */
  #takeBack(turn: GateTurn, place: LinePlace, { call }: Ticket): void {
    if (call !== undefined && call > place.lastCall) turn.end(call, 'not-sent');
  }

  async #part(place: LinePlace, work: (turn: GateTurn, ticket: Ticket) => Promise<void>): Promise<void> {
    this.#places.delete(place.seq);
    await new Promise<void>((resolve) => {
      this.#forPlace(
        place,
        async (turn, ticket) => {
          this.#takeBack(turn, place, ticket);
          await work(turn, ticket);
          return resolve;
        },
        resolve,
      );
    });
  }

  /** As soon as it can be done, unless the ticket is not that place's any more. */
  #forPlace(
    place: LinePlace,
    work: (turn: GateTurn, ticket: Ticket) => Promise<Effect>,
    otherwise: Effect = nothing,
  ): void {
    this.#queue.add({
      isDurable: true,
      run: async (turn) => {
        const ticket = place.life === turn.replica ? await turn.gate.ticket(place.seq) : undefined;
        return ticket?.replica === place.life ? work(turn, ticket) : otherwise;
      },
      failed: otherwise,
    });
  }

  /** What these replicas held is free. */
  async #bury(turn: GateTurn, dead: ReadonlySet<string>): Promise<void> {
    for (const [call, { replica }] of turn.quota.open) if (dead.has(replica)) turn.end(call, 'unanswered');
    for (const { seq } of await turn.gate.ticketsOf([...dead])) {
      // Anew for each: that the former left has changed the link.
      const ticket = await turn.gate.ticket(seq);
      if (ticket === undefined) continue;
      if (ticket.deliveryId === undefined) await turn.gate.leave(ticket);
      else await turn.gate.rest(ticket, ORPHAN_RESTS_MS);
    }
  }

  #throttled(at: number): void {
    this.#throttledAt = at;
    void this.review();
  }

  /** Asked while the gate is held, and answered when that is committed. */
  #ask<T extends LinePlace | Slot>(
    who: Pick<LinePlace, 'caller' | 'lane'>,
    deadline: Deadline,
    run: (turn: GateTurn) => Promise<() => T | QuotaExhausted>,
  ): Promise<T> {
    if (!this.database.isReachable) return Promise.reject(new DatabaseUnavailable(false));
    return new Promise((resolve, reject) => {
      let isOver = false;
      const cancel = deadline.whenLate(() => {
        isOver = true;
        const error = this.tooLate(who);
        // Where the quota has room, it was the database that did not answer in time.
        const hasRoom = error instanceof QuotaExhausted && error.retryAfterMs < 1;
        reject(hasRoom ? new DatabaseUnavailable(false) : error);
      });
      this.#queue.add({
        isDurable: false,
        run: async (turn) => {
          if (isOver) return nothing;
          const made = await run(turn);
          return () => {
            cancel();
            const answer = made();
            if (answer instanceof QuotaExhausted) reject(answer);
            else if (!isOver) resolve(answer);
            else if (answer instanceof LinePlace) answer.leave();
            else answer.end({ kind: 'not-sent' });
          };
        },
        failed: (error) => {
          cancel();
          reject(error);
        },
      });
    });
  }
}

/** Who calls where it is not a write. */
const CALLS = { caller: CALLS_LANE, lane: CALLS_LANE };
const NOTHING_KNOWN = { deliveryId: undefined, session: undefined, message: undefined };
const NOBODY: LineState = { lanes: [], oldestSinceMs: undefined };
const nothing: Effect = () => undefined;

/**
 * How many of its lane are before each of these tickets (`$1`) of these lanes (`$2`), whatever their state: one that was throttled may not have said yet
 * that it wants to go again. Nothing behind the last of them (`$3`) is read.
 */
const OWN_AHEAD = `select seq, own from (
    select seq, row_number() over (partition by lane order by seq) - 1 as own from (
      select lane, seq from bff.line where lane = any($2::text[]) and seq <= $3::bigint and ${WAITS}
      union
      select lane, seq from bff.line where seq = any($1::bigint[])
    ) as tickets
  ) as numbered
  where seq = any($1::bigint[])`;

interface LookRow {
  readonly now_ms: number;
  readonly waiting: number;
  readonly last_event: string;
  readonly until_ms: number | null;
}

/** When a write in this position can be expected to be sent: after the ones of its session and its message. */
export function dueOf(
  quota: Quota,
  { dueAtMs }: Formers,
  position: Parameters<Quota['writeAtMs']>[0],
): number {
  return Math.max(quota.writeAtMs(position), dueAtMs + quota.usualLatencyMs + TIMER_GRAIN_MS);
}
