import type { Interruption } from '../clock/interruption.js';
import type { Announcements } from '../database/announcements.js';
import type { Database } from '../database/database.js';

const CHANNEL = 'bff_delivery';

/** Tells whoever waits here that a delivery has changed, in whichever replica it did. Only hints: look for yourself. */
export class Settlements {
  readonly #watchers = new Map<string, Set<() => void>>();

  constructor(
    private readonly database: Database,
    private readonly announcements: Announcements,
  ) {
    announcements.on(CHANNEL, (id) => {
      if (id === undefined) for (const watched of this.#watchers.keys()) this.#tell(watched);
      else this.#tell(id);
    });
  }

  /** To this replica at once, to the others as soon as it gets there. After the change is committed. */
  announce(id: string): void {
    this.#tell(id);
    this.database.query(this.announcements.statement, [CHANNEL, id]).catch(() => undefined);
  }

  /** Calls back at each change, and from time to time without one; the returned function takes that back. */
  watch(id: string, changed: () => void): () => void {
    const watchers = this.#watchers.get(id) ?? new Set();
    this.#watchers.set(id, watchers.add(changed));
    return () => {
      watchers.delete(changed);
      if (watchers.size === 0 && this.#watchers.get(id) === watchers) this.#watchers.delete(id);
    };
  }

  /** Resolves at the next change, or when the signal aborts. */
  async next(id: string, signal: Interruption): Promise<void> {
    if (signal.aborted) return;
    await new Promise<void>((resolve) => {
      const end = (): void => {
        stop();
        signal.removeEventListener('abort', end);
        resolve();
      };
      const stop = this.watch(id, end);
      signal.addEventListener('abort', end);
    });
  }

  #tell(id: string): void {
    for (const changed of [...(this.#watchers.get(id) ?? [])]) changed();
  }
}
