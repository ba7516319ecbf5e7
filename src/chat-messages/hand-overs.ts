import { Inject, Injectable, Optional } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { callerName } from '../client-auth/caller.js';
import { Clock } from '../clock/clock.js';
import { type Interruption, RequestInterruption } from '../clock/interruption.js';
import { isoDate } from '../clock/iso-date.js';
import { HttpConfig } from '../config/sections.js';
import { DatabaseUnavailable } from '../database/database.errors.js';
import { keyInUse, keyReused } from '../idempotency/key.problems.js';
import { type Acceptance, Deliveries, type Ending } from '../ledger/deliveries.js';
import { withPersonal } from '../ledger/stored-answer.js';
import { WriteAbandoned } from '../nexudus/nexudus.errors.js';
import { Lifecycle } from '../observability/lifecycle.js';
import { pathOf } from '../observability/request-path.js';
import { noteOutcome, replay, send } from './kept-answers.js';
import { parsePreferWaitSeconds, preferOf, prefersRespondAsync } from './prefer.js';
import { keyOf, personalOf, recordOf, type Write } from './work-record.js';

/** The body of a 202. */
interface AcceptedRepresentation {
  readonly id: string;
  readonly state: string;
  /** Null where it does not wait any more, like the estimate. */
  readonly position: number | null;
  readonly estimatedAt: string | null;
  readonly expiresAt: string;
}

/** Answers writes that are handed over: at once, or after as long as their callers want to wait. */
@Injectable()
export class HandOvers {
  /** @param deliveries where there is a database; elsewhere the preference is ignored, as RFC 7240 allows */
  constructor(
    @Optional() @Inject(Deliveries) private readonly deliveries: Deliveries | undefined,
    private readonly config: HttpConfig,
    private readonly clock: Clock,
    private readonly lifecycle: Lifecycle,
  ) {}

  /** Whether the caller wants its write to be handed over, and there is somebody to take it. */
  areAskedFor(request: FastifyRequest): boolean {
    return this.deliveries !== undefined && prefersRespondAsync(preferOf(request));
  }

  /**
   * Answers one that is asked for.
   *
   * @param entered called when it has been taken on, and whoever comes after it may be
   * @throws whatever kept the write from being taken on
   */
  async answer(
    request: FastifyRequest,
    reply: FastifyReply,
    write: Write,
    entered: () => void,
  ): Promise<void> {
    const { deliveries } = this;
    if (deliveries === undefined) throw new Error('There is no database to hand a write over to');
    if (request.over.aborted) throw new WriteAbandoned();
    const waitSeconds = parsePreferWaitSeconds(preferOf(request)) ?? 0;
    const isLonger = waitSeconds * 1000 > this.config.requestDeadlineMs;
    const waitMs = isLonger ? this.config.requestDeadlineMs : waitSeconds * 1000;
    const { key } = write;
    const handOver = {
      record: recordOf(write, { id: request.id, path: pathOf(request.url) }),
      key: key === undefined ? undefined : keyOf(write, key),
    };
    const acceptance = await this.#within(waitMs || this.config.requestDeadlineMs, request, (abandoned) =>
      deliveries.accept({ ...handOver, abandoned }),
    ).catch((error: unknown) => {
      const isTooSlow = error instanceof WriteAbandoned && !request.over.aborted;
      throw isTooSlow ? new DatabaseUnavailable(false) : error;
    });
    entered();
    switch (acceptance.kind) {
      case 'running':
        throw keyInUse();
      case 'reused':
        throw keyReused();
      case 'settled':
        replay(request, reply, acceptance.answer);
        return;
      case 'accepted':
      case 'repeated':
    }
    request.effort.delivery = acceptance.id;
    void reply.header(
      'preference-applied',
      waitSeconds > 0 && !isLonger ? `respond-async, wait=${waitSeconds}` : 'respond-async',
    );
    if (acceptance.kind === 'repeated') {
      request.effort.replayed = true;
      void reply.header('idempotency-replayed', 'true');
    }
    const ending = waitMs > 0 ? await this.#ending(deliveries, acceptance.id, request, waitMs) : undefined;
    if (ending?.answer !== undefined) {
      const answer = withPersonal(ending.answer, personalOf(write.message).value);
      noteOutcome(request, answer);
      send(reply, answer);
      return;
    }
    request.effort.outcome = 'accepted';
    await reply
      .code(202)
      .header('location', `/v1/deliveries/${acceptance.id}`)
      .send(await this.#accepted(deliveries, acceptance, callerName(write.caller), waitMs > 0));
  }

  /** How it ended, where it does within the wait: it is taken on whatever becomes of the waiting. */
  async #ending(
    deliveries: Deliveries,
    id: string,
    request: FastifyRequest,
    waitMs: number,
  ): Promise<Ending | undefined> {
    if (request.over.aborted || this.lifecycle.isStopping) return undefined;
    return this.#within(waitMs, request, (enough) => {
      const takeBack = this.lifecycle.onStop(() => {
        enough.abort();
      });
      return deliveries.settled(id, enough).finally(takeBack);
    });
  }

  /** What is done is told when it is enough: the caller has gone away, or its wait is over. */
  async #within<T>(
    waitMs: number,
    request: FastifyRequest,
    work: (enough: RequestInterruption) => Promise<T>,
  ): Promise<T> {
    const enough = new RequestInterruption();
    const end = (): void => {
      enough.abort();
    };
    const over: Interruption = request.over;
    over.addEventListener('abort', end);
    const endsAtMs = request.effort.arrivedAtMs + waitMs;
    const cancel = this.clock.after(Math.max(0, endsAtMs - this.clock.nowMs()), end);
    try {
      return await work(enough);
    } finally {
      cancel();
      over.removeEventListener('abort', end);
    }
  }

  async #accepted(
    deliveries: Deliveries,
    acceptance: Acceptance & { kind: 'accepted' | 'repeated' },
    caller: string,
    hasWaited: boolean,
  ): Promise<AcceptedRepresentation> {
    const { id } = acceptance;
    const known = acceptance.kind === 'accepted' ? acceptance : undefined;
    if (known?.standing !== undefined && !hasWaited) {
      const { position, estimatedInMs } = known.standing;
      const estimatedAt = isoDate(this.clock.epochMs() + estimatedInMs);
      return { id, state: 'accepted', position, estimatedAt, expiresAt: isoDate(known.expiresAtMs) };
    }
    const found = await deliveries.find(caller, id).catch((error: unknown) => {
      // It is taken on all the same: that is what the caller has to know.
      if (known !== undefined && error instanceof DatabaseUnavailable) return undefined;
      throw error;
    });
    const { delivery, standing } = found ?? {};
    return {
      id,
      state: delivery?.state ?? 'accepted',
      position: standing?.position ?? null,
      estimatedAt: standing && delivery ? isoDate(delivery.readAtMs + standing.estimatedInMs) : null,
      expiresAt: isoDate(delivery?.expiresAtMs ?? known?.expiresAtMs ?? this.clock.epochMs()),
    };
  }
}
