import type { ChatMessageDto, ChatMessageRepresentation } from '../chat-messages/chat-message.dto.js';
import { LARGEST_ID, NOT_BLANK } from '../chat-messages/chat-message.rules.js';
import { Environment } from '../config/environment.js';
import { PROBLEM_TYPES, type ProblemType } from '../problem-details/problem.catalogue.js';
import type { ProblemError } from '../problem-details/problem.js';
import { deliverySchemas } from './delivery.schemas.js';
import type { Schema } from './describe.js';

const { CHAT_MESSAGE_MAX_LENGTH } = new Environment();

const SLUG = { type: 'string', enum: Object.keys(PROBLEM_TYPES) };
const TYPE = {
  type: 'string',
  format: 'uri-reference',
  description: 'Names the kind of problem; a page about it is behind it.',
};
const STATUS = { type: 'integer', minimum: 400, maximum: 599, description: 'The status of the answer.' };
const TITLE = { type: 'string', description: 'The kind of problem, for a person.' };
const OUTCOME = {
  type: 'string',
  enum: ['not-sent', 'rejected', 'unknown'],
  description:
    'What became of the message. `not-sent`: Nexudus never got it, or provably refused it before running it. `rejected`: Nexudus decided against it. `unknown`: it may or may not exist now.',
};
const RETRYABLE = {
  type: 'boolean',
  description:
    'Whether the same request can be sent again as it is, without risk of a duplicate and with a chance of success. Wait for `Retry-After` first, where there is one.',
};

function id(description: string): Schema {
  return { type: 'integer', minimum: 1, maximum: LARGEST_ID, description };
}

function idOrNull(description: string): Schema {
  return { ...id(description), type: ['integer', 'null'] };
}

const ACTION = { type: 'string', enum: ['operator'], description: 'Who speaks.' };

// Keyed by the classes and interfaces that the service uses: a property that is added there is missing here, and
// does not compile.

const MESSAGE = {
  businessId: id('The business that the message belongs to.'),
  content: {
    type: 'string',
    minLength: 1,
    maxLength: CHAT_MESSAGE_MAX_LENGTH,
    pattern: NOT_BLANK.source,
    description:
      'The text: not blank, and counted in Unicode code points. It reaches Nexudus exactly as it was sent.',
  },
  action: { ...ACTION, default: 'operator' },
  userId: idOrNull('The user in Nexudus that the message is about.'),
  sessionId: idOrNull('The chat session. Messages of one session are sent in order of arrival.'),
} satisfies Record<keyof ChatMessageDto, Schema>;

const REPRESENTATION = {
  id: id('Given by Nexudus.'),
  businessId: MESSAGE.businessId,
  action: ACTION,
  content: { type: 'string', description: 'As it was sent.' },
  userId: MESSAGE.userId,
  sessionId: MESSAGE.sessionId,
  updatedAt: {
    type: ['string', 'null'],
    format: 'date-time',
    description: 'When Nexudus wrote it; null where it did not say.',
  },
} satisfies Record<keyof ChatMessageRepresentation, Schema>;

const DELIVERY_SCHEMAS = deliverySchemas(REPRESENTATION);

const FAULT = {
  pointer: {
    type: 'string',
    pattern: '^#(/.*)?$',
    description: 'Where in the body: a JSON Pointer as a URI fragment (RFC 6901 section 6).',
  },
  parameter: {
    type: 'string',
    description: 'The parameter of the path or the query, where the fault is not in the body.',
  },
  detail: { type: 'string', description: 'What was expected. Never the value that was sent.' },
} satisfies Record<keyof ProblemError, Schema>;

const EXPLANATION = {
  status: STATUS,
  title: TITLE,
  outcome: OUTCOME,
  retryable: RETRYABLE,
  explanation: { type: 'string', description: 'What happened, and what to do, for a person.' },
} satisfies Record<keyof ProblemType, Schema>;

/** Everything that has a name of its own, save the kinds of problems. */
export const SCHEMAS = {
  ...DELIVERY_SCHEMAS,
  ChatMessage: {
    type: 'object',
    description:
      'A chat message as it is sent. Types are not coerced; a property that is not listed is refused.',
    required: ['businessId', 'content'],
    properties: MESSAGE,
    additionalProperties: false,
  },
  ChatMessageRepresentation: {
    type: 'object',
    description: 'A chat message as Nexudus has it now.',
    required: Object.keys(REPRESENTATION),
    properties: REPRESENTATION,
  },
  ProblemDetails: {
    type: 'object',
    description:
      'What every answer that is not a success has (RFC 9457). `outcome` and `retryable` tell what to do.',
    required: ['type', 'title', 'status', 'detail', 'instance', 'requestId', 'outcome', 'retryable'],
    properties: {
      type: TYPE,
      title: TITLE,
      status: STATUS,
      detail: { type: 'string', description: 'What happened this time, for a person. Not for programs.' },
      instance: { type: 'string', description: 'The path of the request.' },
      requestId: { type: 'string', description: 'Names the request in the logs: report it.' },
      outcome: OUTCOME,
      retryable: RETRYABLE,
      errors: {
        type: 'array',
        description: 'Every fault, where there are several things that can be wrong.',
        items: { $ref: '#/components/schemas/Fault' },
      },
    },
  },
  Fault: {
    type: 'object',
    description: 'One fault in a request.',
    required: ['detail'],
    properties: FAULT,
  },
  ProblemKind: {
    type: 'object',
    description: 'One kind of problem.',
    required: ['slug', 'type', 'title', 'status'],
    properties: { slug: SLUG, type: TYPE, title: TITLE, status: STATUS },
  },
  ProblemExplanation: {
    type: 'object',
    description: 'One kind of problem, explained.',
    required: ['slug', 'type', ...Object.keys(EXPLANATION)],
    properties: { slug: SLUG, type: TYPE, ...EXPLANATION },
  },
} satisfies Record<string, Schema>;
