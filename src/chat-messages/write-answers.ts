import { Injectable } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Idempotency, type Keep } from '../idempotency/idempotency.js';
import type { Deadline } from '../nexudus/deadline.js';
import { OutcomeUnknown } from '../nexudus/nexudus.errors.js';
import type { WriteJournal } from '../nexudus/write.js';
import { pathOf } from '../observability/request-path.js';
import { problemOf } from '../problem-details/problem-of.js';
import { ProblemResponder } from '../problem-details/problem.responder.js';
import type { ChatMessageRepresentation } from './chat-message.dto.js';
import { replay, send, toAnswer, toProblemAnswer } from './kept-answers.js';
import { keyOf, recordOf, type Write } from './work-record.js';

/** Does the write that a request asks for; with a journal where one is kept. */
export type Perform = (journal?: WriteJournal) => Promise<ChatMessageRepresentation>;

/** Answers writes: one that carries an idempotency key is done once, and answered the same each time. */
@Injectable()
export class WriteAnswers {
  constructor(
    private readonly idempotency: Idempotency,
    private readonly responder: ProblemResponder,
  ) {}

  /** @throws whatever `perform` does, for the filter to answer */
  async answer(
    request: FastifyRequest,
    reply: FastifyReply,
    write: Write,
    deadline: Deadline,
    perform: Perform,
  ): Promise<void> {
    const { key, operation } = write;
    if (key === undefined) {
      send(reply, toAnswer(operation, await perform()));
      return;
    }
    const { answer, replayed } = await this.idempotency.once(
      {
        requestId: request.id,
        ...keyOf(write, key),
        orphaned: operation === 'create' ? () => new OutcomeUnknown('connection-lost', false) : undefined,
        record: recordOf(write, { id: request.id, path: pathOf(request.url) }),
        whenLate: (callback) => deadline.whenLate(callback),
      },
      async (journal) => toAnswer(operation, await perform(journal)),
      (failure) => this.#keep(failure, operation, request),
    );
    if (replayed) replay(request, reply, answer);
    else send(reply, answer);
  }

  /** What was not sent leaves the key free, and so does what can be sent again safely. */
  #keep(failure: unknown, operation: Write['operation'], request: FastifyRequest): Keep {
    const problem = problemOf(failure, request);
    const { outcome } = problem;
    if (outcome === 'not-sent' || (outcome === 'unknown' && operation === 'replace')) return undefined;
    return {
      certainty: outcome === 'unknown' ? 'unknown' : 'final',
      answer: toProblemAnswer(problem, this.responder.toText(problem, request)),
    };
  }
}
