import { PROBLEM_TYPES, type Outcome, type ProblemSlug, type ProblemType } from './problem.catalogue.js';

/** One fault in a request: where, and what was expected. Never the attempted value. */
export interface ProblemError {
  /** JSON Pointer into the caller's body, as a URI fragment (RFC 6901 section 6): `#/businessId`. */
  readonly pointer?: string;
  /** The path parameter, where the fault is not in the body. */
  readonly parameter?: string;
  readonly detail: string;
}

/** What is special about this occurrence of a problem. */
export interface ProblemDetails {
  readonly detail: string;
  readonly errors?: readonly ProblemError[];
  /** Overrides the outcome of the kind. */
  readonly outcome?: Outcome;
  /** Overrides what the kind says. */
  readonly retryable?: boolean;
  /** From now; sent as `Retry-After` in whole seconds, rounded up. */
  readonly retryAfterMs?: number;
  readonly headers?: Readonly<Record<string, string>>;
}

const EARLY_MS = 20;

/** A problem as an exception: whatever of the service speaks HTTP throws one, and the filter sends it. */
export class Problem extends Error {
  override readonly name = 'Problem';
  readonly type: ProblemType;

  constructor(
    readonly slug: ProblemSlug,
    readonly occurrence: ProblemDetails,
    options?: ErrorOptions,
  ) {
    // An answer, not a fault: nobody reads its stack, which would cost a quarter of a refusal.
    const { stackTraceLimit } = Error;
    Error.stackTraceLimit = 0;
    super(`${slug}: ${occurrence.detail}`, options);
    Error.stackTraceLimit = stackTraceLimit;
    this.type = PROBLEM_TYPES[slug];
  }

  get outcome(): Outcome {
    return this.occurrence.outcome ?? this.type.outcome;
  }

  /** The headers that belong to it, `Retry-After` (RFC 9110 section 10.2.3) included. */
  get headers(): Record<string, string> {
    const { retryAfterMs, headers } = this.occurrence;
    if (retryAfterMs === undefined) return { ...headers };
    // Whoever comes a few milliseconds early waits them out: no reason to send it away for a second more.
    const seconds = Math.ceil((retryAfterMs - EARLY_MS) / 1000);
    return { ...headers, 'retry-after': String(Math.max(1, seconds)) };
  }

  /** The body (RFC 9457 section 3), members in the order of the API description. */
  toBody(typeBaseUrl: string, request: { readonly path: string; readonly id: string }): object {
    const { detail, errors, retryable } = this.occurrence;
    return {
      type: typeBaseUrl + this.slug,
      title: this.type.title,
      status: this.type.status,
      detail,
      instance: request.path,
      requestId: request.id,
      outcome: this.outcome,
      retryable: retryable ?? this.type.retryable,
      ...(errors && { errors }),
    };
  }
}
