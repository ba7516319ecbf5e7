/**
 * The ways a call to Nexudus can fail, as a closed family: whoever handles one switches on `code`
 * and the type checker proves that none is forgotten. Nothing here knows the HTTP server in front.
 */
export type NexudusError =
  | MessageRejected
  | MessageNotFound
  | OutcomeUnknown
  | QuotaExhausted
  | AccessDenied
  | UpstreamUnavailable
  | StoreUnavailable
  | WriteAbandoned;

/** One fault that Nexudus found in a message. */
export interface FieldFault {
  /** The upstream name of the property, `AiChannelSessionId`; `undefined` for a fault of the whole message. */
  readonly propertyName: string | undefined;
  /** For a person, in the words of Nexudus. */
  readonly message: string;
}

/** Nexudus decided against the message. Nothing was written. */
export class MessageRejected extends Error {
  override readonly name = 'MessageRejected';
  readonly code = 'message-rejected';

  constructor(readonly faults: readonly FieldFault[]) {
    super('Nexudus rejected the message');
  }
}

/** The message to replace is not there. Nothing was written. */
export class MessageNotFound extends Error {
  override readonly name = 'MessageNotFound';
  readonly code = 'message-not-found';

  constructor() {
    super('Nexudus does not have the message');
  }
}

/** The request was written to a socket and no answer tells whether Nexudus ran it. */
export class OutcomeUnknown extends Error {
  override readonly name = 'OutcomeUnknown';
  readonly code = 'outcome-unknown';

  constructor(
    readonly reason: 'timeout' | 'connection-lost' | 'server-error' | 'unusable-answer',
    /** Whether sending it again cannot do harm: true for a replace, false for a create. */
    readonly repeatable: boolean,
  ) {
    super(`The outcome is unknown: ${reason}`);
  }
}

/** The upstream's write budget cannot serve this write within the caller's wait. Nothing was sent. */
export class QuotaExhausted extends Error {
  override readonly name = 'QuotaExhausted';
  readonly code = 'quota-exhausted';

  constructor(
    /** From now until the first moment a write could be sent. */
    readonly retryAfterMs: number,
  ) {
    // Told at once and often: nobody reads its stack, which would cost more than the decision.
    const { stackTraceLimit } = Error;
    Error.stackTraceLimit = 0;
    super('The write budget is spent');
    Error.stackTraceLimit = stackTraceLimit;
  }
}

/** Why Nexudus refuses the service's account; each needs a person. */
export type AccessDeniedReason =
  | 'invalid-credentials'
  | 'two-factor'
  | 'password-reset'
  | 'missing-role'
  | 'token-refused'
  | 'unauthorized'
  | 'edge-blocked'
  /** Not the message but the call for a token: none gets through. */
  | 'token-blocked';

/** Nexudus refuses the service's account. Nothing was written. */
export class AccessDenied extends Error {
  override readonly name = 'AccessDenied';
  readonly code = 'access-denied';

  constructor(
    readonly reason: AccessDeniedReason,
    /** From now until the service itself tries again. */
    readonly retryAfterMs: number,
  ) {
    super(`Nexudus refuses the account: ${reason}`);
  }
}

/** Nexudus could not be reached, or gave no token. Nothing was written. */
export class UpstreamUnavailable extends Error {
  override readonly name = 'UpstreamUnavailable';
  readonly code = 'upstream-unavailable';

  constructor(
    readonly reason: 'no-connection' | 'no-token' | 'circuit-open',
    readonly retryAfterMs: number,
    options?: ErrorOptions,
  ) {
    super(`Nexudus is not available: ${reason}`, options);
  }
}

/**
 * What replicas share, the quota or the ledger, cannot be asked before an attempt, or another replica has taken the
 * write over. This attempt sent nothing.
 */
export class StoreUnavailable extends Error {
  override readonly name = 'StoreUnavailable';
  readonly code = 'store-unavailable';

  constructor(
    readonly reason: 'unreachable' | 'taken-over',
    options?: ErrorOptions,
  ) {
    super(`The store allows no attempt: ${reason}`, options);
  }
}

/** The caller went away before its message was sent. Nothing was sent, and nobody waits for an answer. */
export class WriteAbandoned extends Error {
  override readonly name = 'WriteAbandoned';
  readonly code = 'write-abandoned';

  constructor() {
    super('The caller went away before the message was sent');
  }
}

const FAMILY = [
  MessageRejected,
  MessageNotFound,
  OutcomeUnknown,
  QuotaExhausted,
  AccessDenied,
  UpstreamUnavailable,
  StoreUnavailable,
  WriteAbandoned,
] as const;

/** Whether an error is one of the family. */
export function isNexudusError(error: unknown): error is NexudusError {
  return FAMILY.some((type) => error instanceof type);
}
