import type { Interruption } from '../clock/interruption.js';
import type { KeptAnswer, WorkRecord } from '../idempotency/idempotency.store.js';
import type { Standing } from '../nexudus/delivery.line.js';
import type { Delivery, DeliveryState } from './delivery.js';
import type { StoredAnswer } from './stored-answer.js';

/** A write that its caller does not wait for. */
export interface HandOver {
  readonly record: WorkRecord;
  /** Where it carries an idempotency key: that with all that it belongs to, and the body's fingerprint. */
  readonly key: { readonly scope: string; readonly fingerprint: string } | undefined;
  /** Aborted when nobody waits for it any more: the caller has gone away, or its wait is over. */
  readonly abandoned: Interruption;
}

/** What became of handing over. */
export type Acceptance =
  | {
      readonly kind: 'accepted';
      readonly id: string;
      readonly expiresAtMs: number;
      /** `undefined` where it is still to be asked for. */
      readonly standing: Standing | undefined;
    }
  /** The same was handed over before, with the same key, and is not settled yet. */
  | { readonly kind: 'repeated'; readonly id: string }
  /** Somebody waits for the answer to the same key right now. */
  | { readonly kind: 'running' }
  | { readonly kind: 'settled'; readonly answer: KeptAnswer }
  /** The key was used with another body. */
  | { readonly kind: 'reused' };

/** How a delivery has ended. */
export interface Ending {
  readonly state: DeliveryState;
  readonly answer: StoredAnswer | undefined;
}

/** A delivery, and where it stands in the line if it waits. */
export interface StandingDelivery {
  readonly delivery: Delivery;
  readonly standing: Standing | undefined;
  /** With what of it is personal, as long as that is kept. */
  readonly answer: KeptAnswer | undefined;
}

/** A page of a list, and where the next one begins. */
export interface DeliveryPage {
  readonly deliveries: readonly StandingDelivery[];
  readonly next: string | undefined;
}

/** Writes that were handed over. A port: they are kept only where there is a database. */
export abstract class Deliveries {
  /**
   * Takes a write on. What it answers is committed: it is not lost any more.
   *
   * @throws Problem `quota-exhausted` when too many wait, with the time at which one of them is expected to be sent;
   *   `internal-error` with an unknown outcome when the database was lost on the way
   * @throws DatabaseUnavailable when it was not taken on
   */
  abstract accept(handOver: HandOver): Promise<Acceptance>;
  /** Waits until it is settled, or the signal aborts: `undefined` then. */
  abstract settled(id: string, signal: Interruption): Promise<Ending | undefined>;
  /** One of the caller's own. */
  abstract find(caller: string, id: string): Promise<StandingDelivery | undefined>;
  /**
   * The caller's own, newest first.
   *
   * @param cursor where an earlier page ended
   * @returns `undefined` when the cursor is not one
   */
  abstract list(
    caller: string,
    state: DeliveryState | undefined,
    limit: number,
    cursor: string | undefined,
  ): Promise<DeliveryPage | undefined>;
  /** Takes one of the caller's own back, if it cannot have been sent. `undefined` when there is none. */
  abstract cancel(caller: string, id: string): Promise<boolean | undefined>;
  /** Calls back at each change of one; the returned function takes that back. */
  abstract watch(id: string, changed: () => void): () => void;
}
