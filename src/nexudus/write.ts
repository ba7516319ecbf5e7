import type { Interruption } from '../clock/interruption.js';
import type { Span } from '../observability/tracer.js';
import type { Deadline } from './deadline.js';
import type { MessageRecord } from './message.reader.js';

/** A chat message as Nexudus takes it; with `Id` on a replace. What is undefined is left out, and so cleared. */
export interface NexudusMessage {
  readonly Id?: number;
  readonly BusinessId: number;
  readonly Action: number;
  readonly Content: string;
  readonly UserId?: number;
  readonly AiChannelSessionId?: number;
}

/** One write on its way: whose, and for how long somebody waits for it. */
export interface WriteContext {
  readonly requestId: string;
  /** Callers take turns, by this name. */
  readonly caller: string;
  readonly deadline: Deadline;
  /** Aborted when the caller goes away. Heeded until the message is sent; what is sent is finished. */
  readonly abandoned: Interruption;
  /** Counts what the write took, also when it fails: for the request's log line. */
  readonly effort: WriteEffort;
  /** Of the request that it belongs to: its steps are shown below it. */
  readonly span: Span;
}

/** What a write took. */
export interface WriteEffort {
  attempts: number;
  /** Spent waiting for a turn. */
  waitMs: number;
}

/** What Nexudus said of a write that is done. */
export interface WriteReceipt {
  readonly id: number;
  readonly updatedAt: string | null;
}

/** Makes of the record that stands at Nexudus what is to be sent. */
export type Revise = (record: MessageRecord) => NexudusMessage;
