import { Injectable } from '@nestjs/common';
import { type Caller, mayWriteFor } from '../client-auth/caller.js';
import { ChatMessagesConfig } from '../config/sections.js';
import { NexudusClient } from '../nexudus/nexudus.client.js';
import type { Revise, WriteContext } from '../nexudus/write.js';
import { MessageNotFound } from '../nexudus/nexudus.errors.js';
import type { ChatMessageDto, ChatMessageRepresentation } from './chat-message.dto.js';
import { toNexudus, toRepresentation } from './chat-message.mapper.js';

/** Creates and replaces chat messages for callers who may write for the business: what is sent, what comes back. */
@Injectable()
export class ChatMessagesService {
  constructor(
    private readonly nexudus: NexudusClient,
    private readonly config: ChatMessagesConfig,
  ) {}

  create(message: ChatMessageDto, context: WriteContext): Promise<ChatMessageRepresentation> {
    return this.nexudus
      .write('create', toNexudus(message), context)
      .then((receipt) => toRepresentation(message, receipt));
  }

  async replace(
    id: number,
    message: ChatMessageDto,
    caller: Caller,
    context: WriteContext,
  ): Promise<ChatMessageRepresentation> {
    const replacement = toNexudus(message, id);
    const readFirst = caller.businesses !== '*' || this.config.updateReadFirst === 'always';
    const revise: Revise = ({ businessId, carriedOver }) => {
      // As if it were not there: that there is such a message is nothing for this caller to know.
      if (!mayWriteFor(caller, businessId)) throw new MessageNotFound();
      return { ...carriedOver, ...replacement };
    };
    const { updatedAt } = await this.nexudus.write(
      'replace',
      replacement,
      context,
      readFirst ? revise : undefined,
    );
    return toRepresentation(message, { id, updatedAt });
  }
}
