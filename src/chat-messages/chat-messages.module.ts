import { Module } from '@nestjs/common';
import { NexudusModule } from '../nexudus/nexudus.module.js';
import { EntityId, MessageContent, OneOf } from './chat-message.rules.js';
import { ChatMessagesController } from './chat-messages.controller.js';
import { ChatMessagesService } from './chat-messages.service.js';

/** What we offer. */
@Module({
  imports: [NexudusModule],
  controllers: [ChatMessagesController],
  providers: [ChatMessagesService, EntityId, MessageContent, OneOf],
})
export class ChatMessagesModule {}
