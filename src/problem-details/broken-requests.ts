import type { FastifyServerOptions } from 'fastify';
import type { AppLogger } from '../observability/app-logger.js';
import { requestIdOf } from '../observability/request-id.js';
import { Problem } from './problem.js';
import type { ProblemResponder } from './problem.responder.js';

/**
 * What is refused before the router could: broken HTTP, a header too large, a URL that cannot be decoded. The
 * answer is a problem all the same.
 */
export function answerBrokenRequests(
  responder: ProblemResponder,
  log: AppLogger,
): Required<Pick<FastifyServerOptions, 'clientErrorHandler' | 'frameworkErrors'>> {
  return {
    // From the HTTP parser: there is no request object, only a socket.
    clientErrorHandler: (error, socket) => {
      if (error.code === 'ECONNRESET' || !socket.writable) {
        socket.destroy();
        return;
      }
      const requestId = requestIdOf({ headers: {} });
      log.info({ requestId, reason: error.code }, 'A request that is not HTTP was refused');
      const detail =
        error.code === 'HPE_HEADER_OVERFLOW'
          ? 'The headers are too large.'
          : 'The request is not well-formed HTTP.';
      socket.end(responder.toRawResponse(new Problem('malformed-request', { detail }), requestId));
    },
    // From the router, before any hook runs.
    frameworkErrors: (_error, request, reply) => {
      void reply.headers({ 'x-request-id': request.id, 'x-content-type-options': 'nosniff' });
      responder.send(new Problem('malformed-request', { detail: 'The URL cannot be read.' }), request, reply);
    },
  };
}
