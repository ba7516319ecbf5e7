import type { Announcements } from '../database/announcements.js';
import type { Database } from '../database/database.js';
import type { Ending } from './deliveries.js';

const CHANNEL = 'bff_delivery';

/** Called with the end, where it is known here; without, when there is something to look at. */
export type Watcher = (ending?: Ending) => void;

/** Tells whoever waits here that a delivery has changed, in whichever replica it did. */
export class Settlements {
  /** By delivery; with what was last seen of it, so that looking at all of them disturbs few. */
  readonly #watched = new Map<string, { readonly watchers: Set<Watcher>; seen: string | undefined }>();
  #isLooking = false;

  constructor(
    private readonly database: Database,
    private readonly announcements: Announcements,
  ) {
    announcements.on(CHANNEL, (id) => {
      if (id !== undefined) this.#tell(id);
      else if (this.#watched.size > 0 && !this.#isLooking) void this.#look();
    });
  }

  /** To this replica at once, to the others as soon as it gets there. After the change is committed. */
  announce(id: string): void {
    this.#tell(id);
    this.database.query(this.announcements.statement, [CHANNEL, id]).catch(() => undefined);
  }

  /** To whoever waits here, though it could not be written down yet. */
  endedHere(id: string, ending: Ending): void {
    this.#tell(id, ending);
  }

  /** Calls back at each change; the returned function takes that back. */
  watch(id: string, changed: Watcher): () => void {
    const watched = this.#watched.get(id) ?? { watchers: new Set(), seen: undefined };
    this.#watched.set(id, watched);
    watched.watchers.add(changed);
    return () => {
      watched.watchers.delete(changed);
      if (watched.watchers.size === 0 && this.#watched.get(id) === watched) this.#watched.delete(id);
    };
  }

  #tell(id: string, ending?: Ending): void {
    for (const changed of [...(this.#watched.get(id)?.watchers ?? [])]) changed(ending);
  }

  /** An announcement may have been lost: one look for all. */
  async #look(): Promise<void> {
    this.#isLooking = true;
    try {
      const rows = await this.database.query<{ id: string; state: string }>(
        'select id, state from bff.delivery where id = any($1::uuid[])',
        [[...this.#watched.keys()]],
      );
      for (const { id, state } of rows) {
        const watched = this.#watched.get(id);
        if (watched === undefined || watched.seen === state) continue;
        watched.seen = state;
        this.#tell(id);
      }
    } catch {
      // The next look comes soon.
    } finally {
      this.#isLooking = false;
    }
  }
}
