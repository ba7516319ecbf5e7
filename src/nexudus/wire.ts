/** One HTTP call to Nexudus, complete but for the host. */
export interface UpstreamCall {
  readonly method: 'GET' | 'POST' | 'PUT';
  /** Absolute path below the base URL, with the query. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  /** From the hand-over to the last byte of the answer, connecting and queueing for a socket included. */
  readonly timeoutMs: number;
}

/** An HTTP answer, as it came. */
export interface WireAnswer {
  readonly kind: 'answer';
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** UTF-8 text; only what came before the cut where `complete` is false. */
  readonly body: string;
  /** False when the connection ended before the body did, or the body was over the limit. */
  readonly complete: boolean;
}

/**
 * What became of one call, told by what the socket saw, never by the name of an error:
 * `not-sent` means that no byte of the request was handed to a socket, so that Nexudus cannot have run it;
 * `no-answer` means that bytes may have left and no usable status line came back, so that it may have.
 */
export type WireResult =
  | WireAnswer
  | { readonly kind: 'not-sent'; readonly reason: 'timeout' | 'connection'; readonly cause: unknown }
  | { readonly kind: 'no-answer'; readonly reason: 'timeout' | 'connection'; readonly cause: unknown };
