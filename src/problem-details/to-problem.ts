import { HttpException } from '@nestjs/common';
import { DatabaseUnavailable, LedgerKeyMissing } from '../database/database.errors.js';
import {
  isNexudusError,
  type AccessDeniedReason,
  type FieldFault,
  type NexudusError,
} from '../nexudus/nexudus.errors.js';
import { Problem, type ProblemError } from './problem.js';

/** Another instance may have the key already; this one has it soon, in a rotation. */
const KEY_ELSEWHERE_MS = 5_000;

/**
 * The one table from a failure, whatever its origin, to the problem that the caller gets. Pure, total.
 *
 * @param sent how the message had already been handed to Nexudus, if it had: decides what a fault of ours leaves behind
 */
export function toProblem(failure: unknown, sent?: 'create' | 'replace'): Problem {
  if (failure instanceof Problem) return failure;
  if (isNexudusError(failure)) return fromNexudus(failure);
  if (failure instanceof DatabaseUnavailable && !sent) {
    return new Problem('upstream-unavailable', {
      detail: 'The store of this service cannot be reached. This request sent nothing.',
      retryAfterMs: 1_000,
    });
  }
  if (failure instanceof LedgerKeyMissing && !sent) {
    return new Problem('upstream-unavailable', {
      detail:
        'This instance lacks a key to what the store keeps of an earlier request. This request sent nothing.',
      retryAfterMs: KEY_ELSEWHERE_MS,
    });
  }
  // Whatever it claims to be: after the message was handed over, it comes from behind our own handler.
  if (failure instanceof HttpException && !sent) return fromHttpStatus(failure.getStatus(), failure);
  const refused = sent ? undefined : refusedByFastify(failure);
  return refused ?? internalError(failure, sent);
}

/** An error of Fastify's own says with its status that it is the request's fault: a body that broke off, say. */
function refusedByFastify(failure: unknown): Problem | undefined {
  if (typeof failure !== 'object' || failure === null || !('statusCode' in failure)) return undefined;
  const { statusCode } = failure;
  return typeof statusCode === 'number' && statusCode < 500 ? fromHttpStatus(statusCode, failure) : undefined;
}

function internalError(cause: unknown, sent?: 'create' | 'replace'): Problem {
  if (sent === undefined) {
    return new Problem(
      'internal-error',
      { detail: 'The service failed before the message was sent.' },
      { cause },
    );
  }
  return new Problem(
    'internal-error',
    {
      detail: 'The service failed after the message was handed to Nexudus.',
      outcome: 'unknown',
      retryable: sent === 'replace',
    },
    { cause },
  );
}

function fromNexudus(failure: NexudusError): Problem {
  switch (failure.code) {
    case 'message-rejected':
      return new Problem('validation-failed', {
        detail: 'Nexudus rejected the message.',
        outcome: 'rejected',
        errors: failure.faults.map(toCallersTerms),
      });
    case 'message-not-found':
      return new Problem('message-not-found', { detail: 'There is no chat message with this id.' });
    case 'outcome-unknown':
      return new Problem(failure.reason === 'timeout' ? 'upstream-timeout' : 'upstream-failure', {
        detail: `${UNKNOWN[failure.reason]} ${failure.repeatable ? REPEATABLE : NOT_REPEATABLE}`,
        retryable: failure.repeatable,
      });
    case 'quota-exhausted':
      return new Problem('quota-exhausted', {
        detail: 'The write budget at Nexudus cannot serve this request within the time to wait.',
        retryAfterMs: failure.retryAfterMs,
      });
    case 'access-denied':
      return new Problem('upstream-access-denied', {
        detail: `An operator must act: ${DENIED[failure.reason]}`,
        retryAfterMs: failure.retryAfterMs,
      });
    case 'upstream-unavailable':
      return new Problem('upstream-unavailable', {
        detail: UNAVAILABLE[failure.reason],
        retryAfterMs: failure.retryAfterMs,
      });
    case 'store-unavailable':
      return new Problem('upstream-unavailable', {
        detail: STORE_UNAVAILABLE[failure.reason],
        retryAfterMs: 1_000,
      });
    case 'write-abandoned':
      // Nobody reads it, save the log.
      return new Problem('shutting-down', { detail: failure.message, retryAfterMs: 1_000 });
  }
}

