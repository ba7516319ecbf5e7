import type { FastifyReply, FastifyRequest } from 'fastify';
import type { KeptAnswer } from '../idempotency/idempotency.store.js';
import type { Problem } from '../problem-details/problem.js';
import { PROBLEM_MEDIA_TYPE } from '../problem-details/problem.responder.js';
import type { ChatMessageRepresentation } from './chat-message.dto.js';

/** What a write that is done is answered. */
export function toAnswer(operation: 'create' | 'replace', message: ChatMessageRepresentation): KeptAnswer {
  return {
    status: operation === 'create' ? 201 : 200,
    contentType: 'application/json; charset=utf-8',
    location: operation === 'create' ? `/v1/chat-messages/${message.id}` : undefined,
    body: JSON.stringify(message),
    outcome: 'done',
    problem: undefined,
  };
}

/** What one that failed is answered. */
export function toProblemAnswer(problem: Problem, body: string): KeptAnswer {
  return {
    status: problem.type.status,
    contentType: PROBLEM_MEDIA_TYPE,
    location: undefined,
    body,
    outcome: problem.outcome,
    problem: problem.slug,
  };
}

const asItIs = (text: string): string => text;

export function send(reply: FastifyReply, { status, contentType, location, body }: KeptAnswer): void {
  if (location !== undefined) void reply.header('location', location);
  // Told how to serialize, Fastify adds no charset, which a problem does not have.
  void reply.code(status).header('content-type', contentType).serializer(asItIs).send(body);
}

/** Sends what an earlier request with the same key was answered. */
export function replay(request: FastifyRequest, reply: FastifyReply, answer: KeptAnswer): void {
  request.effort.replayed = true;
  void reply.header('idempotency-replayed', 'true');
  noteOutcome(request, answer);
  send(reply, answer);
}

/** For the log, of an answer that others worked for. */
export function noteOutcome({ effort }: FastifyRequest, { outcome, problem }: KeptAnswer): void {
  effort.outcome = outcome;
  effort.problem = problem;
}
