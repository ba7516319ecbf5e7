import type { Clock } from '../clock/clock.js';
import type { DatabaseUnavailable } from '../database/database.errors.js';
import type { Deadline } from './deadline.js';
import { QuotaExhausted } from './nexudus.errors.js';
import type { Slot } from './quota.js';

/** One write that wants to be sent. */
export interface PacedWrite {
  readonly caller: string;
  /** Writes of one session are sent in order of arrival, each after the former's end. */
  readonly session: string | undefined;
  /** The message that it replaces; a pacer that is shared keeps the order of its writes, too. */
  readonly message?: number | undefined;
  readonly deadline: Deadline;
  /** Whether it would be sent at once if it got a slot: it has all else that it needs. */
  readonly isReady?: boolean;
}

/** A write that was taken in. It may ask for one slot after another, and must leave in the end. */
export interface Place {
  /** Calls back, at once or later, with a slot, or with the reason why there will be none in time. */
  requestSlot(
    granted: (slot: Slot) => void,
    refused: (error: QuotaExhausted | DatabaseUnavailable) => void,
  ): void;
  /** Gives up what it waits for, and lets the next of its session go. */
  leave(): void;
}

/** What a write asks of the pacer that it waits in. */
export interface WaitingRoom {
  readonly clock: Clock;
  /** Wants a slot from now on. */
  enqueue(write: WaitingWrite): void;
  /** Wants nothing any more. */
  withdraw(write: WaitingWrite): void;
  /** Its wait is over, and no slot came. */
  expire(write: WaitingWrite): void;
}

/** A write in the pacer, and its link to the former and the next one of its session. */
export class WaitingWrite implements Place {
  readonly caller: string;
  readonly deadline: Deadline;
  readonly seq: number;
  /** When it was taken in, on the clock's scale. */
  readonly sinceMs: number;
  /** When it is expected to be sent, or was sent; on the clock's scale. */
  dueAtMs: number;
  readonly #room: WaitingRoom;
  readonly #session: string | undefined;
  #former: WaitingWrite | undefined;
  #next: WaitingWrite | undefined;
  #granted: ((slot: Slot) => void) | undefined;
  #refused: ((error: QuotaExhausted) => void) | undefined;
  /** Refused before it asked: the client was still getting its token. */
  #refusedUntilMs: number | undefined;
  #cancelTimer: (() => void) | undefined;

  constructor(
    room: WaitingRoom,
    write: PacedWrite,
    seq: number,
    dueAtMs: number,
    former: WaitingWrite | undefined,
  ) {
    this.#room = room;
    this.caller = write.caller;
    this.deadline = write.deadline;
    this.#session = write.session;
    this.seq = seq;
    this.sinceMs = room.clock.nowMs();
    this.dueAtMs = dueAtMs;
    this.#former = former;
    if (former) former.#next = this;
  }

  /** The one of its session that has to end first. */
  get former(): WaitingWrite | undefined {
    return this.#former;
  }

  get mayBeSent(): boolean {
    return this.#isAsking && this.#former === undefined;
  }

  get #isAsking(): boolean {
    return this.#granted !== undefined;
  }

  requestSlot(granted: (slot: Slot) => void, refused: (error: QuotaExhausted) => void): void {
    this.#granted = granted;
    this.#refused = refused;
    if (this.#refusedUntilMs !== undefined) {
      this.refuse(this.#refusedUntilMs);
      return;
    }
    this.#room.enqueue(this);
    if (!this.#isAsking) return;
    this.#cancelTimer = this.deadline.whenLate(() => {
      this.#room.expire(this);
    });
  }

  leave(): void {
    this.#settle();
    this.#room.withdraw(this);
  }

  grant(slot: Slot): void {
    const granted = this.#granted;
    this.#settle();
    granted?.(slot);
  }

  /** @param freeAtMs when it could have been sent */
  refuse(freeAtMs: number): void {
    const refused = this.#refused;
    if (refused === undefined) this.#refusedUntilMs = freeAtMs;
    this.#settle();
    refused?.(new QuotaExhausted(Math.max(0, freeAtMs - this.#room.clock.nowMs())));
  }

  /** Steps out of the chain of its session; the last one takes the session along. */
  unlink(sessions: Map<string, WaitingWrite>): void {
    if (this.#session !== undefined && sessions.get(this.#session) === this) {
      if (this.#former) sessions.set(this.#session, this.#former);
      else sessions.delete(this.#session);
    }
    if (this.#former) this.#former.#next = this.#next;
    if (this.#next) this.#next.#former = this.#former;
    this.#former = this.#next = undefined;
  }

  #settle(): void {
    this.#granted = this.#refused = undefined;
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
  }
}
