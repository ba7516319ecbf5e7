import { Injectable } from '@nestjs/common';
import { type Caller, mayWriteFor } from '../client-auth/caller.js';
import { NexudusClient, type WriteContext } from '../nexudus/nexudus.client.js';
import { Problem } from '../problem-details/problem.js';
import type { ChatMessageDto, ChatMessageRepresentation } from './chat-message.dto.js';
import { toNexudus, toRepresentation } from './chat-message.mapper.js';

/** Creates and replaces chat messages: who may, what is sent, what comes back. */
@Injectable()
export class ChatMessagesService {
  constructor(private readonly nexudus: NexudusClient) {}

  async create(
    message: ChatMessageDto,
    caller: Caller,
    context: WriteContext,
  ): Promise<ChatMessageRepresentation> {
    this.#authorize(message, caller);
    return toRepresentation(message, await this.nexudus.write('create', toNexudus(message), context));
  }

  async replace(
    id: number,
    message: ChatMessageDto,
    caller: Caller,
    context: WriteContext,
  ): Promise<ChatMessageRepresentation> {
    this.#authorize(message, caller);
    const { updatedAt } = await this.nexudus.write('replace', toNexudus(message, id), context);
    return toRepresentation(message, { id, updatedAt });
  }

  #authorize({ businessId }: ChatMessageDto, caller: Caller): void {
    if (!mayWriteFor(caller, businessId)) {
      throw new Problem('forbidden', { detail: 'The caller may not write for this business.' });
    }
  }
}
