import { setTimeout as delay } from 'node:timers/promises';
import type { Prng } from './prng.js';
import type { PointPlan, Replica } from './replica.js';
import type { Seat, World } from './world.js';

/** A lease lasts about 10 s: frozen for less it goes on as before, for longer it has lost everything. */
const SHORT_FREEZE_MS = [200, 3_000] as const;
const LONG_FREEZE_MS = [10_500, 14_000] as const;

/** What was cut has to be noticed, and connected again. */
const AFTERMATH_MS = 2_000;

/** What is done to replicas while they work, and the end of it. */
export interface Chaos {
  /** Resolves when nothing more is done. */
  run(forMs: number): Promise<void>;
}

/** Kills, freezes and cuts off at random moments and at random points. */
export class RandomChaos implements Chaos {
  readonly #acts: Promise<void>[] = [];
  #isOn = true;
  /** A second 401 in a row would have the account taken for refused, and for a minute nothing is sent then. */
  #hasRevoked = false;

  constructor(
    private readonly world: World,
    private readonly prng: Prng,
    private readonly points: readonly string[],
  ) {}

  async run(forMs: number): Promise<void> {
    for (const seat of this.world.seats) this.#start(seat);
    this.#acts.push(...this.world.seats.map((seat) => this.#keepTaken(seat)));
    for (const { replica } of this.world.seats) await replica?.ready();
    const untilMs = Date.now() + forMs;
    while (Date.now() < untilMs) {
      await delay(this.prng.between(200, 1_500));
      this.#acts.push(this.#act());
    }
    this.#isOn = false;
    // One may come to its point at the last moment.
    for (const { replica } of this.world.seats) replica?.disarm();
    for (let act = this.#acts.shift(); act !== undefined; act = this.#acts.shift()) await act;
    for (const seat of this.world.seats) if (seat.replica?.hasEnded === true) this.world.start(seat);
  }

  async #act(): Promise<void> {
    const { prng, world } = this;
    const act = prng.unit();
    const seat = prng.pick(world.seats);
    const { replica } = seat;
    if (replica?.url === undefined) return;
    if (act < 0.25) world.kill(replica);
    else if (act < 0.45) await this.#freeze(replica, prng.between(...SHORT_FREEZE_MS));
    else if (act < 0.55) await this.#freeze(replica, prng.between(...LONG_FREEZE_MS));
    else if (act < 0.7) {
      world.disturb(replica, 'connections to the database are cut', AFTERMATH_MS);
      seat.proxy.resetAll();
    } else if (act < 0.85) await this.#silence(seat, replica, 'both', prng.between(300, 7_000));
    else if (act < 0.95) await this.#silence(seat, replica, 'answers', prng.between(300, 3_000));
    else if (!this.#hasRevoked) {
      this.#hasRevoked = true;
      world.sandbox.revokeAccessTokens();
    }
  }

  #freezeMs(): number {
    return this.prng.chance(0.5)
      ? this.prng.between(...SHORT_FREEZE_MS)
      : this.prng.between(...LONG_FREEZE_MS);
  }

  async #freeze(replica: Replica, ms: number): Promise<void> {
    this.world.freeze(replica);
    await delay(ms);
    this.world.thaw(replica);
  }

  async #silence(seat: Seat, replica: Replica, direction: 'both' | 'answers', ms: number): Promise<void> {
    const isLost = this.prng.chance(0.5);
    const what = direction === 'both' ? 'nothing passes' : 'no answers pass';
    this.world.disturb(
      replica,
      `half open for ${ms} ms: ${what}${isLost ? ', then cut' : ''}`,
      ms + AFTERMATH_MS,
    );
    seat.proxy.freeze(direction);
    await delay(ms);
    if (isLost) seat.proxy.resetAll();
    seat.proxy.mend();
  }

  /** A new replica for each that is gone, as Kubernetes has it. */
  async #keepTaken(seat: Seat): Promise<void> {
    while (this.#isOn) {
      await delay(100);
      if (seat.replica?.hasEnded !== true) continue;
      await delay(this.prng.between(0, 3_000));
      this.#start(seat);
    }
  }

  #start(seat: Seat): void {
    const plan: PointPlan | undefined = this.prng.chance(0.6)
      ? {
          point: this.prng.pick(this.points),
          signal: this.prng.chance(0.7) ? 'SIGKILL' : 'SIGSTOP',
          nth: this.prng.between(1, 5),
        }
      : undefined;
    const frozenMs = this.#freezeMs();
    this.world.start(seat, plan, (replica) => {
      this.#acts.push(
        delay(frozenMs).then(() => {
          this.world.thaw(replica);
        }),
      );
    });
  }
}
