import type { KeptAnswer, WorkRecord } from '../idempotency/idempotency.store.js';
import type { NexudusMessage, WriteContext, WriteReceipt } from '../nexudus/write.js';
import type { Delivery } from './delivery.js';

/** What is to be done. */
export interface Work extends Pick<Delivery, 'operation' | 'messageId'> {
  readonly content: string;
}

/** How it is to be done: by whoever has its turn. */
export type Way = Pick<WriteContext, 'deadline' | 'abandoned' | 'effort' | 'span'> &
  Required<Pick<WriteContext, 'place' | 'journal'>>;

/** What work that failed comes to. */
export interface Failure {
  readonly outcome: 'not-sent' | 'rejected' | 'unknown';
  /** What whoever asks is told of it. */
  readonly answer: KeptAnswer;
  /** When it may succeed, where that is known. */
  readonly retryAfterMs: number | undefined;
  /** It says as much of all other work: the account is refused, say. */
  readonly concernsAll: boolean;
  /** Where something in front of Nexudus blocked it: the answer, once that turns out to be meant for this work alone. */
  readonly ifBlocked: KeptAnswer | undefined;
}

/** Knows what was handed over, and how to send it. A port: the ledger keeps it without knowing what it is. */
export abstract class DeliveryPerformer {
  /** @throws whatever became of it: `failed` explains it */
  abstract perform(work: Work, way: Way): Promise<KeptAnswer>;
  /** @param attempts made by whoever has failed */
  abstract failed(failure: unknown, work: Work, attempts: number): Failure;
  /** The answer to work of which it is found out later that it was done. */
  abstract delivered(work: Work, receipt: WriteReceipt): KeptAnswer;
  /** The answer to work in whose stead other work was done, and answered so. */
  abstract inStead(work: Work, answer: KeptAnswer): KeptAnswer;
  /** The message, as Nexudus is to get it: to tell whether a record there is it. */
  abstract message(work: Pick<Work, 'content'>): NexudusMessage;
  /** Names the request that handed it over, in the log. */
  abstract requestId(work: Pick<Work, 'content'>): string;
  /** What of an answer is not kept. */
  abstract personal(work: Work): WorkRecord['personal'];
}
