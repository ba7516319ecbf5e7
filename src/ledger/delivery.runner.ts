import type { Clock } from '../clock/clock.js';
import { RequestInterruption } from '../clock/interruption.js';
import type { DeliveriesConfig } from '../config/sections.js';
import { DatabaseUnavailable } from '../database/database.errors.js';
import type { KeptAnswer } from '../idempotency/idempotency.store.js';
import type { AccessTokenSource } from '../nexudus/access-token.source.js';
import type { Circuit } from '../nexudus/circuit.js';
import { Deadline } from '../nexudus/deadline.js';
import type { DeliveryPlace, DeliveryServer } from '../nexudus/delivery.line.js';
import type { WriteEffort } from '../nexudus/write.js';
import { MAX_FAILURES } from '../nexudus/retry.policy.js';
import type { AppLogger } from '../observability/app-logger.js';
import type { Lifecycle } from '../observability/lifecycle.js';
import type { Metrics } from '../observability/metrics.js';
import { NO_SPAN } from '../observability/tracer.js';
import type { Background } from './background.js';
import type { BlockedDeliveries } from './blocked-deliveries.js';
import { BorrowedPlace } from './borrowed-place.js';
import type { DeliveryPerformer, Failure } from './delivery.performer.js';
import type { Followers } from './followers.js';
import type { Hold } from './hold.js';
import type { Ledger, Settlement } from './ledger.js';
import type { Orphans, Taken } from './orphans.js';
import type { Settlements } from './settlements.js';
import { withoutPersonal } from './stored-answer.js';
import type { UnknownDeliveries } from './unknown.deliveries.js';

/** Deliveries that one replica sends at once. */
const MOST_RUNNING = 16;
const LEASE_MS = 15_000;
const RENEW_EVERY_MS = 5_000;
/** One turn at sending, all of its attempts. */
const TURN_MS = 60_000;
const SHORTEST_REST_MS = 1_000;
const LONGEST_REST_MS = 60_000;
/**
 * A replace that may have run is sent again, since that does no harm; not for ever, since each try spends the quota, and
 * holds up what comes after it.
 */
const MOST_ATTEMPTS_UNKNOWN = 5 * MAX_FAILURES;
/** What a fault of ours has kept from being sent, a ledger key that is missing, say, keeps its place. */
const AFTER_FAULT_MS = 30_000;
/** Whoever waits for the answer does not wait for our books. */
const PATIENCE_MS = 1_000;

/** Sends the deliveries whose turn comes in this replica. */
export class DeliveryRunner implements DeliveryServer {
  readonly #running = new Set<Promise<void>>();
  readonly #stopping = new RequestInterruption();
  /** Nothing is begun before: what failed last would fail again, whatever it is. On the clock's monotonic scale. */
  #pausedUntilMs = -Infinity;

  constructor(
    private readonly ledger: Ledger,
    private readonly orphans: Orphans,
    private readonly followers: Followers,
    private readonly unknown: Pick<UnknownDeliveries, 'learn'>,
    private readonly blocked: BlockedDeliveries,
    private readonly performer: DeliveryPerformer,
    private readonly settlements: Settlements,
    private readonly background: Background,
    private readonly tokens: Pick<AccessTokenSource, 'current'>,
    private readonly circuit: Pick<Circuit, 'isOpen'>,
    private readonly config: DeliveriesConfig,
    private readonly lifecycle: Lifecycle,
    private readonly clock: Clock,
    private readonly log: AppLogger,
    private readonly metrics: Metrics,
  ) {
    lifecycle.onStop(() => {
      this.#stopping.abort();
    });
  }

  get isAble(): boolean {
    return (
      !this.lifecycle.isStopping &&
      this.tokens.current !== undefined &&
      !this.circuit.isOpen &&
      this.clock.nowMs() >= this.#pausedUntilMs &&
      this.room > 0
    );
  }

