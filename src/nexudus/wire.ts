import type { Span } from '../observability/tracer.js';

/** One HTTP call to Nexudus, complete but for the host. */
export interface UpstreamCall {
  readonly method: 'GET' | 'POST' | 'PUT';
  /** Absolute path below the base URL, with the query. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  /** From the hand-over to the last byte of the answer, connecting and queueing for a socket included. */
  readonly timeoutMs: number;
  /** It is not to be begun later than this: waiting for a socket, connecting and TLS must be over by then. */
  readonly startWithinMs?: number;
  /** Asked right before the first byte is written; where it says no, nothing is. */
  readonly isWanted?: () => boolean;
  /** Of the request that it is made for: its trace goes with the call. */
  readonly span?: Span;
  /** How many times the same was sent before, for the same request. */
  readonly resendCount?: number;
  /** A message, not a read or a token: sent without axios' pipeline, which costs more than the rest of the call. */
  readonly isWrite?: boolean;
}

/** An HTTP answer, as it came. */
export interface WireAnswer {
  readonly kind: 'answer';
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** UTF-8 text; only what came before the cut where `complete` is false. */
  readonly body: string;
  /** What ended it before its body did; `undefined` for a whole one. A body over the limit counts as lost. */
  readonly cutOffBy: 'timeout' | 'connection' | undefined;
}

/**
 * What became of one call, told by what the socket saw, never by the name of an error:
 * `not-sent` means that no byte of the request was handed to a socket, so that Nexudus cannot have run it;
 * `no-answer` means that bytes may have left and no usable status line came back, so that it may have.
 */
export type WireResult =
  | WireAnswer
  | {
      readonly kind: 'not-sent';
      readonly reason: 'timeout' | 'connection' | 'unwanted';
      readonly cause: unknown;
    }
  | { readonly kind: 'no-answer'; readonly reason: 'timeout' | 'connection'; readonly cause: unknown };
