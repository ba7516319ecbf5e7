import { Module } from '@nestjs/common';
import { IdempotencyModule } from '../idempotency/idempotency.module.js';
import { NexudusModule } from '../nexudus/nexudus.module.js';
import { ProblemDetailsModule } from '../problem-details/problem-details.module.js';
import { EntityId, MessageContent, OneOf } from './chat-message.rules.js';
import { ChatMessagesController } from './chat-messages.controller.js';
import { ChatMessagesService } from './chat-messages.service.js';
import { WriteAnswers } from './write-answers.js';

/** What we offer. */
@Module({
  imports: [NexudusModule, IdempotencyModule, ProblemDetailsModule],
  controllers: [ChatMessagesController],
  providers: [ChatMessagesService, WriteAnswers, EntityId, MessageContent, OneOf],
})
export class ChatMessagesModule {}
