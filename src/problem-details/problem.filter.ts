import { type ArgumentsHost, Catch, type ExceptionFilter } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { AppLogger } from '../observability/app-logger.js';
import { isNexudusError } from '../nexudus/nexudus.errors.js';
import { Lifecycle } from '../observability/lifecycle.js';
import { problemOf } from './problem-of.js';
import { Problem } from './problem.js';
import { ProblemResponder } from './problem.responder.js';

/** As nginx has it. For log, metrics and trace alone: with a 503 there, callers' own haste would look like an outage. */
const CLIENT_CLOSED_REQUEST = 499;

/** Turns whatever was thrown, anywhere behind the router, into a problem. It only sends: the table decides. */
@Catch()
export class ProblemFilter implements ExceptionFilter {
  constructor(
    private readonly responder: ProblemResponder,
    private readonly lifecycle: Lifecycle,
    private readonly log: AppLogger,
  ) {}

  catch(failure: unknown, host: ArgumentsHost): void {
    const request = host.switchToHttp().getRequest<FastifyRequest>();
    const reply = host.switchToHttp().getResponse<FastifyReply>();
    const problem = this.#whileStopping(problemOf(failure, request));
    const nobodyReads = isNexudusError(failure) && failure.code === 'write-abandoned';
    request.effort.problem = nobodyReads ? undefined : problem.slug;
    request.effort.outcome = problem.outcome;
    if (problem.slug === 'internal-error') {
      this.log.error(
        { requestId: request.id, traceId: request.span.traceId, err: problem.cause },
        'A fault of this service',
      );
    }
    if (reply.sent) return;
    if (nobodyReads) void reply.code(CLIENT_CLOSED_REQUEST).send();
    else this.responder.send(problem, request, reply);
  }

  /** What cannot be served before the stop would be served by another instance: that is what the caller hears. */
  #whileStopping(problem: Problem): Problem {
    const forLackOfTime = problem.slug === 'quota-exhausted' || problem.slug === 'upstream-unavailable';
    return this.lifecycle.isStopping && forLackOfTime
      ? new Problem('shutting-down', { detail: 'This instance is stopping.', retryAfterMs: 1_000 })
      : problem;
  }
}
