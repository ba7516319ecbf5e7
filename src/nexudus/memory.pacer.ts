import type { Clock } from '../clock/clock.js';
import type { Deadline } from './deadline.js';
import { FairLine } from './fair-line.js';
import { QuotaExhausted } from './nexudus.errors.js';
import { Pacer } from './pacer.js';
import { Quota, type PacerLimits, type Slot, type WindowState } from './quota.js';
import { TIMER_GRAIN_MS } from './slot-forecast.js';
import { WaitingWrite, type PacedWrite, type Place, type WaitingRoom } from './waiting-write.js';

/**
 * The pacer of a process that is alone: it knows all calls that are made.
 *
 * Single-threaded and driven by calls and one timer: with a clock that is held it is deterministic.
 */
export class MemoryPacer extends Pacer {
  readonly #clock: Clock;
  readonly #quota: Quota;
  /** From admission on, so that nobody is promised a slot that another one was promised. */
  readonly #line = new FairLine<WaitingWrite>();
  #calls: WaitingCall[] = [];
  readonly #sessions = new Map<string, WaitingWrite>();
  readonly #room: WaitingRoom;
  #seq = 0;
  #cancelTimer: (() => void) | undefined;

  constructor(limits: PacerLimits, clock: Clock) {
    super();
    this.#clock = clock;
    this.#quota = new Quota(limits, clock);
    this.#room = {
      clock,
      enqueue: (write) => {
        this.#enqueue(write);
      },
      withdraw: (write) => {
        this.#line.remove(write);
        write.unlink(this.#sessions);
        this.#serve();
      },
      expire: (write) => {
        if (this.#line.remove(write)) write.refuse(this.#freeAtMs(write));
      },
    };
  }

  override admit(write: PacedWrite): Place {
    const { caller, session, deadline } = write;
    const nowMs = this.#clock.nowMs();
    this.#quota.see(caller);
    const former = session === undefined ? undefined : this.#sessions.get(session);
    const ahead = this.#line.ahead(caller);
    const overtakes = ahead < this.#line.size;
    const dueAtMs = this.#dueAtMs({ caller, former }, ahead, this.#line.sizeOf(caller));
    if (!deadline.allowsAttempt(dueAtMs - nowMs)) {
      throw new QuotaExhausted(this.#freeAtMs({ caller, former }) - nowMs);
    }
    const place = new WaitingWrite(this.#room, write, (this.#seq += 1), dueAtMs, former);
    if (session !== undefined) this.#sessions.set(session, place);
    this.#line.add(place);
    if (overtakes) this.#refuseTheLate();
    return place;
  }

  override async call(deadline: Deadline): Promise<Slot> {
    const inMs = this.#quota.callAtMs(this.#calls.length) - this.#clock.nowMs();
    if (!deadline.allowsAttempt(inMs)) throw new QuotaExhausted(inMs);
    return new Promise((granted, refused) => {
      const cancelTimer = this.#clock.after(deadline.remainingMs() - deadline.minimumAttemptMs, () => {
        this.#refuseCall(call);
      });
      const call: WaitingCall = { deadline, granted, refused, cancelTimer };
      this.#calls.push(call);
      this.#refuseTheLate();
      this.#serve();
    });
  }

  override review(): void {
    this.#refuseTheLate();
  }

  override get pausedForMs(): number {
    return this.#quota.pausedForMs;
  }

  override get waiting(): number {
    return this.#line.size;
  }

  override get oldestWaitMs(): number {
    const { oldest } = this.#line;
    return oldest ? this.#clock.nowMs() - oldest.sinceMs : 0;
  }

  override windows(kind?: 'write'): WindowState[] {
    return this.#quota.states(kind);
  }

  #enqueue(write: WaitingWrite): void {
    if (!this.#line.has(write)) {
      // It had a slot already, and comes back with the same place among its own.
      this.#line.add(write);
      this.#refuseTheLate();
    } else if (!write.deadline.allowsAttempt()) {
      this.#room.expire(write);
    }
    this.#serve();
  }

