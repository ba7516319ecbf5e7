import { afterEach } from '@jest/globals';
import { SystemClock } from '../../src/clock/clock.js';
import { parseWindows } from '../../src/config/windows.js';
import { Announcements } from '../../src/database/announcements.js';
import { DatabaseUnavailable } from '../../src/database/database.errors.js';
import { Database } from '../../src/database/database.js';
import { migrate } from '../../src/database/migrate.js';
import { Fleet } from '../../src/fleet/fleet.js';
import { PgDeliveryLine } from '../../src/fleet/pg.delivery.line.js';
import { PgPacer } from '../../src/fleet/pg.pacer.js';
import { Deadline } from '../../src/nexudus/deadline.js';
import type { DeliveryPlace } from '../../src/nexudus/delivery.line.js';
import type { Place, Slot } from '../../src/nexudus/pacer.js';
import { createLogger } from '../../src/observability/json-logger.js';
import { until } from './until.js';

/** Longer than this process may be held up: else the others would take one for gone that is alive. */
const LEASE_MS = 5_000;

/** A clock that can be set forward, and whose timers can be stopped. */
class FaultyClock extends SystemClock {
  aheadMs = 0;
  isFrozen = false;

  override nowMs(): number {
    return super.nowMs() + this.aheadMs;
  }

  override after(delayMs: number, callback: () => void): () => void {
    return super.after(delayMs, () => {
      if (!this.isFrozen) callback();
    });
  }
}

const running: TestReplica[] = [];

afterEach(async () => {
  for (const replica of running.splice(0)) await replica.stop();
});

/** What a replica shares with the others, without the service around it. Ends with the test. */
export class TestReplica {
  readonly clock = new FaultyClock();
  readonly database: Database;
  readonly pacer: PgPacer;
  readonly deliveries: PgDeliveryLine;
  /** Whether it takes deliveries on, where it serves. */
  isAble = true;
  /** What it logged at the level of errors. */
  readonly errors: string[] = [];
  /** Deliveries whose turn came here. */
  readonly sent: { readonly deliveryId: string; readonly place: DeliveryPlace }[] = [];
  readonly #announcements: Announcements;
  readonly #fleet: Fleet;

  private constructor(url: string, writeLimits: string, callLimits: string) {
    const log = createLogger('error', { write: (line) => this.errors.push(line) });
    this.database = new Database(() => url, migrate, this.clock, log);
    this.#announcements = new Announcements(this.database, 'postgres', this.clock);
    const limits = {
      write: parseWindows(writeLimits) ?? [],
      call: parseWindows(callLimits) ?? [],
      reserveShare: 0,
    };
    this.#fleet = new Fleet(limits, this.database, this.#announcements, this.clock, log, LEASE_MS);
    this.pacer = new PgPacer(this.#fleet.line);
    this.deliveries = new PgDeliveryLine(this.#fleet.line, this.database);
  }

  static async start(url: string, writeLimits = 'off', callLimits = 'off'): Promise<TestReplica> {
    const replica = new TestReplica(url, writeLimits, callLimits);
    running.push(replica);
    await replica.database.start();
    // A start waits for the tables for a while only.
    await until(() => replica.database.isReachable);
    replica.#announcements.start();
    await replica.#fleet.start();
    return replica;
  }

  /** Takes deliveries on from now. */
  serve(): void {
    const isAble = (): boolean => this.isAble;
    this.deliveries.serve({
      get isAble() {
        return isAble();
      },
      send: (deliveryId, place) => this.sent.push({ deliveryId, place }),
    });
  }

  async admit(
    write: { caller?: string; session?: string; message?: number; waitMs?: number } = {},
  ): Promise<Place> {
    const { caller = 'caller', session, message, waitMs = 20_000 } = write;
    const deadline = new Deadline(this.clock, waitMs);
    return this.pacer.admit({ caller, session, message, deadline, isReady: true });
  }

  /** Hands over a delivery, which is nothing but its place in the line here. Resolves to its position. */
  async enter(deliveryId: string, session?: string): Promise<number> {
    const ticket = { deliveryId, caller: 'caller', session, message: undefined };
    const { position } = await this.database.transaction((transaction) =>
      this.deliveries.enter(transaction, ticket),
    );
    this.deliveries.changed();
    return position;
  }

  /** The next transaction is committed, and the answer to that gets lost. */
  loseNextAnswer(): void {
    const { database } = this;
    const transaction = database.transaction.bind(database);
    database.transaction = async (work) => {
      database.transaction = transaction;
      await transaction(work);
      throw new DatabaseUnavailable(true);
    };
  }

  /** As a SIGKILL does: nothing is written down, and nothing is heard of it any more. */
  async kill(): Promise<void> {
    running.splice(running.indexOf(this), 1);
    this.clock.isFrozen = true;
    this.#announcements.stop();
    await this.database.stop();
  }

  /** As a SIGSTOP does: its lease runs out. */
  freeze(): void {
    this.clock.isFrozen = true;
  }

  async stop(): Promise<void> {
    this.clock.isFrozen = false;
    await this.#fleet.stop();
    this.#announcements.stop();
    await this.database.stop();
  }
}

/** A slot of that place, when it comes. */
export function slotOf(place: Place): Promise<Slot> {
  return new Promise((resolve, reject) => {
    place.requestSlot(resolve, reject);
  });
}
