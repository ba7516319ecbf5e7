import { Body, Controller, HttpCode, Post, Put, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { type Caller, callerName } from '../client-auth/caller.js';
import { Clock } from '../clock/clock.js';
import { HttpConfig } from '../config/sections.js';
import { Lifecycle } from '../observability/lifecycle.js';
import { Deadline } from '../nexudus/deadline.js';
import type { WriteContext } from '../nexudus/write.js';
import { ChatMessageDto, type ChatMessageRepresentation } from './chat-message.dto.js';
import { ChatMessagesService } from './chat-messages.service.js';
import { MessageId } from './message-id.decorator.js';
import { parsePreferWaitSeconds } from './prefer.js';

@Controller('v1/chat-messages')
export class ChatMessagesController {
  constructor(
    private readonly messages: ChatMessagesService,
    private readonly config: HttpConfig,
    private readonly clock: Clock,
    private readonly lifecycle: Lifecycle,
  ) {}

  /** Creates a chat message. */
  @Post()
  @HttpCode(201)
  async create(
    @Body() message: ChatMessageDto,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<ChatMessageRepresentation> {
    const created = await this.messages.create(message, callerOf(request), this.#context(request, reply));
    void reply.header('location', `/v1/chat-messages/${created.id}`);
    return created;
  }

  /** Replaces a chat message: what is left out is cleared. */
  @Put(':id')
  async replace(
    @MessageId() id: number,
    @Body() message: ChatMessageDto,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<ChatMessageRepresentation> {
    return this.messages.replace(id, message, callerOf(request), this.#context(request, reply));
  }

  #context(request: FastifyRequest, reply: FastifyReply): WriteContext {
    const abandoned = new AbortController();
    reply.raw.once('close', () => {
      if (!reply.raw.writableFinished) abandoned.abort();
    });
    return {
      requestId: request.id,
      caller: callerName(callerOf(request)),
      deadline: new Deadline(
        this.clock,
        this.#waitMs(request, reply),
        request.effort.arrivedAtMs,
        this.lifecycle,
      ),
      abandoned: abandoned.signal,
      effort: request.effort,
    };
  }

  /** What the caller asked for with `Prefer: wait=N`, where that is less than the longest wait. */
  #waitMs(request: FastifyRequest, reply: FastifyReply): number {
    const { prefer } = request.headers;
    const seconds = parsePreferWaitSeconds(Array.isArray(prefer) ? prefer.join() : prefer);
    if (seconds === undefined || seconds * 1000 > this.config.requestDeadlineMs)
      return this.config.requestDeadlineMs;
    void reply.header('preference-applied', `wait=${seconds}`);
    return seconds * 1000;
  }
}

/** The routes here are not public, so the caller is known when a handler runs. */
function callerOf(request: FastifyRequest): Caller {
  if (request.caller === null)
    throw new Error('A route that is not public was reached without authentication');
  return request.caller;
}