  get room(): number {
    return MOST_RUNNING - this.#running.size;
  }

  send(deliveryId: string, place: DeliveryPlace): void {
    const run = this.#run(deliveryId, place)
      .catch((error: unknown) => {
        this.log.error({ delivery: deliveryId, err: error }, 'A fault of this service at a delivery');
        return this.#retreat(place, AFTER_FAULT_MS);
      })
      .finally(() => this.#running.delete(run));
    this.#running.add(run);
  }

  /**
   * Resolves when nothing is being sent: what was sent is finished, what was not has gone back. Or when the process has
   * to end: what is known and cannot be written down is found out by others then.
   */
  async idle(): Promise<void> {
    const leftMs = Math.max(0, this.lifecycle.stopByMs - this.clock.nowMs());
    await Promise.race([this.#finished(), this.clock.sleep(leftMs)]);
  }

  async #finished(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running);
  }

  async #run(id: string, place: DeliveryPlace): Promise<void> {
    const taken = await this.orphans.take(id, LEASE_MS).catch((error: unknown) => {
      if (error instanceof DatabaseUnavailable) return undefined;
      throw error;
    });
    switch (taken?.kind) {
      case undefined:
        await this.#retreat(place, SHORTEST_REST_MS);
        return;
      case 'over':
        this.settlements.announce(id);
        place.leave();
        return;
      case 'held':
        await this.#retreat(place, taken.forMs);
        return;
      case 'unknown':
        this.settlements.announce(id);
        await this.background.untilDone(() => place.leaveAfter(taken.holdMs));
        return;
      case 'taken':
        await this.#perform(taken, place);
    }
  }

  async #perform(taken: Taken & { kind: 'taken' }, place: DeliveryPlace): Promise<void> {
    const { delivery, content, hold } = taken;
    const work = { ...delivery, content };
    const effort = { attempts: 0, waitMs: 0 };
    const leftMs = (delivery.expiresAtMs ?? Infinity) - delivery.readAtMs;
    const turnMs = Math.min(TURN_MS, leftMs);
    const deadline = new Deadline(this.clock, turnMs, this.clock.nowMs(), this.lifecycle);
    const stopRenewing = this.#renew(hold);
    try {
      const answer = await this.performer.perform(work, {
        place: new BorrowedPlace(place, deadline),
        journal: hold,
        deadline,
        abandoned: this.#stopping,
        effort,
        span: NO_SPAN,
      });
      this.blocked.forget(delivery.id);
      if (await this.#settle(taken, { state: 'done', answer }, effort)) place.leave();
      else await this.#retreat(place, 0);
    } catch (error) {
      await this.#fail(taken, place, this.performer.failed(error, work, effort.attempts), effort);
    } finally {
      stopRenewing();
    }
  }

  async #fail(
    taken: Taken & { kind: 'taken' },
    place: DeliveryPlace,
    { outcome, answer, retryAfterMs, concernsAll, ifBlocked }: Failure,
    effort: WriteEffort,
  ): Promise<void> {
    const { delivery, hold } = taken;
    if (ifBlocked === undefined) this.blocked.forget(delivery.id);
    // Of one that may have been run before, nobody can say that it was not written.
    const isGivenUp = ifBlocked !== undefined && !hold.wasSent && this.blocked.isMeant(delivery.id);
    if (outcome === 'rejected' || isGivenUp) {
      const settlement = { state: 'rejected', answer: isGivenUp ? ifBlocked : answer } as const;
      if (await this.#settle(taken, settlement, effort)) place.leave();
      else await this.#retreat(place, 0);
      return;
    }
    const attempts = delivery.attempts + effort.attempts;
    const isRepeated = delivery.operation === 'replace' && attempts < MOST_ATTEMPTS_UNKNOWN;
    if (outcome === 'unknown' && !isRepeated) {
      const isOurs = await this.#settle(taken, { state: 'unknown', answer }, effort);
      await this.background.untilDone(() =>
        isOurs ? place.leaveAfter(this.config.unknownHoldMs) : place.retreat(0),
      );
      return;
    }
    // Not sent, or safe to be sent again: it waits in its place, and any replica takes it from there.
    const restMs = this.#stopping.aborted ? 0 : restAfter(retryAfterMs, attempts, Math.random());
    if (concernsAll) this.#pausedUntilMs = this.clock.nowMs() + restMs;
    const isOurs = await this.background.untilDone(() =>
      this.ledger.release(hold, outcome === 'unknown' || hold.wasSent),
    );
    this.log.info(
      { ...this.#fields(taken, outcome, answer, effort), restMs: Math.round(restMs) },
      'A delivery waits to be tried again',
    );
    // One that somebody else has changed meanwhile is looked at again: it may be over, or wait.
    await this.#retreat(place, isOurs ? restMs : 0);
  }

  /**
   * What is known is written down, however long that takes; who waits for it hears of it soon. False when somebody has
   * taken the delivery over: what is to become of its place is found out then.
   */
  async #settle(
    taken: Taken & { kind: 'taken' },
    settlement: Settlement,
    effort: WriteEffort,
  ): Promise<boolean> {
    const { delivery, hold } = taken;
    const { id, operation } = delivery;
    const { state, answer } = settlement;
    let followers: readonly string[] = [];
    const settled = this.background.untilDone(() =>
      this.ledger.settle(hold, settlement, async (queries) => {
        if (state === 'rejected') return this.followers.goOn(queries, id);
        followers = await this.followers.settle(queries, id, state, answer);
        return undefined;
      }),
    );
    const cancel = this.clock.after(PATIENCE_MS, () => {
      this.settlements.endedHere(id, { state, answer: withoutPersonal(answer, hold.personal) });
    });
    const isOurs = await settled;
    cancel();
    const fields = this.#fields(taken, state, answer, effort);
    if (isOurs !== true) {
      const isLearnt = await this.background.untilDone(() => this.unknown.learn(hold, settlement));
      if (isLearnt === true)
        this.log.info(fields, 'A delivery that was given up as unknown has ended after all');
      else this.log.warn(fields, 'A delivery was taken over while it was being sent');
      return false;
    }
    for (const follower of followers) this.settlements.announce(follower);
    this.metrics.deliveriesSettled.inc({ operation, state });
    this.log.info(fields, 'delivery');
    return true;
  }

  /** Of a log line: with what leads from the line of the request to this one, and back. */
  #fields(
    { delivery: { id, caller, operation }, content }: Taken & { kind: 'taken' },
    outcome: string,
    { problem }: KeptAnswer,
    { attempts, waitMs }: WriteEffort,
  ): Record<string, unknown> {
    const requestId = this.performer.requestId({ content });
    return {
      delivery: id,
      requestId,
      caller,
      operation,
      outcome,
      problem,
      attempts,
      waitMs: Math.round(waitMs),
    };
  }

  async #retreat(place: DeliveryPlace, afterMs: number): Promise<void> {
    await this.background.untilDone(() => place.retreat(afterMs));
  }

  #renew(hold: Hold): () => void {
    let cancel: () => void = () => undefined;
    const again = (): void => {
      cancel = this.clock.after(RENEW_EVERY_MS, () => {
        again();
        // Without it the hold ends by itself, and nothing more is sent.
        hold.renew().catch(() => undefined);
      });
    };
    again();
    return () => {
      cancel();
    };
  }
}

/** The real time where it is known; else longer from turn to turn, with full jitter. */
function restAfter(retryAfterMs: number | undefined, attempts: number, random: number): number {
  const restMs = retryAfterMs ?? random * SHORTEST_REST_MS * 2 ** Math.min(attempts / MAX_FAILURES, 10);
  return Math.min(LONGEST_REST_MS, Math.max(SHORTEST_REST_MS, restMs));
}
