import type { ChatMessageRepresentation } from '../chat-messages/chat-message.dto.js';
import { DELIVERY_STATES } from '../ledger/delivery.js';
import type { Schema } from './describe.js';

const STATE = {
  type: 'string',
  enum: DELIVERY_STATES,
  description:
    '`accepted`: it waits. `sending`: it may be with Nexudus at this moment. The others are settled. `done`: Nexudus has it. `rejected`: Nexudus decided against it. `unknown`: it may or may not exist; it may yet be found out. `expired`: its turn did not come before `expiresAt`. `cancelled`: by the caller.',
};

const EXPIRES_AT = instant('What is not sent by then is not sent any more.');
const ESTIMATED_AT = 'When it is expected to be sent, as things are now.';
const POSITION = 'How far it is from its turn: 1 is the next.';

function instant(description: string): Schema {
  return { type: 'string', format: 'date-time', description };
}

const ID = { type: 'string', format: 'uuid', description: 'Given by this service.' };

const ACCEPTED_DELIVERY = {
  id: ID,
  state: STATE,
  position: {
    type: ['integer', 'null'],
    minimum: 1,
    description: `${POSITION} Null where it does not wait any more.`,
  },
  estimatedAt: {
    ...instant(`${ESTIMATED_AT} Null where it does not wait any more.`),
    type: ['string', 'null'],
  },
  expiresAt: EXPIRES_AT,
};

/** What a delivery may be without. */
const OF_SOME = {
  position: { type: 'integer', minimum: 1, description: `${POSITION} While it waits.` },
  estimatedAt: instant(`${ESTIMATED_AT} While it waits.`),
  settledAt: instant('When its outcome was known.'),
  message: {
    description: 'The message as Nexudus has it, once it is done.',
    $ref: '#/components/schemas/DeliveredMessage',
  },
  problem: {
    description: 'Why it is not done: what a caller that had waited would have been answered.',
    $ref: '#/components/schemas/Problem',
  },
};

const OF_EACH = {
  id: ID,
  operation: {
    type: 'string',
    enum: ['create', 'replace'],
    description: 'What it does with a chat message.',
  },
  state: STATE,
  outcome: {
    type: ['string', 'null'],
    enum: ['done', 'rejected', 'unknown', 'not-sent', null],
    description:
      'What became of the message: null until it is settled; `not-sent` where it is `expired` or `cancelled`.',
  },
  attempts: { type: 'integer', minimum: 0, description: 'How often it was sent.' },
  expiresAt: EXPIRES_AT,
  acceptedAt: instant('When it was taken on.'),
};

/** Everything about deliveries that has a name of its own. */
export function deliverySchemas(
  representation: Readonly<Record<keyof ChatMessageRepresentation, Schema>>,
): Record<string, Schema> {
  return {
    AcceptedDelivery: {
      type: 'object',
      description: 'A message that was taken on, and is not settled yet.',
      required: Object.keys(ACCEPTED_DELIVERY),
      properties: ACCEPTED_DELIVERY,
    },
    Delivery: {
      type: 'object',
      description: 'A message that was handed over, and what became of it.',
      required: Object.keys(OF_EACH),
      properties: { ...OF_EACH, ...OF_SOME },
    },
    DeliveryList: {
      type: 'object',
      description: 'One page of deliveries.',
      required: ['deliveries', 'next'],
      properties: {
        deliveries: { type: 'array', maxItems: 100, items: { $ref: '#/components/schemas/Delivery' } },
        next: {
          type: ['string', 'null'],
          description: 'The `cursor` of the next page; null where this is the last.',
        },
      },
    },
    DeliveredMessage: {
      type: 'object',
      description: 'A chat message as Nexudus has it, whose text this service keeps for a while only.',
      required: Object.keys(representation),
      properties: {
        ...representation,
        content: {
          type: ['string', 'null'],
          description: 'As it was sent; null once it is not kept any more.',
        },
      },
    },
  };
}
