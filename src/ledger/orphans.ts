import type { Clock } from '../clock/clock.js';
import type { DeliveriesConfig } from '../config/sections.js';
import type { Queries } from '../database/database.js';
import { OutcomeUnknown } from '../nexudus/nexudus.errors.js';
import type { Metrics } from '../observability/metrics.js';
import { type Delivery, isOpen } from './delivery.js';
import type { DeliveryPerformer } from './delivery.performer.js';
import type { Followers } from './followers.js';
import type { Hold } from './hold.js';
import type { Ledger } from './ledger.js';

/** What somebody finds whose turn it is to send a delivery. */
export type Taken =
  | { readonly kind: 'taken'; readonly delivery: Delivery; readonly content: string; readonly hold: Hold }
  /** There is nothing to be sent. */
  | { readonly kind: 'over' }
  /** Somebody may still be at it. */
  | { readonly kind: 'held'; readonly forMs: number }
  /** Nobody knows whether it was sent; it holds up its session. */
  | { readonly kind: 'unknown'; readonly holdMs: number };

/** Decides what became of writes that nobody is at any more. */
export class Orphans {
  constructor(
    private readonly ledger: Ledger,
    private readonly followers: Followers,
    private readonly performer: DeliveryPerformer,
    private readonly config: DeliveriesConfig,
    private readonly clock: Clock,
    private readonly metrics: Metrics,
  ) {}

  /**
   * Takes a delivery whose turn it is.
   *
   * @throws DatabaseUnavailable
   */
  async take(id: string, leaseMs: number): Promise<Taken> {
    const { ledger } = this;
    const sinceMs = this.clock.nowMs();
    return ledger.database.transaction(async (queries) => {
      const delivery = await ledger.lock(queries, id);
      if (delivery === undefined) return { kind: 'over' };
      const { heldUntilMs = 0, readAtMs, state } = delivery;
      if (state === 'unknown') return { kind: 'unknown', holdMs: this.#holdMs(delivery) };
      if (!isOpen(delivery)) return { kind: 'over' };
      if (heldUntilMs > readAtMs) return { kind: 'held', forMs: heldUntilMs - readAtMs };
      const { content } = delivery;
      if (state === 'sending' && (await this.settle(queries, delivery)) === 'unknown') {
        return { kind: 'unknown', holdMs: this.config.unknownHoldMs };
      }
      if (isLate(delivery) || content === undefined) {
        await this.expire(queries, delivery);
        return { kind: 'over' };
      }
      const fence = await ledger.takeOver(queries, delivery, leaseMs);
      const wasSent = delivery.sentAtMs !== undefined;
      const personal = this.performer.personal({ ...delivery, content });
      const hold = ledger.hold({ id, mode: 'async', fence, leaseMs, sinceMs, wasSent, personal });
      return { kind: 'taken', delivery, content, hold };
    });
  }

  /**
   * Decides what became of one that is being sent by nobody, in the transaction that has locked it: a create may have
   * been run, so it is not sent again; to replace a message again does no harm.
   */
  async settle(queries: Queries, delivery: Delivery): Promise<'unknown' | 'accepted' | 'forgotten'> {
    const { ledger } = this;
    const { id, mode, operation, content } = delivery;
    if (operation === 'create') {
      const work = content === undefined ? undefined : { ...delivery, content };
      // Whoever waited for the answer and asks again is answered then, as for its own request.
      const answer =
        mode === 'async' && work
          ? this.performer.failed(new OutcomeUnknown('connection-lost', false), work, 1).answer
          : undefined;
      await ledger.close(queries, delivery, 'unknown', answer, work && this.performer.personal(work));
      this.#count(delivery, 'unknown');
      return 'unknown';
    }
    if (mode === 'sync') {
      await ledger.remove(queries, id);
      return 'forgotten';
    }
    await queries.query(
      `update bff.delivery set state = 'accepted', owner = null, lease_until = null, fence = fence + 1 where id = $1`,
      [id],
    );
    return 'accepted';
  }

  /** Its time to be sent is over. Of one that may have been run, nobody can say that it was not sent. */
  async expire(queries: Queries, delivery: Delivery): Promise<void> {
    const { sentAtMs, content } = delivery;
    const state = sentAtMs === undefined ? 'expired' : 'unknown';
    const work = content === undefined ? undefined : { ...delivery, content };
    const answer =
      state === 'unknown' && work
        ? this.performer.failed(new OutcomeUnknown('connection-lost', true), work, 1).answer
        : undefined;
    await this.followers.settle(queries, delivery.id, state, answer);
    await this.ledger.close(queries, delivery, state, answer, work && this.performer.personal(work));
    this.#count(delivery, state);
  }

  #count({ mode, operation }: Delivery, state: string): void {
    if (mode === 'async') this.metrics.deliveriesSettled.inc({ operation, state });
  }

  #holdMs({ settledAtMs, readAtMs }: Delivery): number {
    return Math.max(0, (settledAtMs ?? readAtMs) + this.config.unknownHoldMs - readAtMs);
  }
}

/** Whether it may not be sent any more. */
export function isLate({ expiresAtMs, readAtMs }: Delivery): boolean {
  return expiresAtMs !== undefined && expiresAtMs <= readAtMs;
}
