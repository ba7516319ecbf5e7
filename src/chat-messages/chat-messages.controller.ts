import { Body, Controller, Post, Put, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { type Caller, callerName, mayWriteFor } from '../client-auth/caller.js';
import { Clock } from '../clock/clock.js';
import { HttpConfig } from '../config/sections.js';
import { Lifecycle } from '../observability/lifecycle.js';
import { Deadline } from '../nexudus/deadline.js';
import type { WriteContext } from '../nexudus/write.js';
import { Problem } from '../problem-details/problem.js';
import { Arrivals } from './arrivals.js';
import { ChatMessageDto, type ChatMessageRepresentation } from './chat-message.dto.js';
import { ChatMessagesService } from './chat-messages.service.js';
import { HandOvers } from './hand-overs.js';
import { IdempotencyKey } from './idempotency-key.decorator.js';
import { MessageId } from './message-id.decorator.js';
import { parsePreferWaitSeconds, preferOf } from './prefer.js';
import type { Write } from './work-record.js';
import { WriteAnswers } from './write-answers.js';

@Controller('v1/chat-messages')
export class ChatMessagesController {
  constructor(
    private readonly messages: ChatMessagesService,
    private readonly answers: WriteAnswers,
    private readonly handOvers: HandOvers,
    private readonly arrivals: Arrivals,
    private readonly config: HttpConfig,
    private readonly clock: Clock,
    private readonly lifecycle: Lifecycle,
  ) {}

  /** Creates a chat message. */
  @Post()
  create(
    @IdempotencyKey() key: string | undefined,
    @Body() message: ChatMessageDto,
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    const caller = authorize(message, request);
    const write: Write = { operation: 'create', message, caller, key };
    return this.#answer(request, reply, write, (context) => this.messages.create(message, context));
  }

  /** Replaces a chat message: what is left out is cleared. */
  @Put(':id')
  replace(
    @MessageId() id: number,
    @IdempotencyKey() key: string | undefined,
    @Body() message: ChatMessageDto,
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    const caller = authorize(message, request);
    const write: Write = { operation: 'replace', id, message, caller, key };
    return this.#answer(request, reply, write, (context) =>
      this.messages.replace(id, message, caller, context),
    );
  }

  // Not async, nor are the handlers: each async function on the way costs every caller that waits half a kilobyte.
  #answer(
    request: FastifyRequest,
    reply: FastifyReply,
    write: Write,
    perform: (context: WriteContext) => Promise<ChatMessageRepresentation>,
  ): Promise<void> {
    const isHandedOver = this.handOvers.areAskedFor(request);
    const waitMs = this.#waitMs(request);
    if (waitMs !== undefined && !isHandedOver)
      void reply.header('preference-applied', `wait=${waitMs / 1000}`);
    const deadline = new Deadline(
      this.clock,
      waitMs ?? this.config.requestDeadlineMs,
      request.effort.arrivedAtMs,
      this.lifecycle,
    );
    return this.arrivals.inOrder(write, deadline, (entered) => {
      if (isHandedOver) return this.handOvers.answer(request, reply, write, entered);
      return this.answers.answer(request, reply, write, deadline, (journal) =>
        perform({
          requestId: request.id,
          caller: callerName(write.caller),
          deadline,
          abandoned: request.over,
          effort: request.effort,
          span: request.span,
          entered,
          ...(journal && { journal }),
        }),
      );
    });
  }

  /** What the caller asked for with `Prefer: wait=N`, where that is not more than the longest wait. */
  #waitMs(request: FastifyRequest): number | undefined {
    const seconds = parsePreferWaitSeconds(preferOf(request));
    const isHonoured = seconds !== undefined && seconds * 1000 <= this.config.requestDeadlineMs;
    return isHonoured ? seconds * 1000 : undefined;
  }
}

/** The caller, who is one that may write for the business of the message. */
function authorize({ businessId }: ChatMessageDto, request: FastifyRequest): Caller {
  const caller = callerOf(request);
  if (mayWriteFor(caller, businessId)) return caller;
  throw new Problem('forbidden', { detail: 'The caller may not write for this business.' });
}

/** The routes here are not public, so the caller is known when a handler runs. */
function callerOf(request: FastifyRequest): Caller {
  if (request.caller === null)
    throw new Error('A route that is not public was reached without authentication');
  return request.caller;
}
