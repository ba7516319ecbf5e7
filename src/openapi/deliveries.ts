import type { Operation, Response } from './describe.js';
import { headers, parameters } from './headers.js';
import { json, problemsOf } from './responses.js';

const ID = '5f0c9a3e-7d3b-4b52-9d35-0f5a1c7a2e11';
const PATH = `/v1/deliveries/${ID}`;
const DELIVERY = { $ref: '#/components/schemas/Delivery' };

/** One that waits, one that is done, and one that never was sent: what each has, and what it has not. */
const WAITING = {
  id: ID,
  operation: 'create',
  state: 'accepted',
  outcome: null,
  attempts: 0,
  position: 12,
  estimatedAt: '2026-11-22T00:19:37Z',
  expiresAt: '2026-11-23T00:19:25Z',
  acceptedAt: '2026-11-22T00:19:25Z',
};
const { position, estimatedAt, ...ONCE_ACCEPTED } = WAITING;
const CANCELLED = {
  ...ONCE_ACCEPTED,
  state: 'cancelled',
  outcome: 'not-sent',
  settledAt: '2026-11-22T00:19:30Z',
};
const DONE = {
  ...ONCE_ACCEPTED,
  state: 'done',
  outcome: 'done',
  attempts: 1,
  settledAt: '2026-11-22T00:19:36Z',
  message: {
    id: 87654321,
    businessId: 123,
    action: 'operator',
    content: 'See you at ten.',
    userId: 77,
    sessionId: 42,
    updatedAt: '2026-11-22T00:19:36Z',
  },
};

const NEEDS_DATABASE = 'Served where the service has a database; elsewhere it answers 404 `not-found`.';

/** A write that was handed over: the answer to `Prefer: respond-async` where it is not settled in time. */
export const ACCEPTED: Response = {
  description:
    'Accepted: `Prefer: respond-async` was sent, and the message is not settled yet. It is stored, survives every restart, and is sent when its turn comes. What becomes of it is found under `Location`.',
  headers: {
    ...headers('Idempotency-Replayed'),
    Location: { $ref: '#/components/headers/DeliveryLocation' },
    'Preference-Applied': { $ref: '#/components/headers/RespondAsyncApplied' },
  },
  content: json(
    { $ref: '#/components/schemas/AcceptedDelivery' },
    { id: ID, state: 'accepted', position, estimatedAt, expiresAt: WAITING.expiresAt },
  ),
};

const LIST: Operation = {
  operationId: 'listDeliveries',
  tags: ['Deliveries'],
  summary: 'List your deliveries',
  description: `The caller's own, the newest first. ${NEEDS_DATABASE}`,
  parameters: parameters('DeliveryState', 'Limit', 'Cursor', 'RequestId'),
  responses: {
    200: {
      description: 'One page of them.',
      headers: headers(),
      content: json(
        { $ref: '#/components/schemas/DeliveryList' },
        { deliveries: [WAITING, DONE], next: null },
      ),
    },
    ...problemsOf('list-deliveries', '/v1/deliveries'),
  },
};

const READ: Operation = {
  operationId: 'getDelivery',
  tags: ['Deliveries'],
  summary: 'Ask what became of a delivery',
  description: `Ask again at \`estimatedAt\`, or follow its events. ${NEEDS_DATABASE}`,
  parameters: parameters('DeliveryId', 'RequestId'),
  responses: {
    200: {
      description: 'How it stands now.',
      headers: headers(),
      content: {
        'application/json': {
          schema: DELIVERY,
          examples: {
            waiting: { summary: 'It waits', value: WAITING },
            done: { summary: 'It is done', value: DONE },
          },
        },
      },
    },
    ...problemsOf('read-delivery', PATH),
  },
};

const EVENTS: Operation = {
  operationId: 'followDelivery',
  tags: ['Deliveries'],
  summary: 'Follow a delivery until it is settled',
  description: `Server-sent events (the HTML standard, section 9.2). An event \`state\` comes at once, and with every change of its state and every attempt; its data is the delivery as \`GET /v1/deliveries/{id}\` has it. The stream ends after the one that says that it is settled: whoever is cut off before simply asks again, and begins with how it stands then. Lines that begin with a colon keep the connection open. ${NEEDS_DATABASE}`,
  parameters: parameters('DeliveryId', 'RequestId'),
  responses: {
    200: {
      description: 'The events. The data of each is a `Delivery`.',
      headers: headers(),
      content: {
        'text/event-stream': {
          schema: { type: 'string' },
          examples: {
            waitingThenDone: {
              summary: 'It waits, then it is done',
              value: [WAITING, DONE]
                .map((delivery) => `event: state\ndata: ${JSON.stringify(delivery)}\n\n`)
                .join(''),
            },
          },
        },
      },
    },
    ...problemsOf('read-delivery', `${PATH}/events`),
  },
};

const CANCEL: Operation = {
  operationId: 'cancelDelivery',
  tags: ['Deliveries'],
  summary: 'Cancel a delivery that waits',
  description: `Only what is \`accepted\` can be cancelled: it is never sent then. ${NEEDS_DATABASE}`,
  parameters: parameters('DeliveryId', 'RequestId'),
  responses: {
    200: { description: 'It is cancelled.', headers: headers(), content: json(DELIVERY, CANCELLED) },
    ...problemsOf('cancel-delivery', PATH),
  },
};

/** Of the handlers of the controller. */
export const DELIVERY_OPERATIONS = { list: LIST, read: READ, cancel: CANCEL, events: EVENTS };
