/** What became of the message, as the API description explains it. */
export type Outcome = 'not-sent' | 'rejected' | 'unknown';

/** One kind of problem. The slug is its stable name, and the end of its `type` URI. */
export interface ProblemType {
  readonly status: number;
  readonly title: string;
  /** The outcome, where the kind alone decides it. */
  readonly outcome: Outcome;
  /** Whether the same request can be sent again as it is, without risk of a duplicate and with a chance of success. */
  readonly retryable: boolean;
  /** For a person who follows the `type` link: what happened, and what to do. */
  readonly explanation: string;
}

/** Every problem that this service answers with. */
export const PROBLEM_TYPES = {
  'malformed-request': {
    status: 400,
    title: 'Malformed request',
    outcome: 'not-sent',
    retryable: false,
    explanation:
      'The request is not one this service can read: not JSON, not UTF-8, a header or an id out of form, or broken HTTP. Correct it and send it again.',
  },
  unauthenticated: {
    status: 401,
    title: 'Authentication required',
    outcome: 'not-sent',
    retryable: false,
    explanation:
      'The request carries no usable credential. Send "Authorization: Bearer ..." with a valid one.',
  },
  forbidden: {
    status: 403,
    title: 'Not allowed',
    outcome: 'not-sent',
    retryable: false,
    explanation:
      'The caller is known, but may not write for the business in the body, or lacks the scope chat-messages:write.',
  },
  'not-found': {
    status: 404,
    title: 'No such route',
    outcome: 'not-sent',
    retryable: false,
    explanation: 'Nothing is served under this path.',
  },
  'message-not-found': {
    status: 404,
    title: 'Message not found',
    outcome: 'rejected',
    retryable: false,
    explanation: 'There is no chat message with this id that the caller may change.',
  },
  'delivery-not-found': {
    status: 404,
    title: 'Delivery not found',
    outcome: 'not-sent',
    retryable: false,
    explanation:
      "The caller has no delivery with this id: there never was one, it is another caller's, or it was settled so long ago that it is forgotten. This request sent nothing.",
  },
  'method-not-allowed': {
    status: 405,
    title: 'Method not allowed',
    outcome: 'not-sent',
    retryable: false,
    explanation: 'The path is served, but not with this method. The Allow header lists those that are.',
  },
  'idempotency-key-in-use': {
    status: 409,
    title: 'Idempotency key in use',
    outcome: 'not-sent',
    retryable: true,
    explanation:
      'A request with the same Idempotency-Key is still running. Send this one again after Retry-After: it gets the answer of the first.',
  },
  'delivery-not-cancellable': {
    status: 409,
    title: 'Delivery not cancellable',
    outcome: 'not-sent',
    retryable: false,
    explanation:
      'Only a delivery that is still waiting can be cancelled: this one is being sent, or is settled already. The outcome "not-sent" is that of this request, which sent nothing; the delivery itself says what became of it.',
  },
  'payload-too-large': {
    status: 413,
    title: 'Payload too large',
    outcome: 'not-sent',
    retryable: false,
    explanation: 'The body is longer than this service accepts.',
  },
  'unsupported-media-type': {
    status: 415,
    title: 'Unsupported media type',
    outcome: 'not-sent',
    retryable: false,
    explanation: 'The body must be sent as "Content-Type: application/json", in UTF-8 and not compressed.',
  },
  'validation-failed': {
    status: 422,
    title: 'Validation failed',
    outcome: 'not-sent',
    retryable: false,
    explanation:
      'The message breaks a rule. "errors" lists every fault with a JSON Pointer into the body. With outcome "not-sent" the rule is this service\'s, with "rejected" it is Nexudus\' own.',
  },
  'idempotency-key-reused': {
    status: 422,
    title: 'Idempotency key reused',
    outcome: 'not-sent',
    retryable: false,
    explanation: 'This Idempotency-Key was used for another body. Use a new key for a new message.',
  },
  'quota-exhausted': {
    status: 429,
    title: 'Write budget spent',
    outcome: 'not-sent',
    retryable: true,
    explanation:
      'The write budget at Nexudus cannot serve this request within the time the caller waits. Send it again after Retry-After.',
  },
  'internal-error': {
    status: 500,
    title: 'Internal error',
    outcome: 'not-sent',
    retryable: false,
    explanation:
      'A fault of this service. Report it with the requestId. With outcome "unknown" the message may exist: look before you send it again.',
  },
  'upstream-failure': {
    status: 502,
    title: 'Outcome unknown: no usable answer',
    outcome: 'unknown',
    retryable: false,
    explanation:
      'The message was handed to Nexudus, and its answer was lost, broken or an error: the message may or may not exist now. A create is not sent again by itself, since that could make a duplicate; a replace can be repeated safely.',
  },
  'upstream-access-denied': {
    status: 503,
    title: 'Nexudus refuses the account of this service',
    outcome: 'not-sent',
    retryable: true,
    explanation:
      'Nexudus does not accept the account that this service uses. An operator must act; the message was not sent. It can be sent again after Retry-After.',
  },
  'upstream-unavailable': {
    status: 503,
    title: 'Not available upstream',
    outcome: 'not-sent',
    retryable: true,
    explanation:
      "Nexudus could not be reached or gave no token, the keys of the issuer of the caller's token could not be fetched, or the store of this service cannot be reached. This request sent nothing. Send it again after Retry-After.",
  },
  'shutting-down': {
    status: 503,
    title: 'Shutting down',
    outcome: 'not-sent',
    retryable: true,
    explanation:
      'This instance is stopping. The message was not sent. Send it again: another instance takes it.',
  },
  'upstream-timeout': {
    status: 504,
    title: 'Outcome unknown: no answer in time',
    outcome: 'unknown',
    retryable: false,
    explanation:
      'The message was handed to Nexudus, which did not answer in time: the message may or may not exist now. A create is not sent again by itself, since that could make a duplicate; a replace can be repeated safely.',
  },
} as const satisfies Record<string, ProblemType>;

/** The stable name of a kind of problem. */
export type ProblemSlug = keyof typeof PROBLEM_TYPES;
