import { ApiDocsController } from '../api-docs/api-docs.controller.js';
import { ChatMessagesController } from '../chat-messages/chat-messages.controller.js';
import { Environment } from '../config/environment.js';
import { DeliveriesController } from '../deliveries/deliveries.controller.js';
import { ProblemsController } from '../problem-details/problems.controller.js';
import { PROBLEM_TYPES } from '../problem-details/problem.catalogue.js';
import { ACCEPTED, DELIVERY_OPERATIONS } from './deliveries.js';
import { describe, type Paths, type Response } from './describe.js';
import { headers, parameters } from './headers.js';
import { PROBLEMS_OF_LOOKING_UP } from './problem.examples.js';
import { OTHER_PROBLEMS, problemResponses } from './problems.js';
import { json, problemsOf } from './responses.js';

const { BODY_LIMIT_BYTES, PROBLEM_TYPE_BASE_URL } = new Environment();

const MESSAGE = {
  businessId: 123,
  content: 'See you at ten.',
  action: 'operator',
  userId: 77,
  sessionId: 42,
};
const REPRESENTATION = { id: 87654321, ...MESSAGE, updatedAt: '2026-11-22T00:19:25Z' };

const BODY = {
  required: true,
  description: `UTF-8, not compressed, at most ${BODY_LIMIT_BYTES} bytes by default.`,
  content: {
    'application/json': {
      schema: { $ref: '#/components/schemas/ChatMessage' },
      examples: {
        full: { summary: 'Everything that can be said', value: MESSAGE },
        least: { summary: 'The least', value: { businessId: 123, content: 'See you at ten.' } },
      },
    },
  },
};

const REQUEST_HEADERS = ['IdempotencyKey', 'Prefer', 'RequestId', 'TraceParent', 'TraceState'] as const;

const REPEATING =
  'Decide by two members of the problem. `retryable: true`: send the same request again, after `Retry-After`; no duplicate can come of it. `outcome: unknown`: ';

/** Every operation, by its path and method. */
export const PATHS: Paths = {
  ...describe(ChatMessagesController, {
    create: {
      operationId: 'createChatMessage',
      tags: ['Chat messages'],
      summary: 'Create a chat message',
      description: `${REPEATING}the message may exist, and is not sent again, since that could make a duplicate. Send an \`Idempotency-Key\` with every create: then a repeat after a lost connection gets the answer of the first.`,
      parameters: parameters(...REQUEST_HEADERS),
      requestBody: BODY,
      responses: {
        201: representation('Created.', 'Location'),
        202: ACCEPTED,
        ...problemsOf('create', '/v1/chat-messages'),
      },
    },
    replace: {
      operationId: 'replaceChatMessage',
      tags: ['Chat messages'],
      summary: 'Replace a chat message',
      description: `It replaces the whole message: a \`userId\` or \`sessionId\` that is left out is cleared. ${REPEATING}the message may have been replaced; it is safe to replace it again.`,
      parameters: parameters('MessageId', ...REQUEST_HEADERS),
      requestBody: BODY,
      responses: {
        200: representation('Replaced.'),
        202: ACCEPTED,
        ...problemsOf('replace', '/v1/chat-messages/87654321'),
      },
    },
  }),
  ...describe(DeliveriesController, DELIVERY_OPERATIONS),
  ...describe(ProblemsController, {
    list: {
      operationId: 'listProblems',
      tags: ['Problems'],
      summary: 'List all kinds of problems',
      description: 'Every kind of problem that this service answers with.',
      security: [],
      parameters: parameters('RequestId'),
      responses: {
        200: {
          description: 'The catalogue.',
          headers: headers('Cache-Control'),
          content: json(
            { type: 'array', items: { $ref: '#/components/schemas/ProblemKind' } },
            Object.entries(PROBLEM_TYPES)
              .slice(0, 2)
              .map(([slug, { title, status }]) => ({
                slug,
                type: PROBLEM_TYPE_BASE_URL + slug,
                title,
                status,
              })),
          ),
        },
        ...problemsOf('read', '/problems'),
      },
    },
    explain: {
      operationId: 'explainProblem',
      tags: ['Problems'],
      summary: 'Explain one kind of problem',
      description:
        'What the `type` of a problem links to: JSON for a program, a page for `Accept: text/html`.',
      security: [],
      parameters: [
        {
          name: 'slug',
          in: 'path',
          required: true,
          description: 'The end of the `type`.',
          schema: { type: 'string', enum: Object.keys(PROBLEM_TYPES) },
          example: 'quota-exhausted',
        },
        ...parameters('RequestId'),
      ],
      responses: {
        200: {
          description: 'What happened, and what to do.',
          headers: headers('Cache-Control'),
          content: {
            ...json(
              { $ref: '#/components/schemas/ProblemExplanation' },
              {
                slug: 'quota-exhausted',
                type: `${PROBLEM_TYPE_BASE_URL}quota-exhausted`,
                ...PROBLEM_TYPES['quota-exhausted'],
              },
            ),
            'text/html': { schema: { type: 'string' } },
          },
        },
        ...problemResponses('/problems/nope', PROBLEMS_OF_LOOKING_UP),
        default: OTHER_PROBLEMS,
      },
    },
  }),
  ...describe(ApiDocsController, {
    openapi: {
      operationId: 'getOpenApi',
      tags: ['Documentation'],
      summary: 'This document',
      description: 'The OpenAPI document of this instance, with its own limits.',
      security: [],
      parameters: parameters('RequestId'),
      responses: {
        200: {
          description: 'OpenAPI 3.1.',
          headers: headers('Cache-Control', 'ETag'),
          content: {
            'application/json': {
              schema: {
                type: 'object',
                required: ['openapi', 'info', 'paths'],
                additionalProperties: true,
                properties: {
                  openapi: { type: 'string', pattern: '^3\\.1\\.' },
                  info: { type: 'object' },
                  paths: { type: 'object' },
                },
              },
            },
          },
        },
        304: {
          description: 'It is still the one of `If-None-Match`.',
          headers: headers('Cache-Control', 'ETag'),
        },
        ...problemsOf('read', '/openapi.json'),
      },
    },
    page: {
      operationId: 'getDocs',
      tags: ['Documentation'],
      summary: 'This document as a page',
      description: 'Swagger UI, served by this service alone.',
      security: [],
      parameters: parameters('RequestId'),
      responses: {
        200: {
          description: 'The page.',
          headers: headers('Cache-Control'),
          content: { 'text/html': { schema: { type: 'string' } } },
        },
        ...problemsOf('read', '/docs'),
      },
    },
    // Parts of the page.
    asset: null,
  }),
};

function representation(description: string, ...more: 'Location'[]): Response {
  return {
    description,
    headers: headers(...more, 'Preference-Applied', 'Idempotency-Replayed'),
    content: json({ $ref: '#/components/schemas/ChatMessageRepresentation' }, REPRESENTATION),
  };
}
