import type { Deadline } from '../nexudus/deadline.js';
import { QuotaExhausted } from '../nexudus/nexudus.errors.js';
import type { Place } from '../nexudus/waiting-write.js';

type Requested = Parameters<Place['requestSlot']>;

/** A place as whoever sends a write sees it: it asks for slots, while what becomes of the place is decided by its owner. */
export class BorrowedPlace implements Place {
  #isLeft = false;
  #cancelTimer: () => void = () => undefined;

  /** @param deadline of the turn: a slot that comes later is for the next one */
  constructor(
    private readonly place: Place,
    private readonly deadline: Deadline,
  ) {}

  requestSlot(...[granted, refused]: Requested): void {
    this.#isLeft = false;
    this.#cancelTimer = this.deadline.whenLate(() => {
      this.leave();
      refused(new QuotaExhausted(0));
    });
    this.place.requestSlot(
      (slot) => {
        this.#cancelTimer();
        // It came when nobody wanted it any more, and its owner has not left the place yet.
        if (this.#isLeft) slot.end({ kind: 'not-sent' });
        else granted(slot);
      },
      (error) => {
        this.#cancelTimer();
        if (!this.#isLeft) refused(error);
      },
    );
  }

  leave(): void {
    this.#isLeft = true;
    this.#cancelTimer();
  }
}
