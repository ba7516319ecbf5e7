import { createHash } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { callerName } from '../client-auth/caller.js';
import { Idempotency, type Keep } from '../idempotency/idempotency.js';
import type { KeptAnswer } from '../idempotency/idempotency.store.js';
import { OutcomeUnknown } from '../nexudus/nexudus.errors.js';
import type { WriteJournal } from '../nexudus/write.js';
import { pathOf } from '../observability/request-path.js';
import { problemOf } from '../problem-details/problem-of.js';
import { PROBLEM_MEDIA_TYPE, ProblemResponder } from '../problem-details/problem.responder.js';
import type { ChatMessageDto, ChatMessageRepresentation } from './chat-message.dto.js';
import { recordOf, type Write } from './work-record.js';

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
    perform: (journal?: WriteJournal) => Promise<ChatMessageRepresentation>,
  ): Promise<void> {
    const { key, operation } = write;
    const work = async (journal?: WriteJournal): Promise<KeptAnswer> =>
      toAnswer(operation, await perform(journal));
    if (key === undefined) {
      send(reply, await work());
      return;
    }
    const { answer, replayed } = await this.idempotency.once(
      {
        requestId: request.id,
        scope: scopeOf(write, key),
        fingerprint: fingerprintOf(write.message),
        orphaned: operation === 'create' ? () => new OutcomeUnknown('connection-lost', false) : undefined,
        record: recordOf(write, { id: request.id, path: pathOf(request.url) }),
      },
      work,
      (failure) => this.#keep(failure, operation, request),
    );
    if (replayed) {
      request.effort.replayed = true;
      request.effort.outcome = answer.outcome;
      request.effort.problem = answer.problem;
      void reply.header('idempotency-replayed', 'true');
    }
    send(reply, answer);
  }

  /** What was not sent leaves the key free, and so does what can be sent again safely. */
  #keep(failure: unknown, operation: Write['operation'], request: FastifyRequest): Keep {
    const problem = problemOf(failure, request);
    const { outcome } = problem;
    if (outcome === 'not-sent' || (outcome === 'unknown' && operation === 'replace')) return undefined;
    return {
      certainty: outcome === 'unknown' ? 'unknown' : 'final',
      answer: {
        status: problem.type.status,
        contentType: PROBLEM_MEDIA_TYPE,
        location: undefined,
        body: this.responder.toText(problem, request),
        outcome,
        problem: problem.slug,
      },
    };
  }
}

function toAnswer(operation: Write['operation'], message: ChatMessageRepresentation): KeptAnswer {
  return {
    status: operation === 'create' ? 201 : 200,
    contentType: 'application/json; charset=utf-8',
    location: operation === 'create' ? `/v1/chat-messages/${message.id}` : undefined,
    body: JSON.stringify(message),
    outcome: 'done',
    problem: undefined,
  };
}

const asItIs = (text: string): string => text;

function send(reply: FastifyReply, { status, contentType, location, body }: KeptAnswer): void {
  if (location !== undefined) void reply.header('location', location);
  // Told how to serialize, Fastify adds no charset, which a problem does not have.
  void reply.code(status).header('content-type', contentType).serializer(asItIs).send(body);
}

/** The operation stands for the method and the route. */
function scopeOf({ operation, id, caller }: Write, key: string): string {
  return JSON.stringify([callerName(caller), operation, id ?? null, key]);
}

/** Independent of the order of names and of white space. The message is valid, so all its values are scalars. */
function fingerprintOf(message: ChatMessageDto): string {
  const entries = Object.entries(message).sort(([a], [b]) => (a < b ? -1 : 1));
  return createHash('sha256').update(JSON.stringify(entries)).digest('base64');
}
