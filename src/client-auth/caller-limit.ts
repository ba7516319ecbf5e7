import { Problem } from '../problem-details/problem.js';
import { type Caller, callerName } from './caller.js';

/** The first of a caller's requests may end at any moment. */
const TRY_AGAIN_MS = 1_000;

/** Counts what each caller has under way: what waits takes memory, and one caller must not fill it. */
export class CallerLimit {
  readonly #underWay = new Map<string, number>();

  /** @param limit requests of one caller that may be under way at once */
  constructor(private readonly limit: number) {}

  /**
   * Every entry is to be left again, a refused one too.
   *
   * @throws Problem `quota-exhausted` for one too many
   */
  enter(caller: Caller): void {
    const name = callerName(caller);
    const count = (this.#underWay.get(name) ?? 0) + 1;
    this.#underWay.set(name, count);
    if (count > this.limit) {
      throw new Problem('quota-exhausted', {
        detail: `This caller has ${this.limit} requests under way already.`,
        retryAfterMs: TRY_AGAIN_MS,
      });
    }
  }

  leave(caller: Caller): void {
    const name = callerName(caller);
    const left = (this.#underWay.get(name) ?? 0) - 1;
    if (left > 0) this.#underWay.set(name, left);
    else this.#underWay.delete(name);
  }
}
