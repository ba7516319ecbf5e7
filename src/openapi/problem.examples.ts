import { insufficientScope, noCredential } from '../client-auth/refusals.js';
import { Environment } from '../config/environment.js';
import { DatabaseUnavailable } from '../database/database.errors.js';
import {
  AccessDenied,
  MessageNotFound,
  MessageRejected,
  OutcomeUnknown,
  QuotaExhausted,
  UpstreamUnavailable,
} from '../nexudus/nexudus.errors.js';
import { Problem } from '../problem-details/problem.js';
import { toProblem } from '../problem-details/to-problem.js';

const { CHAT_MESSAGE_MAX_LENGTH } = new Environment();

/** What a request is for, as far as its problems differ. */
export type Purpose = 'create' | 'replace' | 'read' | 'list-deliveries' | 'read-delivery' | 'cancel-delivery';

/** One thing that can go wrong: a name in the document, and the very problem that the service answers with. */
export interface ProblemExample {
  readonly name: string;
  readonly problem: Problem;
}

function example(problem: Problem, name: string = problem.slug): ProblemExample {
  return { name, problem };
}

const UNREADABLE = example(new Problem('malformed-request', { detail: 'The URL cannot be read.' }));

const NOT_FOUND = example(new Problem('not-found', { detail: 'There is no problem of this name.' }));

const BAD_ID = example(
  new Problem('malformed-request', {
    detail: 'The id in the path cannot be one.',
    errors: [{ parameter: 'id', detail: 'must be an integer from 1 to 2147483647' }],
  }),
  'malformed-id',
);

const BAD_KEY = example(
  new Problem('malformed-request', {
    detail: 'The header Idempotency-Key must be one key of 1 to 255 visible ASCII characters.',
  }),
  'malformed-idempotency-key',
);

const UNAUTHENTICATED = example(noCredential());

const STORE_UNAVAILABLE = example(toProblem(new DatabaseUnavailable(false)), 'store-unavailable');

const OF_EVERY_REQUEST = [
  example(toProblem(new Error())),
  example(new Problem('shutting-down', { detail: 'This instance is stopping.', retryAfterMs: 1_000 })),
];

/** What can go wrong with a message, in the order in which it is checked. */
function ofEveryWrite(isRepeatable: boolean): ProblemExample[] {
  return [
    example(new Problem('malformed-request', { detail: 'The body is not JSON.' })),
    BAD_KEY,
    UNAUTHENTICATED,
    example(
      new Problem('unsupported-media-type', {
        detail: 'The body must be application/json in UTF-8, not compressed.',
      }),
    ),
    example(new Problem('payload-too-large', { detail: 'The body is longer than this service accepts.' })),
    example(
      new Problem('validation-failed', {
        detail: 'The message breaks at least one rule.',
        errors: [
          { pointer: '#/businessId', detail: 'must be an integer from 1 to 2147483647' },
          {
            pointer: '#/content',
            detail: `must be a text, not blank, of at most ${CHAT_MESSAGE_MAX_LENGTH} Unicode code points`,
          },
        ],
      }),
    ),
    example(new Problem('forbidden', { detail: 'The caller may not write for this business.' })),
    example(
      new Problem('idempotency-key-in-use', {
        detail: 'A request with this Idempotency-Key is still running: its answer is not known yet.',
        retryAfterMs: 1_000,
      }),
    ),
    example(
      new Problem('idempotency-key-reused', { detail: 'This Idempotency-Key was used with another body.' }),
    ),
    example(toProblem(new QuotaExhausted(17_000))),
    example(
      new Problem('quota-exhausted', {
        detail: 'As many deliveries wait as this service takes on.',
        retryAfterMs: 17_000,
      }),
      'backlog-full',
    ),
    example(toProblem(new UpstreamUnavailable('no-connection', 5_000))),
    STORE_UNAVAILABLE,
    example(toProblem(new AccessDenied('missing-role', 300_000))),
    example(
      toProblem(new MessageRejected([{ propertyName: 'AiChannelSessionId', message: 'does not exist' }])),
      'rejected-by-nexudus',
    ),
    example(toProblem(new OutcomeUnknown('connection-lost', isRepeatable))),
    example(toProblem(new OutcomeUnknown('timeout', isRepeatable))),
    example(toProblem(new Error(), isRepeatable ? 'replace' : 'create'), 'internal-error-after-sending'),
  ];
}

/** What can go wrong when a caller asks about its deliveries. */
const OF_EVERY_DELIVERY = [
  UNREADABLE,
  UNAUTHENTICATED,
  example(insufficientScope()),
  example(
    new Problem('not-found', { detail: 'Nothing is served under this path.' }),
    'not-found-without-database',
  ),
  example(
    new Problem('quota-exhausted', {
      detail: 'This caller has 1000 requests under way already.',
      retryAfterMs: 1_000,
    }),
  ),
  STORE_UNAVAILABLE,
  ...OF_EVERY_REQUEST,
];

const BAD_QUERY = example(
  new Problem('malformed-request', {
    detail: 'The query cannot be one.',
    errors: [{ parameter: 'limit', detail: 'must be an integer from 1 to 100' }],
  }),
  'malformed-query',
);

const NO_SUCH_DELIVERY = example(
  new Problem('delivery-not-found', { detail: 'There is no delivery with this id.' }),
);

const NOT_CANCELLABLE = example(
  new Problem('delivery-not-cancellable', { detail: 'This delivery does not wait any more.' }),
);

/** Every problem that an operation can answer with. */
export const PROBLEMS_OF: Readonly<Record<Purpose, readonly ProblemExample[]>> = {
  create: [...ofEveryWrite(false), ...OF_EVERY_REQUEST],
  replace: [BAD_ID, ...ofEveryWrite(true), example(toProblem(new MessageNotFound())), ...OF_EVERY_REQUEST],
  read: [UNREADABLE, ...OF_EVERY_REQUEST],
  'list-deliveries': [BAD_QUERY, ...OF_EVERY_DELIVERY],
  'read-delivery': [NO_SUCH_DELIVERY, ...OF_EVERY_DELIVERY],
  'cancel-delivery': [NO_SUCH_DELIVERY, NOT_CANCELLABLE, ...OF_EVERY_DELIVERY],
};

/** As {@link PROBLEMS_OF} `read`, where the path names something that may not be there. */
export const PROBLEMS_OF_LOOKING_UP: readonly ProblemExample[] = [...PROBLEMS_OF.read, NOT_FOUND];

/** What no operation answers with, since the request does not reach one. */
export const PROBLEMS_OF_NO_OPERATION: readonly ProblemExample[] = [
  example(new Problem('not-found', { detail: 'Nothing is served under this path.' })),
  example(
    new Problem('method-not-allowed', {
      detail: 'This path is served with POST.',
      headers: { allow: 'POST' },
    }),
  ),
];