  /** Hands out slots as long as there are some and somebody may have one. */
  #serve(): void {
    let passedOver = false;
    const ended = (isWorse: boolean): void => {
      if (isWorse) this.#refuseTheLate();
      this.#serve();
    };
    let nowMs = this.#clock.nowMs();
    for (; this.#quota.allows('call', nowMs); nowMs = this.#clock.nowMs()) {
      const call = this.#calls.shift();
      if (call !== undefined) {
        call.cancelTimer();
        call.granted(this.#quota.begin('call', undefined, ended));
        continue;
      }
      if (this.#line.size === 0 || !this.#quota.allows('write', nowMs)) break;
      const blocked: WaitingWrite[] = [];
      const write = this.#line.take(
        (item) => item.mayBeSent || blocked.push(item) === 0,
        (caller) => this.#quota.allowsCaller(caller),
      );
      if (write === undefined) break;
      if (!write.deadline.allowsAttempt()) {
        write.refuse(this.#freeAtMs(write));
        continue;
      }
      passedOver ||= blocked.length > 0;
      write.dueAtMs = this.#clock.nowMs();
      write.grant(this.#quota.begin('write', write.caller, ended));
    }
    if (passedOver) {
      // That took its time: what held the others up may be over.
      this.#refuseTheLate();
      this.#serve();
      return;
    }
    this.#setTimer(nowMs);
  }

  /** When a write with so many others before it is expected to be sent. */
  #dueAtMs({ caller, former }: Comer, ahead: number, ownAhead: number): number {
    const atMs = this.#quota.writeAtMs({ caller, ahead, ownAhead, calls: this.#calls.length });
    return former ? Math.max(atMs, former.dueAtMs + this.#quota.usualLatencyMs + TIMER_GRAIN_MS) : atMs;
  }

  /** When there is a slot for it if it comes back then and nobody else came: all that wait are through. */
  #freeAtMs(comer: Comer): number {
    return this.#dueAtMs(comer, this.#line.size, this.#line.sizeOf(comer.caller));
  }

  /** Whoever can no longer be served in time hears so now, not at the end. */
  #refuseTheLate(): void {
    const nowMs = this.#clock.nowMs();
    const late: WaitingWrite[] = [];
    const own = new Map<string, number>();
    let ahead = 0;
    for (const write of this.#line.inOrder()) {
      const ownAhead = own.get(write.caller) ?? 0;
      const dueAtMs = this.#dueAtMs(write, ahead, ownAhead);
      if (!write.deadline.allowsAttempt(dueAtMs - nowMs)) {
        late.push(write);
        continue;
      }
      write.dueAtMs = dueAtMs;
      own.set(write.caller, ownAhead + 1);
      ahead += 1;
    }
    const isLate = ({ deadline }: WaitingCall, index: number): boolean =>
      !deadline.allowsAttempt(this.#quota.callAtMs(index) - nowMs);
    for (const call of this.#calls.filter(isLate)) this.#refuseCall(call);
    // All are out before one hears, since whoever hears may come in again.
    for (const write of late) this.#line.remove(write);
    for (const write of late) write.refuse(this.#freeAtMs(write));
  }

  #refuseCall(call: WaitingCall): void {
    call.cancelTimer();
    this.#calls = this.#calls.filter((other) => other !== call);
    call.refused(new QuotaExhausted(this.#quota.callAtMs(this.#calls.length) - this.#clock.nowMs()));
  }

  /** Wakes up when a slot may have become free; what is under way wakes it by ending. */
  #setTimer(nowMs: number): void {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    if (this.#line.size === 0 && this.#calls.length === 0) return;
    const atMs = this.#quota.nextChangeAtMs(this.#calls.length > 0 ? 'call' : 'write', nowMs);
    if (atMs === Infinity) return;
    // A timer drops the fraction: it would come just too early.
    this.#cancelTimer = this.#clock.after(Math.max(0, Math.ceil(atMs - nowMs)), () => {
      this.#serve();
    });
  }
}

/** Who comes, and the one of its session that has to end first. */
type Comer = Pick<WaitingWrite, 'caller' | 'former'>;

interface WaitingCall {
  readonly deadline: Deadline;
  readonly granted: (slot: Slot) => void;
  readonly refused: (error: QuotaExhausted) => void;
  readonly cancelTimer: () => void;
}
