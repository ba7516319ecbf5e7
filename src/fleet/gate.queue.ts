import type { Announcements } from '../database/announcements.js';
import type { Clock } from '../clock/clock.js';
import { DatabaseUnavailable } from '../database/database.errors.js';
import type { Database, Queries } from '../database/database.js';
import type { PacerLimits } from '../nexudus/pacer.js';
import type { CallKind } from '../nexudus/quota.js';
import type { AppLogger } from '../observability/app-logger.js';
import { Gate } from './gate.js';
import type { Replica } from './replica.js';
import { SharedQuota, type EndKind, type QuotaEvent } from './shared-quota.js';

/** Said to the replicas whose ids are in the text, or to all. */
export const LINE_CHANNEL = 'bff_line';
export const TO_ALL = 'all';

/** In one transaction: it holds up all replicas. */
const MOST_STEPS = 200;
/** What has to be done is tried again. */
const AGAIN_AFTER_MS = 250;

/** What is done after a step is committed. */
export type Effect = () => void;

/** Something to do while the gate is held. */
export interface Step {
  /** Whether it must be done, however often it takes; it may have been done before then. */
  readonly isDurable: boolean;
  /** May be run several times before one is committed, so it has no effects of its own. */
  run(turn: GateTurn): Promise<Effect>;
  /** Not where it is durable. */
  failed(error: Error): void;
}

/** What happens around the steps, while the gate is held. */
export interface GateWork {
  /** A transaction before may have been committed, or not. */
  reconcile(turn: GateTurn): Promise<void>;
  /** After the steps: gives slots to all who may have one. */
  finish(turn: GateTurn): Promise<Effect[]>;
  /** This process has begun another life: all that it held is lost. */
  reborn(): void;
}

/** The gate while it is held, with the quota as it is at that moment. */
export class GateTurn {
  readonly #recipients = new Set<string>();
  #hasBegun = false;

  constructor(
    readonly gate: Gate,
    readonly quota: SharedQuota,
    readonly replica: string,
    private readonly changing: () => void,
  ) {}

  /** The number of the call. */
  begin(kind: CallKind, replica: string, caller: string | undefined): number {
    return this.#fold(this.gate.begin(kind, replica, caller)).seq;
  }

  /** Nothing, where it has ended already. */
  end(call: number, kind: EndKind, retryAfterMs?: number): void {
    const open = this.quota.open.get(call);
    if (open === undefined) return;
    this.#fold(this.gate.end(kind, call, open.replica, retryAfterMs));
    if (kind === 'throttled') this.tell(TO_ALL);
  }

  tell(replica: string): void {
    if (replica !== this.replica) this.#recipients.add(replica);
  }

  get recipients(): readonly string[] {
    return [...this.#recipients];
  }

  #fold(event: QuotaEvent): QuotaEvent {
    if (!this.#hasBegun) this.changing();
    this.#hasBegun = true;
    this.quota.fold(event);
    return event;
  }
}

/**
 * All that this replica does while it holds the gate: one transaction at a time, each with all that has gathered
 * meanwhile.
 */
export class GateQueue {
  #steps: Step[] = [];
  #quota: SharedQuota;
  /** The quota holds events of a transaction that was not committed, or may not have been. */
  #isDirty = false;
  #isUncertain = false;
  #running: Promise<void> | undefined;
  #loading: Promise<void> | undefined;
  #isStopped = false;

  constructor(
    private readonly limits: PacerLimits,
    private readonly database: Database,
    private readonly announcements: Announcements,
    private readonly replica: Replica,
    private readonly work: GateWork,
    private readonly clock: Clock,
    private readonly log: AppLogger,
  ) {
    this.#quota = new SharedQuota(limits, clock);
  }

  /** As far as this replica has heard of it. */
  get quota(): SharedQuota {
    return this.#quota;
  }

  add(step: Step): void {
    if (this.#isStopped) {
      step.failed(new DatabaseUnavailable(false));
      return;
    }
    this.#steps.push(step);
    // What belongs together often comes in one go: the end of a call, and that its place is left.
    this.#running ??= new Promise((resolve) => setImmediate(resolve)).then(() => this.#run());
  }

