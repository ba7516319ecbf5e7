import type { Clock } from '../clock/clock.js';
import { DatabaseUnavailable } from '../database/database.errors.js';
import type { AppLogger } from '../observability/app-logger.js';

const AGAIN_AFTER_MS = 1_000;

/** Sees to it that what is known gets into the database, also when that is away for a while. */
export class Background {
  readonly #underWay = new Set<Promise<unknown>>();
  #stopped = false;

  constructor(
    private readonly clock: Clock,
    private readonly log: AppLogger,
  ) {}

  /**
   * Resolves with what came of it, or without anything when it can never be done. What is done must be fenced: it may
   * come late, and more than once.
   */
  async untilDone<T>(work: () => Promise<T>): Promise<T | undefined> {
    const done = this.#retried(work);
    this.#underWay.add(done);
    const result = await done;
    this.#underWay.delete(done);
    return result;
  }

  /** Nothing is tried again from now on; resolves when nothing is under way, or soon. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.race([Promise.all(this.#underWay), this.clock.sleep(AGAIN_AFTER_MS)]);
  }

  async #retried<T>(work: () => Promise<T>): Promise<T | undefined> {
    for (;;) {
      try {
        return await work();
      } catch (error) {
        if (!(error instanceof DatabaseUnavailable)) {
          this.log.error({ err: error }, 'What became of a write could not be written down');
          return undefined;
        }
        if (this.#stopped) return undefined;
      }
      await this.clock.sleep(AGAIN_AFTER_MS);
    }
  }
}
