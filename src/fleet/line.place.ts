import { DatabaseUnavailable } from '../database/database.errors.js';
import type { Deadline } from '../nexudus/deadline.js';
import type { DeliveryPlace } from '../nexudus/delivery.line.js';
import type { QuotaExhausted } from '../nexudus/nexudus.errors.js';
import type { Slot } from '../nexudus/quota.js';

/** What a place asks of the line that it is in. */
export interface LineRoom {
  /** Wants a slot from now on. */
  want(place: LinePlace): void;
  /** Wants nothing any more. */
  leave(place: LinePlace): void;
  retreat(place: LinePlace, afterMs: number): Promise<void>;
  leaveAfter(place: LinePlace, ms: number): Promise<void>;
  /** Why it gets no slot in time. */
  tooLate(place: LinePlace): QuotaExhausted | DatabaseUnavailable;
}

/** A ticket in the hands of this replica. */
export class LinePlace implements DeliveryPlace {
  /** The latest call that came of it: the numbers only grow. */
  lastCall: number;
  /** A slot that nobody has asked for yet. */
  #slot: Slot | undefined;
  #granted: ((slot: Slot) => void) | undefined;
  #refused: ((error: QuotaExhausted | DatabaseUnavailable) => void) | undefined;
  #cancelTimer: (() => void) | undefined;
  /** Whether its ticket says already that it wants a slot. */
  #isWanting: boolean;
  #isLost = false;
  #isOver = false;

  /**
   * @param life of the replica that took it in: in another it is nobody's
   * @param deadline missing for a delivery, which nobody waits for
   * @param isWanting whether it was taken in as one that wants a slot
   * @param first the slot that it has from the start, and the number of its call
   */
  constructor(
    private readonly room: LineRoom,
    readonly seq: number,
    readonly lane: string,
    readonly caller: string,
    readonly deliveryId: string | undefined,
    readonly life: string,
    readonly deadline: Deadline | undefined,
    isWanting: boolean,
    first?: { readonly slot: Slot; readonly call: number },
  ) {
    this.#isWanting = isWanting;
    this.#slot = first?.slot;
    this.lastCall = first?.call ?? 0;
  }

  get isAsking(): boolean {
    return this.#granted !== undefined;
  }

  requestSlot(
    granted: (slot: Slot) => void,
    refused: (error: QuotaExhausted | DatabaseUnavailable) => void,
  ): void {
    const slot = this.#slot;
    this.#slot = undefined;
    if (slot !== undefined) {
      granted(slot);
      return;
    }
    if (this.#isLost || this.#isOver) {
      refused(new DatabaseUnavailable(false));
      return;
    }
    this.#granted = granted;
    this.#refused = refused;
    if (!this.#isWanting) this.room.want(this);
    this.#isWanting = true;
    this.#cancelTimer = this.deadline?.whenLate(() => {
      this.refuse(this.room.tooLate(this));
    });
  }

  leave(): void {
    if (this.#isOver) return;
    this.#end();
    this.room.leave(this);
  }

  async retreat(afterMs: number): Promise<void> {
    if (this.#isOver) return;
    this.#end();
    await this.room.retreat(this, afterMs);
  }

  async leaveAfter(ms: number): Promise<void> {
    if (this.#isOver) return;
    this.#end();
    await this.room.leaveAfter(this, ms);
  }

  /** Kept where nobody asks for it: until somebody does, or leaves. */
  grant(slot: Slot): void {
    const granted = this.#granted;
    this.#settle();
    this.#isWanting = false;
    if (granted === undefined) this.#slot = slot;
    else granted(slot);
  }

  refuse(error: QuotaExhausted | DatabaseUnavailable): void {
    const refused = this.#refused;
    this.#settle();
    refused?.(error);
  }

  /** The replica's life is over: whatever this place was is gone. */
  lose(): void {
    this.#isLost = true;
    this.refuse(new DatabaseUnavailable(false));
  }

  #end(): void {
    this.#isOver = true;
    this.#settle();
    this.#slot?.end({ kind: 'not-sent' });
    this.#slot = undefined;
  }

  #settle(): void {
    this.#granted = this.#refused = undefined;
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
  }
}
