import { isoDate } from '../clock/iso-date.js';
import { DatabaseUnavailable } from '../database/database.errors.js';
import type { AppLogger } from '../observability/app-logger.js';
import {
  json,
  type ManagementAnswer,
  type ManagementHandler,
  type ManagementRequest,
} from '../observability/management.routes.js';
import type { ManagementServer } from '../observability/management.server.js';
import type { Delivery } from './delivery.js';
import type { Decision, UnknownDeliveries } from './unknown.deliveries.js';

const STATES = ['unknown', 'accepted', 'sending'] as const;
const LIST_LIMIT = 1_000;
const UUID = /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/i;
const MAX_ID = 2_147_483_647;

/** What only a person can decide, on the port for operators: what became of a message that nobody can find out. */
export class OperatorRoutes {
  constructor(
    management: ManagementServer,
    private readonly unknown: UnknownDeliveries,
    private readonly log: AppLogger,
  ) {
    management.add(
      'GET',
      '/ops/deliveries',
      this.#answered((request) => this.#list(request)),
    );
    management.add(
      'POST',
      '/ops/deliveries/{id}/resolve',
      this.#answered((request) => this.#resolve(request)),
    );
  }

  #answered(handler: (request: ManagementRequest) => Promise<ManagementAnswer>): ManagementHandler {
    return async (request) => {
      try {
        return await handler(request);
      } catch (error) {
        if (error instanceof DatabaseUnavailable) return json(503, { status: 'the database is away' });
        this.log.error({ err: error }, 'What an operator asked for failed');
        return json(500, { status: 'failed' });
      }
    };
  }

  async #list({ query }: ManagementRequest): Promise<ManagementAnswer> {
    const wanted = query.get('state') ?? 'unknown';
    const state = STATES.find((name) => name === wanted);
    if (state === undefined) return json(422, { status: `state must be one of ${STATES.join(', ')}` });
    const deliveries = await this.unknown.list(state, LIST_LIMIT);
    return json(200, { deliveries: deliveries.map((delivery) => this.#view(delivery, delivery.state)) });
  }

  async #resolve({ parameters, body, from }: ManagementRequest): Promise<ManagementAnswer> {
    const decision = readDecision(body);
    if (decision === undefined) {
      return json(422, {
        status: 'the body must be {"as":"delivered","messageId":1} or {"as":"not-sent"}',
      });
    }
    const { id = '' } = parameters;
    const resolution = UUID.test(id)
      ? await this.unknown.resolve(id, decision)
      : ({ kind: 'no-such-delivery' } as const);
    if (resolution.kind !== 'resolved') return REFUSALS[resolution.kind];
    const { delivery } = resolution;
    // Nobody signs in on this port: whoever gets here may, and the network decides who does.
    this.log.warn(
      { audit: true, from, delivery: delivery.id, caller: delivery.caller, decision },
      'An operator has decided what became of a message',
    );
    const goesOn = delivery.mode === 'async' ? 'accepted' : 'cancelled';
    return json(200, this.#view(delivery, decision.as === 'delivered' ? 'done' : goesOn));
  }

  /** A row without anything that a person has written. */
  #view(delivery: Delivery, state: Delivery['state']): object {
    const { id, caller, operation, mode, attempts, acceptedAtMs, sentAtMs } = delivery;
    const message = this.unknown.messageOf(delivery);
    return {
      id,
      caller,
      operation,
      mode,
      state,
      attempts,
      acceptedAt: isoDate(acceptedAtMs),
      sentAt: sentAtMs === undefined ? null : isoDate(sentAtMs),
      messageId: delivery.messageId ?? null,
      businessId: message?.BusinessId ?? null,
      sessionId: message?.AiChannelSessionId ?? null,
      userId: message?.UserId ?? null,
    };
  }
}

const REFUSALS = {
  'no-such-delivery': json(404, { status: 'no such delivery' }),
  'not-unknown': json(409, { status: 'the outcome of this delivery is not unknown' }),
  'not-ended': json(409, { status: 'a replica is not through with this delivery yet: try again' }),
  'content-gone': json(409, { status: 'the content of this delivery is not kept any more' }),
  'other-message': json(422, { status: 'this delivery replaces another message' }),
} as const satisfies Record<string, ManagementAnswer>;

function readDecision(body: unknown): Decision | undefined {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) return undefined;
  const { as, messageId, ...rest } = body as Record<string, unknown>;
  if (Object.keys(rest).length > 0) return undefined;
  if (as === 'not-sent') return messageId === undefined ? { as } : undefined;
  const isId = Number.isInteger(messageId) && (messageId as number) >= 1 && (messageId as number) <= MAX_ID;
  return as === 'delivered' && isId ? { as, messageId: messageId as number } : undefined;
}
