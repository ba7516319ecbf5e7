import type { Interruption } from '../clock/interruption.js';
import type { Span } from '../observability/tracer.js';
import type { Deadline } from './deadline.js';
import type { MessageRecord } from './message.reader.js';
import type { Place } from './waiting-write.js';

/** A chat message as Nexudus takes it; with `Id` on a replace. What is undefined is left out, and so cleared. */
export interface NexudusMessage {
  readonly Id?: number;
  readonly BusinessId: number;
  readonly Action: number;
  readonly Content: string;
  readonly UserId?: number;
  readonly AiChannelSessionId?: number;
  /** For an external key. */
  readonly SystemId?: string;
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
  /** Called when it has its place in the line. */
  readonly entered?: () => void;
  /** Where it was taken in already. */
  readonly place?: Place;
  /** Where what becomes of it is written down. */
  readonly journal?: WriteJournal;
}

/**
 * Where each step of a write is written down before it is taken, so that whoever finds a write without its owner
 * knows whether Nexudus may have seen it.
 */
export interface WriteJournal {
  /** Names the write among all others: what a create is tagged with, where creates are. */
  readonly id: string;
  /**
   * Before each attempt: from now on the outcome is unknown.
   *
   * @throws when it cannot be written, or somebody else has taken the write over: nothing may be sent then
   */
  sending(attempt: number): Promise<void>;
  /** After an attempt that Nexudus provably did not run, where another may follow. */
  notSent(): Promise<void>;
  /** Asked right before the first byte: whether the write is still this process's to send. */
  readonly isHeld: boolean;
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