const REPEATABLE =
  'The message may or may not have been replaced; the same request can be sent again safely.';
const NOT_REPEATABLE =
  'The message may or may not exist now; it was not sent again, since that could duplicate it.';

const UNKNOWN = {
  timeout: 'Nexudus did not answer in time.',
  'connection-lost': 'The connection to Nexudus was lost before it answered.',
  'server-error': 'Nexudus answered with an error of its own.',
  'unusable-answer': 'Nexudus answered with something that tells nothing about the message.',
} as const;

const STORE_UNAVAILABLE = {
  unreachable: 'The store of this service cannot be reached. The message was not sent.',
  'taken-over': 'This instance was held up, and another one has taken over. The message was not sent.',
} as const;

const UNAVAILABLE = {
  'no-connection': 'Nexudus could not be reached. The message was not sent.',
  'circuit-open': 'Nexudus has not answered for a while. The message was not sent.',
  'no-token': 'Nexudus gives no access token at present. The message was not sent.',
} as const;

const DENIED: Readonly<Record<AccessDeniedReason, string>> = {
  'invalid-credentials': 'Nexudus refuses the credentials of this service.',
  'two-factor': 'Nexudus asks for a two-factor code that this service cannot give.',
  'password-reset': 'Nexudus demands that the password of the account be reset.',
  'missing-role': 'The account of this service lacks the role to write chat messages.',
  unauthorized: 'Nexudus refuses the account of this service; why is not known yet.',
  'token-refused': 'Nexudus refuses the tokens that it issues to this service.',
  'edge-blocked': 'Nexudus blocks the requests of this service.',
  'token-blocked': 'Nexudus blocks the calls of this service for an access token.',
};

const CALLERS_NAMES: Readonly<Record<string, string>> = {
  BusinessId: 'businessId',
  Action: 'action',
  Content: 'content',
  UserId: 'userId',
  AiChannelSessionId: 'sessionId',
};

/** From the upstream's property to the caller's; one that the caller does not have is named in the sentence. */
function toCallersTerms({ propertyName, message }: FieldFault): ProblemError {
  const detail = presentable(message);
  if (propertyName === undefined) return { detail };
  if (propertyName === 'Id') return { parameter: 'id', detail };
  const name = Object.hasOwn(CALLERS_NAMES, propertyName) ? CALLERS_NAMES[propertyName] : undefined;
  if (name !== undefined) return { pointer: `#/${name}`, detail };
  return { detail: `${presentable(propertyName)}: ${detail}` };
}

const LONGEST_SENTENCE = 500;
/** Markup, an address, an e-mail, a stack frame: things that a sentence for a caller does not hold. */
const NOT_FOR_CALLERS = /<[a-z!/]|https?:|@|\bat [\w.`<>]+\(|\bnexudus\.com\b/i;

/** Nexudus' sentences are for callers, but nothing of its inside is. */
function presentable(sentence: string): string {
  return NOT_FOR_CALLERS.test(sentence) ? 'was refused' : sentence.slice(0, LONGEST_SENTENCE);
}

/** What Nest and Fastify themselves refuse: known by its status alone. */
function fromHttpStatus(status: number, cause: unknown): Problem {
  switch (status) {
    case 404:
      return new Problem('not-found', { detail: 'Nothing is served under this path.' });
    case 413:
      return new Problem('payload-too-large', { detail: 'The body is longer than this service accepts.' });
    case 415:
      return new Problem('unsupported-media-type', { detail: 'The body must be application/json.' });
    default:
      return status < 500
        ? new Problem('malformed-request', { detail: 'The request cannot be read.' }, { cause })
        : internalError(cause);
  }
}
