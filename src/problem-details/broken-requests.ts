import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { FastifyInstance, FastifyServerOptions } from 'fastify';
import type { AppLogger } from '../observability/app-logger.js';
import type { Exchanges } from '../observability/exchanges.js';
import { requestIdOf } from '../observability/request-id.js';
import { pathOf } from '../observability/request-path.js';
import { Problem } from './problem.js';
import type { ProblemResponder } from './problem.responder.js';

/** What the HTTP parser says, in words for a caller. */
const DETAILS: Readonly<Record<string, string>> = {
  HPE_HEADER_OVERFLOW: 'The headers are too large.',
  ERR_HTTP_REQUEST_TIMEOUT: 'The request came too slowly.',
};

/**
 * What is refused before the router could: broken HTTP, headers too large, a URL that cannot be decoded, an
 * expectation, a tunnel. The answer is a problem all the same; where an earlier request on the socket still waits
 * for its answer, there is none, since the client would take it for that one's.
 */
export class BrokenRequests {
  #headers: () => Record<string, string> = () => ({});

  constructor(
    private readonly exchanges: Exchanges,
    private readonly responder: ProblemResponder,
    private readonly log: AppLogger,
  ) {}

  /** To be built into the server. */
  get options(): Required<Pick<FastifyServerOptions, 'clientErrorHandler' | 'frameworkErrors'>> {
    return {
      // From the HTTP parser: there is no request object, only a socket.
      clientErrorHandler: (error, socket) => {
        if (error.code === 'ECONNRESET' || !socket.writable) {
          socket.destroy();
          return;
        }
        this.#refuse(socket, DETAILS[error.code] ?? 'The request is not well-formed HTTP.', error.code);
      },
      // From the router, before any hook runs.
      frameworkErrors: (error, request, reply) => {
        void reply.headers({
          'x-request-id': request.id,
          ...this.#headers(),
        });
        this.#note(request.id, error.code);
        this.responder.send(malformed('The URL cannot be read.'), request, reply);
      },
    };
  }

  /**
   * Listens for what Node would answer by itself.
   *
   * @param headers that belong on every answer
   */
  watch(server: FastifyInstance, headers: () => Record<string, string>): void {
    this.#headers = headers;
    server.server.on('checkExpectation', (request) => {
      this.#refuse(request.socket, 'The expectation cannot be met.', 'EXPECT', request);
    });
    server.server.on('connect', (request, socket) => {
      this.#refuse(socket, 'This is no proxy.', 'CONNECT', request);
    });
  }

  #refuse(
    socket: Duplex,
    detail: string,
    reason: string,
    request: Pick<IncomingMessage, 'headers' | 'url'> = { headers: {} },
  ): void {
    // One that is not complete is the broken one itself.
    const lastBefore = this.exchanges.on(socket).findLast((exchange) => exchange.request.complete);
    if (lastBefore !== undefined) {
      lastBefore.answer.once('close', () => socket.destroy());
      return;
    }
    const id = requestIdOf(request);
    const path = pathOf(request.url ?? '/');
    this.#note(id, reason);
    // Destroyed when it is out: whoever reads the rest of a body waits in vain.
    socket.end(this.responder.toRawResponse(malformed(detail), { path, id }, this.#headers()), () =>
      socket.destroy(),
    );
  }

  /** Instead of the line that each request gets which comes as far as the router. */
  #note(requestId: string, reason: string): void {
    this.log.info({ requestId, reason }, 'A request was refused before it was routed');
  }
}

function malformed(detail: string): Problem {
  return new Problem('malformed-request', { detail });
}
