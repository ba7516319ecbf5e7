import type { Passages } from '../nexudus/passages.js';

const MOST_TRIES = 10;
/** Some are settled by another replica, and nobody says so here. */
const MOST_REMEMBERED = 1_000;

/**
 * Tells a block in front of Nexudus that is meant for one delivery from one that is meant for all: between its tries
 * others come through. Each replica goes by what it has seen itself.
 */
export class BlockedDeliveries {
  /** Tries in a row that count, and how many others had come through at the last of them. */
  readonly #seen = new Map<string, { readonly tries: number; readonly passages: number }>();

  constructor(private readonly passages: Pick<Passages, 'count'>) {}

  /** After a try that was blocked: whether that was one too many, with others coming through before each. */
  isMeant(id: string): boolean {
    const passages = this.passages.count;
    const former = this.#seen.get(id) ?? { tries: 0, passages: -1 };
    const tries = former.tries + (passages > former.passages ? 1 : 0);
    this.forget(id);
    if (tries >= MOST_TRIES) return true;
    this.#seen.set(id, { tries, passages });
    const [oldest] = this.#seen.keys();
    if (oldest !== undefined && this.#seen.size > MOST_REMEMBERED) this.forget(oldest);
    return false;
  }

  /** A try ended otherwise. */
  forget(id: string): void {
    this.#seen.delete(id);
  }
}
