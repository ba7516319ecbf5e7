import { Injectable } from '@nestjs/common';
import type { KeptAnswer, WorkRecord } from '../idempotency/idempotency.store.js';
import { DeliveryPerformer, type Failure, type Way, type Work } from '../ledger/delivery.performer.js';
import { isNexudusError } from '../nexudus/nexudus.errors.js';
import type { NexudusMessage, WriteContext, WriteReceipt } from '../nexudus/write.js';
import { Problem } from '../problem-details/problem.js';
import { ProblemResponder } from '../problem-details/problem.responder.js';
import { toProblem } from '../problem-details/to-problem.js';
import type { ChatMessageRepresentation } from './chat-message.dto.js';
import { toNexudus, toRepresentation } from './chat-message.mapper.js';
import { ChatMessagesService } from './chat-messages.service.js';
import { toAnswer, toProblemAnswer } from './kept-answers.js';
import { personalOf, readContent } from './work-record.js';
import { callerName } from '../client-auth/caller.js';

const BLOCKED =
  'The firewall in front of Nexudus blocks this message again and again, and lets others pass. It was not written.';

/** Sends chat messages that were handed over, as if their callers waited for them. */
@Injectable()
export class ChatMessagePerformer extends DeliveryPerformer {
  constructor(
    private readonly messages: ChatMessagesService,
    private readonly responder: ProblemResponder,
  ) {
    super();
  }

  override async perform({ operation, messageId, content }: Work, way: Way): Promise<KeptAnswer> {
    const { message, caller, request } = readContent(content);
    const context: WriteContext = { ...way, requestId: request.id, caller: callerName(caller) };
    const representation =
      messageId === undefined
        ? await this.messages.create(message, context)
        : await this.messages.replace(messageId, message, caller, context);
    return toAnswer(operation, representation);
  }

  override failed(failure: unknown, { operation, content }: Work, attempts: number): Failure {
    const problem = toProblem(failure, attempts > 0 ? operation : undefined);
    const { request } = readContent(content);
    const answerOf = (of: Problem): KeptAnswer => toProblemAnswer(of, this.responder.textFor(of, request));
    return {
      outcome: problem.outcome,
      answer: answerOf(problem),
      retryAfterMs: problem.occurrence.retryAfterMs,
      concernsAll:
        isNexudusError(failure) &&
        (failure.code === 'access-denied' || failure.code === 'upstream-unavailable'),
      ifBlocked: isEdgeBlock(failure)
        ? answerOf(new Problem('validation-failed', { detail: BLOCKED, outcome: 'rejected' }))
        : undefined,
    };
  }

  override delivered({ operation, content }: Work, receipt: WriteReceipt): KeptAnswer {
    return toAnswer(operation, toRepresentation(readContent(content).message, receipt));
  }

  override inStead(work: Work, answer: KeptAnswer): KeptAnswer {
    if (answer.problem !== undefined) {
      const problem = JSON.parse(answer.body) as object;
      return { ...answer, body: JSON.stringify({ ...problem, requestId: this.requestId(work) }) };
    }
    const { id, updatedAt } = JSON.parse(answer.body) as ChatMessageRepresentation;
    return this.delivered(work, { id, updatedAt });
  }

  override message({ content }: Pick<Work, 'content'>): NexudusMessage {
    return toNexudus(readContent(content).message);
  }

  override requestId({ content }: Pick<Work, 'content'>): string {
    return readContent(content).request.id;
  }

  override personal({ content }: Work): WorkRecord['personal'] {
    return personalOf(readContent(content).message);
  }
}

function isEdgeBlock(failure: unknown): boolean {
  return isNexudusError(failure) && failure.code === 'access-denied' && failure.reason === 'edge-blocked';
}
