import { setTimeout as delay } from 'node:timers/promises';
import type { Chaos } from './chaos.js';
import type { PointPlan } from './replica.js';
import type { Seat, World } from './world.js';

/** Some points come only when somebody has been dead for a lease, or a token ends. */
const REACHED_WITHIN_MS = 30_000;
/** Longer than a lease. */
const FROZEN_MS = 11_000;
const AFTER_THAW_MS = 1_000;
/** For points that have to do with the token: now and then all replicas need another one. */
const REVOKED_EVERY_MS = 4_000;

/** Has a replica end at each of the points, one after the other in every seat. */
export class PointChaos implements Chaos {
  readonly #left: PointPlan[];
  /** At which somebody was waited for in vain already. */
  readonly #again = new Set<PointPlan>();

  constructor(
    private readonly world: World,
    plans: readonly PointPlan[],
    /** Filled with those at which no replica came by. */
    private readonly missed: string[],
  ) {
    this.#left = [...plans];
  }

  async run(): Promise<void> {
    const over = new AbortController();
    const needsTokens = this.#left.some(({ point }) => point.includes('token'));
    const revoking = needsTokens ? this.#revoke(over.signal) : undefined;
    await Promise.all(this.world.seats.map((seat) => this.#fill(seat)));
    over.abort();
    await revoking;
    for (const seat of this.world.seats) this.world.start(seat);
  }

  async #fill(seat: Seat): Promise<void> {
    for (let plan = this.#left.shift(); plan !== undefined; plan = this.#left.shift()) {
      const { signal, point } = plan;
      let reached = (): void => undefined;
      const frozen = new Promise<boolean>((resolve) => {
        reached = () => {
          resolve(true);
        };
      });
      const replica = this.world.start(seat, plan, reached);
      await replica.ready();
      const came = replica.ended.then(() => true);
      const hasCome = await Promise.race([came, frozen, delay(REACHED_WITHIN_MS, false)]);
      if (!hasCome) {
        if (this.#again.has(plan)) this.missed.push(point);
        else this.#left.push(plan);
        this.#again.add(plan);
      }
      if (signal === 'SIGSTOP' && hasCome) {
        await delay(FROZEN_MS);
        this.world.thaw(replica);
        // It finds itself in another time, and goes on for a while.
        await delay(AFTER_THAW_MS);
      }
      this.world.kill(replica);
      await replica.ended;
    }
  }

  async #revoke(over: AbortSignal): Promise<void> {
    while (!over.aborted) {
      await delay(REVOKED_EVERY_MS, undefined, { signal: over }).catch(() => undefined);
      this.world.sandbox.revokeAccessTokens();
    }
  }
}
