import type { Clock } from '../clock/clock.js';
import { DatabaseUnavailable } from '../database/database.errors.js';
import type { AppLogger } from '../observability/app-logger.js';

const AGAIN_AFTER_MS = 1_000;

/** Sees to it that what is known gets into the database, also when that is away for a while. */
export class Background {
  readonly #underWay = new Set<Promise<void>>();
  #stopped = false;

  constructor(
    private readonly clock: Clock,
    private readonly log: AppLogger,
  ) {}

  /** Resolves when it is done, or can never be. What is done must be fenced: it may come late, and more than once. */
  async untilDone(work: () => Promise<void>): Promise<void> {
    const done = this.#retried(work);
    this.#underWay.add(done);
    await done;
    this.#underWay.delete(done);
  }

  /** Nothing is tried again from now on; resolves when nothing is under way. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#underWay);
  }

  async #retried(work: () => Promise<void>): Promise<void> {
    for (;;) {
      try {
        await work();
        return;
      } catch (error) {
        if (!(error instanceof DatabaseUnavailable)) {
          this.log.error({ err: error }, 'What became of a write could not be written down');
          return;
        }
        if (this.#stopped) return;
      }
      await this.clock.sleep(AGAIN_AFTER_MS);
    }
  }
}
