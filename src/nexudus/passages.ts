import { Injectable } from '@nestjs/common';

/** Counts the writes that came through to Nexudus itself: the firewall in front of it may block one, or all. */
@Injectable()
export class Passages {
  #count = 0;

  get count(): number {
    return this.#count;
  }

  /** Nexudus itself has answered to a write, whatever it said. */
  passed(): void {
    this.#count += 1;
  }
}
