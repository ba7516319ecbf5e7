import { type ArgumentsHost, Catch, type ExceptionFilter } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { AppLogger } from '../observability/app-logger.js';
import { ProblemResponder } from './problem.responder.js';
import { toProblem } from './to-problem.js';

/** Turns whatever was thrown, anywhere behind the router, into a problem. It only sends: the table decides. */
@Catch()
export class ProblemFilter implements ExceptionFilter {
  constructor(
    private readonly responder: ProblemResponder,
    private readonly log: AppLogger,
  ) {}

  catch(failure: unknown, host: ArgumentsHost): void {
    const request = host.switchToHttp().getRequest<FastifyRequest>();
    const reply = host.switchToHttp().getResponse<FastifyReply>();
    const problem = toProblem(failure, request.effort.attempts > 0);
    request.effort.problem = problem.slug;
    request.effort.outcome = problem.outcome;
    if (problem.slug === 'internal-error') {
      this.log.error({ requestId: request.id, err: problem.cause }, 'A fault of this service');
    }
    if (!reply.sent) this.responder.send(problem, request, reply);
  }
}
