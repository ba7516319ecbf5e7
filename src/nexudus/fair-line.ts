/** Somebody in the line. */
export interface InLine {
  readonly caller: string;
  /** Order of arrival. */
  readonly seq: number;
}

/**
 * A line in which callers take turns: one message of each in every round, and a caller's own messages in order of
 * arrival (deficit round-robin where every message costs one write). A caller who floods waits behind itself.
 */
export class FairLine<T extends InLine> {
  /** In the order of their next turn: a map keeps the order in which its keys were set. */
  readonly #callers = new Map<string, T[]>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** How many of this caller's are in the line. */
  sizeOf(caller: string): number {
    return this.#callers.get(caller)?.length ?? 0;
  }

  has(item: T): boolean {
    const own = this.#callers.get(item.caller) ?? [];
    return own[positionOf(item.seq, own)] === item;
  }

  /** A caller that is new here goes to the end of the round; among its own, an earlier arrival goes first. */
  add(item: T): void {
    const own = this.#callers.get(item.caller);
    if (own === undefined) this.#callers.set(item.caller, [item]);
    else own.splice(positionOf(item.seq, own), 0, item);
    this.#size += 1;
  }

  /** The earliest arrival. */
  get oldest(): T | undefined {
    let oldest: T | undefined;
    for (const [first] of this.#callers.values()) {
      if (first && (oldest === undefined || first.seq < oldest.seq)) oldest = first;
    }
    return oldest;
  }

  /** False when it was not in the line. */
  remove(item: T): boolean {
    const own = this.#callers.get(item.caller);
    if (own === undefined || !this.has(item)) return false;
    own.splice(positionOf(item.seq, own), 1);
    if (own.length === 0) this.#callers.delete(item.caller);
    this.#size -= 1;
    return true;
  }

  /**
   * Takes the next one out of those that may be served now; `undefined` when there is none. Whoever is passed over
   * keeps its turn.
   *
   * @param mayDraw whether anything of this caller may be served: asked once, however much it has here
   */
  take(mayBeServed: (item: T) => boolean, mayDraw: (caller: string) => boolean = () => true): T | undefined {
    for (const [caller, own] of this.#callers) {
      if (!mayDraw(caller)) continue;
      const index = own.findIndex(mayBeServed);
      if (index === -1) continue;
      const [item] = own.splice(index, 1);
      this.#callers.delete(caller);
      if (own.length > 0) this.#callers.set(caller, own);
      this.#size -= 1;
      return item;
    }
    return undefined;
  }

  /** How many go before a new message of this caller. */
  ahead(caller: string): number {
    const ownAhead = this.sizeOf(caller);
    let before = true;
    let count = ownAhead;
    for (const [other, { length }] of this.#callers) {
      if (other === caller) before = false;
      // Whoever is before us in the round has one turn more than us before ours comes.
      else count += Math.min(length, before ? ownAhead + 1 : ownAhead);
    }
    return count;
  }

  /** All, in the order in which they would be served. */
  *inOrder(): Generator<T> {
    let queues = [...this.#callers.values()].map((own) => [...own]);
    for (let round = 0; queues.length > 0; round += 1) {
      for (const own of queues) yield* own.slice(round, round + 1);
      queues = queues.filter((own) => own.length > round + 1);
    }
  }
}

/** Where one that arrived then is, or belongs. */
function positionOf(seq: number, own: readonly InLine[]): number {
  let low = 0;
  let high = own.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((own[middle]?.seq ?? 0) < seq) low = middle + 1;
    else high = middle;
  }
  return low;
}
