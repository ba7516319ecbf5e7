import { LARGEST_ID } from '../chat-messages/chat-message.rules.js';
import { Environment } from '../config/environment.js';
import { DELIVERY_STATES } from '../ledger/delivery.js';
import type { Header, Parameter, Reference } from './describe.js';

const { REQUEST_DEADLINE_MS, IDEMPOTENCY_TTL_S } = new Environment();

const WAIT = 'wait=[1-9]\\d*';
const PREFERENCE = `(respond-async|${WAIT})`;
const REQUEST_ID = { type: 'string', pattern: '^[A-Za-z0-9._-]{1,128}$' };

/**
 * What a caller can send along, by the name that the document points to. Without examples: the page would fill them
 * in, and a key or a trace that everybody sends is worse than none.
 */
export const PARAMETERS = {
  MessageId: {
    name: 'id',
    in: 'path',
    required: true,
    description: 'The id of the chat message.',
    schema: { type: 'integer', minimum: 1, maximum: LARGEST_ID },
    example: 87654321,
  },
  IdempotencyKey: {
    name: 'Idempotency-Key',
    in: 'header',
    description:
      'Makes a repeat safe (draft-ietf-httpapi-idempotency-key-header). Make one key for each message, such as `"8e03978e-40d5-43dd-bc93-6894a57f9324"`, and send it again with every repeat of that message: the service then answers what it answered before, with `Idempotency-Replayed: true`, and sends nothing. 1 to 255 visible ASCII characters, quoted or not. ' +
      `A key is remembered for ${IDEMPOTENCY_TTL_S / 3600} hours by default; by a service without a database, unless the instance ends before.`,
    schema: { type: 'string', minLength: 1, maxLength: 257, pattern: '^[!-~]+$' },
  },
  Prefer: {
    name: 'Prefer',
    in: 'header',
    description: `\`wait=10\`: wait 10 seconds at most, all attempts and waiting included (RFC 7240 section 4.3). Never longer than the instance allows (by default ${REQUEST_DEADLINE_MS / 1000} seconds), which is also what counts without it. \`respond-async\` (section 4.1): take the message on, and answer 202 with a delivery where it is not settled within the \`wait\`, or at once without one. Without a database \`respond-async\` is ignored: \`Preference-Applied\` says what was honoured. What cannot be read is ignored.`,
    schema: { type: 'string' },
  },
  DeliveryId: {
    name: 'id',
    in: 'path',
    required: true,
    description: 'The id of the delivery.',
    schema: { type: 'string', format: 'uuid' },
    example: '5f0c9a3e-7d3b-4b52-9d35-0f5a1c7a2e11',
  },
  DeliveryState: {
    name: 'state',
    in: 'query',
    description: 'Only those in this state.',
    schema: { type: 'string', enum: DELIVERY_STATES },
  },
  Limit: {
    name: 'limit',
    in: 'query',
    description: 'How many at most.',
    schema: { type: 'integer', minimum: 1, maximum: 100, default: 25 },
  },
  Cursor: {
    name: 'cursor',
    in: 'query',
    description: 'Where the page begins: the `next` of the one before.',
    schema: { type: 'string' },
  },
  RequestId: {
    name: 'X-Request-Id',
    in: 'header',
    description: 'Names the request in the logs of this service. Without one that fits, a new one is made.',
    schema: REQUEST_ID,
  },
  TraceParent: {
    name: 'traceparent',
    in: 'header',
    description: 'The trace that this request belongs to (W3C Trace Context); it is continued.',
    schema: { type: 'string' },
  },
  TraceState: {
    name: 'tracestate',
    in: 'header',
    description: 'What the tracing systems on the way add to `traceparent`.',
    schema: { type: 'string' },
  },
} as const satisfies Record<string, Parameter>;

