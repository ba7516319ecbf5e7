import type { Place } from '../nexudus/waiting-write.js';

type Requested = Parameters<Place['requestSlot']>;

/** A place as whoever sends a write sees it: it asks for slots, while what becomes of the place is decided by its owner. */
export class BorrowedPlace implements Place {
  #isLeft = false;

  constructor(private readonly place: Place) {}

  requestSlot(...[granted, refused]: Requested): void {
    this.#isLeft = false;
    this.place.requestSlot(
      (slot) => {
        // It came when nobody wanted it any more, and its owner has not left the place yet.
        if (this.#isLeft) slot.end({ kind: 'not-sent' });
        else granted(slot);
      },
      (error) => {
        if (!this.#isLeft) refused(error);
      },
    );
  }

  leave(): void {
    this.#isLeft = true;
  }
}