  /** Resolves when nothing is left to do, or after that time. */
  async flush(withinMs: number): Promise<void> {
    const lateAtMs = this.clock.nowMs() + withinMs;
    while (this.#running !== undefined && this.clock.nowMs() < lateAtMs) {
      await Promise.race([this.#running, this.clock.sleep(lateAtMs - this.clock.nowMs())]);
    }
  }

  /** Nothing more is done. */
  stop(): void {
    this.#isStopped = true;
    for (const step of this.#steps.splice(0)) step.failed(new DatabaseUnavailable(false));
  }

  /** Takes in what the log holds by now. The gate need not be held: events are written in their order. */
  async catchUp(): Promise<void> {
    // One at a time, and not into the quota of a transaction that is under way.
    if (this.#running !== undefined) return;
    await this.#load();
  }

  async #run(): Promise<void> {
    try {
      while (this.#steps.length > 0 && !this.#isStopped) await this.#round();
    } finally {
      this.#running = undefined;
    }
  }

  async #round(): Promise<void> {
    const taken: Step[] = [];
    try {
      // The bulk of it while nobody has to wait for us.
      await this.#load();
      const effects = await this.database.transaction((queries) => this.#turn(queries, taken));
      this.#isDirty = this.#isUncertain = false;
      for (const effect of effects) this.#perform(effect);
    } catch (error) {
      await this.#failed(error, taken);
    }
  }

  async #turn(queries: Queries, taken: Step[]): Promise<Effect[]> {
    const gate = await Gate.open(queries, this.replica.id);
    if (!gate.isAlive) throw new LifeIsOver();
    if (this.#isDirty || gate.lastEvent !== this.#quota.lastSeq) {
      await this.#read(queries);
      this.#quota.reached(gate.lastEvent);
    }
    this.#quota.hold(gate.nowMs);
    const turn = new GateTurn(gate, this.#quota, this.replica.id, () => {
      this.#isDirty = true;
    });
    if (this.#isUncertain) await this.work.reconcile(turn);
    taken.push(...this.#steps.splice(0, MOST_STEPS - taken.length));
    const effects: Effect[] = [];
    for (const step of taken) effects.push(await step.run(turn));
    effects.push(...(await this.work.finish(turn)));
    await gate.close();
    const { recipients } = turn;
    if (recipients.length > 0) {
      const text = recipients.includes(TO_ALL) ? TO_ALL : recipients.slice(0, 100).join();
      await queries.query(this.announcements.statement, [LINE_CHANNEL, text]);
    }
    return effects;
  }

  async #failed(error: unknown, taken: readonly Step[]): Promise<void> {
    const isOver = error instanceof LifeIsOver;
    const pending = [...taken, ...this.#steps.splice(0)];
    this.#steps = pending.filter((step) => step.isDurable || isOver);
    if (isOver) {
      try {
        await this.replica.register();
        // After so long, ends may have come and gone that this process never heard of.
        this.#isDirty = true;
        this.work.reborn();
        return;
      } catch (cause) {
        await this.#failed(cause, this.#steps.splice(0));
        return;
      }
    }
    if (error instanceof DatabaseUnavailable) this.#isUncertain ||= error.mayHaveCommitted;
    else this.log.error({ err: error }, 'The books of the replicas could not be kept');
    const reason = error instanceof Error ? error : new Error(String(error));
    for (const step of pending) if (!step.isDurable) step.failed(reason);
    if (this.#steps.length > 0) await this.clock.sleep(AGAIN_AFTER_MS);
  }

  #perform(effect: Effect): void {
    try {
      effect();
    } catch (error) {
      this.log.error({ err: error }, 'What follows a slot has failed');
    }
  }

  #load(): Promise<void> {
    this.#loading ??= this.#read(this.database).finally(() => {
      this.#loading = undefined;
    });
    return this.#loading;
  }

  async #read(queries: Queries): Promise<void> {
    const isDirty = this.#isDirty;
    // Shown as it was until the other is complete.
    const quota = isDirty ? new SharedQuota(this.limits, this.clock) : this.#quota;
    const rows = await queries.query<EventRow & Record<string, unknown>>(
      `select seq, at_ms, kind, call, replica, caller, retry_after_ms from bff.quota_event
        where seq > $1 order by seq`,
      [quota.lastSeq],
    );
    for (const row of rows) quota.fold(eventOf(row));
    if (!isDirty) return;
    quota.observe(this.#quota.presentMs);
    this.#quota = quota;
    this.#isDirty = false;
  }
}

/** The others have ended this life. */
class LifeIsOver extends Error {}

interface EventRow {
  readonly seq: string;
  readonly at_ms: number;
  readonly kind: QuotaEvent['kind'];
  readonly call: string;
  readonly replica: string;
  readonly caller: string | null;
  readonly retry_after_ms: number | null;
}

function eventOf({ seq, at_ms, kind, call, replica, caller, retry_after_ms }: EventRow): QuotaEvent {
  return {
    seq: Number(seq),
    atMs: at_ms,
    kind,
    call: Number(call),
    replica,
    caller: caller ?? undefined,
    retryAfterMs: retry_after_ms ?? undefined,
  };
}