/** What an answer can carry, by its name in HTTP, or one of its own where that has another meaning there. `required` where it is on every answer that names it. */
export const HEADERS = {
  'X-Request-Id': {
    description: "The request's id: the caller's own, or a new one. Name it when you report a fault.",
    required: true,
    schema: REQUEST_ID,
    example: 'a74cfa8d-02f5-4b3e-8f2c-0d9fd4f64b5e',
  },
  'X-Content-Type-Options': {
    description: 'The media type is what it says.',
    required: true,
    schema: { type: 'string', const: 'nosniff' },
  },
  RateLimit: {
    description:
      "What is left of the service's write budget at Nexudus, shared by all callers: for each window `r` writes, and `t` seconds until there are more (draft-ietf-httpapi-ratelimit-headers). Absent where no limits are set.",
    schema: { type: 'string' },
    example: '"1m";r=42;t=17, "1d";r=2310;t=51200',
  },
  'RateLimit-Policy': {
    description: 'The windows of the write budget: `q` writes in `w` seconds.',
    schema: { type: 'string' },
    example: '"1m";q=60;w=60, "1d";q=2500;w=86400',
  },
  Location: {
    description: 'Where the message can be replaced.',
    required: true,
    schema: { type: 'string', format: 'uri-reference', pattern: '^/v1/chat-messages/[1-9]\\d*$' },
    example: '/v1/chat-messages/87654321',
  },
  DeliveryLocation: {
    description: 'Where the delivery can be asked what became of it.',
    required: true,
    schema: { type: 'string', format: 'uri-reference', pattern: '^/v1/deliveries/[0-9a-f-]{36}$' },
    example: '/v1/deliveries/5f0c9a3e-7d3b-4b52-9d35-0f5a1c7a2e11',
  },
  'Preference-Applied': {
    description: 'The preferences of `Prefer` that were honoured.',
    schema: { type: 'string', pattern: `^${PREFERENCE}(, ${PREFERENCE})?$` },
    example: 'wait=10',
  },
  RespondAsyncApplied: {
    description: 'Says that `respond-async` was honoured, and the `wait` where there was one.',
    required: true,
    schema: { type: 'string', pattern: `^(${WAIT}, )?respond-async(, ${WAIT})?$` },
    example: 'respond-async',
  },
  'Idempotency-Replayed': {
    description:
      'This answer was stored by an earlier request with the same `Idempotency-Key`; nothing was sent. The `requestId` in the body is that of the first request.',
    schema: { type: 'string', const: 'true' },
  },
  'Retry-After': {
    description: 'In how many seconds a repeat can succeed at the earliest: computed, not a constant.',
    required: true,
    schema: { type: 'integer', minimum: 1 },
    example: 17,
  },
  'WWW-Authenticate': {
    description: 'The challenge of RFC 6750 section 3; `error="invalid_token"` where a bearer token came.',
    required: true,
    schema: { type: 'string', pattern: '^Bearer ' },
    example: 'Bearer realm="nexudus-bff"',
  },
  Allow: {
    description: 'The methods with which the path is served; with every 405.',
    schema: { type: 'string' },
    example: 'POST',
  },
  'Cache-Control': {
    description: 'How long the answer may be kept.',
    required: true,
    schema: { type: 'string' },
    example: 'public, max-age=86400',
  },
  ETag: {
    description: 'Names this version of the answer; send it as `If-None-Match`.',
    required: true,
    schema: { type: 'string', pattern: '^"[!-~]+"$' },
    example: '"Zm9vYmFyYmF6cXV4"',
  },
} as const satisfies Record<string, Header>;

export type HeaderName = keyof typeof HEADERS;

/** On every answer of the service. */
export const ALWAYS = ['X-Request-Id', 'X-Content-Type-Options', 'RateLimit', 'RateLimit-Policy'] as const;

export function parameters(...names: (keyof typeof PARAMETERS)[]): Reference[] {
  return names.map((name) => ({ $ref: `#/components/parameters/${name}` }));
}

export function headers(...names: HeaderName[]): Record<string, Reference> {
  return Object.fromEntries(
    [...ALWAYS, ...names].map((name) => [name, { $ref: `#/components/headers/${name}` }]),
  );
}
