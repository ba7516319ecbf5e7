import { Module } from '@nestjs/common';
import { IdempotencyModule } from '../idempotency/idempotency.module.js';
import { DeliveryPerformer } from '../ledger/delivery.performer.js';
import { NexudusModule } from '../nexudus/nexudus.module.js';
import { ProblemDetailsModule } from '../problem-details/problem-details.module.js';
import { Arrivals } from './arrivals.js';
import { ChatMessagePerformer } from './chat-message.performer.js';
import { EntityId, MessageContent, OneOf } from './chat-message.rules.js';
import { ChatMessagesController } from './chat-messages.controller.js';
import { ChatMessagesService } from './chat-messages.service.js';
import { HandOvers } from './hand-overs.js';
import { WriteAnswers } from './write-answers.js';

/** What we offer. */
@Module({
  imports: [NexudusModule, IdempotencyModule, ProblemDetailsModule],
  controllers: [ChatMessagesController],
  providers: [
    Arrivals,
    ChatMessagesService,
    HandOvers,
    WriteAnswers,
    EntityId,
    MessageContent,
    OneOf,
    { provide: DeliveryPerformer, useClass: ChatMessagePerformer },
  ],
  exports: [DeliveryPerformer],
})
export class ChatMessagesModule {}
