import type { WorkRecord } from '../idempotency/idempotency.store.js';
import type { StoredAnswer } from './stored-answer.js';

/** In what order: `accepted` → `sending` → one of the others, each written before the act that it announces. */
export const DELIVERY_STATES = [
  'accepted',
  'sending',
  'done',
  'rejected',
  'unknown',
  'expired',
  'cancelled',
] as const;
export type DeliveryState = (typeof DELIVERY_STATES)[number];

/** A write that was taken on, as it stands. Times are milliseconds since the Unix epoch, on the database's clock. */
export interface Delivery {
  readonly id: string;
  readonly caller: string;
  readonly operation: WorkRecord['operation'];
  /** Of the message that is replaced. */
  readonly messageId: number | undefined;
  readonly session: string | undefined;
  /** sync: somebody waits for the answer; async: it was handed over. */
  readonly mode: 'sync' | 'async';
  readonly state: DeliveryState;
  readonly attempts: number;
  readonly acceptedAtMs: number;
  /** Not sent any more after that. */
  readonly expiresAtMs: number | undefined;
  /** Of the first attempt that Nexudus may have run. */
  readonly sentAtMs: number | undefined;
  readonly settledAtMs: number | undefined;
  /** What the caller is told; of an unknown one, only until it is found out. */
  readonly answer: StoredAnswer | undefined;
  /** As it was handed over; only as long as it is kept. */
  readonly content: string | undefined;
  /** The delivery that is sent in its stead, and whose end is its own unless it is rejected. */
  readonly mergedInto: string | undefined;
  /** Raised whenever somebody takes it over, and when it ends. */
  readonly fence: number;
  /** Until when somebody is at it; `undefined` when nobody is. */
  readonly heldUntilMs: number | undefined;
  /** When this was read. */
  readonly readAtMs: number;
}

/** Whether what becomes of it is still to be seen. */
export function isOpen({ state }: Pick<Delivery, 'state'>): boolean {
  return state === 'accepted' || state === 'sending';
}
