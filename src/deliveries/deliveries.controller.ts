import { Controller, Delete, Get, Param, Query, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { callerName } from '../client-auth/caller.js';
import { Clock } from '../clock/clock.js';
import { RequestInterruption } from '../clock/interruption.js';
import { Deliveries, type StandingDelivery } from '../ledger/deliveries.js';
import { DELIVERY_STATES, type DeliveryState } from '../ledger/delivery.js';
import { AppLogger } from '../observability/app-logger.js';
import { Lifecycle } from '../observability/lifecycle.js';
import { Problem } from '../problem-details/problem.js';
import { eventsOf } from './delivery.events.js';
import { toRepresentation } from './delivery.representation.js';

const DEFAULT_LIMIT = 25;
const HIGHEST_LIMIT = 100;

/**
 * The deliveries of a caller: what it handed over. A write that it waited for is none, with a key or without: its
 * answer was the end of it, and a repeat with the key is how to ask again.
 */
@Controller('v1/deliveries')
export class DeliveriesController {
  constructor(
    private readonly deliveries: Deliveries,
    private readonly clock: Clock,
    private readonly lifecycle: Lifecycle,
    private readonly log: AppLogger,
  ) {}

  /** The newest first. */
  @Get()
  async list(
    @Req() request: FastifyRequest,
    @Query('state') state: unknown,
    @Query('limit') limit: unknown,
    @Query('cursor') cursor: unknown,
  ): Promise<object> {
    if (cursor !== undefined && typeof cursor !== 'string') throw unreadable('cursor', CURSOR_EXPECTED);
    const page = await this.deliveries.list(nameOf(request), stateOf(state), limitOf(limit), cursor);
    if (page === undefined) throw unreadable('cursor', CURSOR_EXPECTED);
    return { deliveries: page.deliveries.map(toRepresentation), next: page.next ?? null };
  }

  /** How it stands. */
  @Get(':id')
  async read(@Req() request: FastifyRequest, @Param('id') id: string): Promise<object> {
    return toRepresentation(await this.#find(request, id));
  }

  /** The same at each change, until it is settled. */
  @Get(':id/events')
  async events(
    @Req() request: FastifyRequest,
    @Param('id') id: string,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    const present = await this.#find(request, id);
    const over = new RequestInterruption();
    const end = (): void => {
      takeBack();
      over.abort();
    };
    const takeBack = this.lifecycle.onStop(end);
    request.over.addEventListener('abort', end);
    if (request.over.aborted || this.lifecycle.isStopping) end();
    const { deliveries, clock, log } = this;
    await reply
      .header('content-type', 'text/event-stream')
      .header('cache-control', 'no-store')
      // nginx would keep events back until there are enough of them.
      .header('x-accel-buffering', 'no')
      .send(eventsOf(present, { deliveries, clock, log, over }));
  }

  /** Takes back what waits. */
  @Delete(':id')
  async cancel(@Req() request: FastifyRequest, @Param('id') id: string): Promise<object> {
    const isCancelled = await this.deliveries.cancel(nameOf(request), id);
    if (isCancelled === undefined) throw notFound();
    if (!isCancelled) {
      throw new Problem('delivery-not-cancellable', {
        detail: 'The delivery may have been sent already, or is settled: it cannot be cancelled.',
      });
    }
    return toRepresentation(await this.#find(request, id));
  }

  async #find(request: FastifyRequest, id: string): Promise<StandingDelivery> {
    const found = await this.deliveries.find(nameOf(request), id);
    if (found === undefined) throw notFound();
    return found;
  }
}

const CURSOR_EXPECTED = 'must be the "next" of another page';

function notFound(): Problem {
  return new Problem('delivery-not-found', { detail: 'The caller has no delivery with this id.' });
}

function unreadable(parameter: string, expected: string): Problem {
  return new Problem('malformed-request', {
    detail: 'The query cannot be read.',
    errors: [{ parameter, detail: expected }],
  });
}

function stateOf(text: unknown): DeliveryState | undefined {
  if (text === undefined) return undefined;
  const state = DELIVERY_STATES.find((known) => known === text);
  if (state === undefined) throw unreadable('state', `must be one of ${DELIVERY_STATES.join(', ')}`);
  return state;
}

function limitOf(text: unknown): number {
  if (text === undefined) return DEFAULT_LIMIT;
  const limit = typeof text === 'string' && /^[1-9]\d{0,2}$/.test(text) ? Number(text) : NaN;
  if (limit <= HIGHEST_LIMIT) return limit;
  throw unreadable('limit', `must be an integer from 1 to ${HIGHEST_LIMIT}`);
}

/** The routes here are not public, so the caller is known when a handler runs. */
function nameOf({ caller }: FastifyRequest): string {
  if (caller === null) throw new Error('A route that is not public was reached without authentication');
  return callerName(caller);
}
