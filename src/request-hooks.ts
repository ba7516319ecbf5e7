import type { INestApplication } from '@nestjs/common';
import type { FastifyAdapter } from '@nestjs/platform-fastify';
import type { FastifyReply } from 'fastify';
import { callerName } from './client-auth/caller.js';
import { CallerLimit } from './client-auth/caller-limit.js';
import { ClientAuthenticator } from './client-auth/client-authenticator.js';
import { Clock } from './clock/clock.js';
import type { Interruption } from './clock/interruption.js';
import { HttpConfig } from './config/sections.js';
import { allowOrigins } from './cors.js';
import { AppLogger } from './observability/app-logger.js';
import type { Exchanges } from './observability/exchanges.js';
import { Lifecycle } from './observability/lifecycle.js';
import { Metrics } from './observability/metrics.js';
import { Redactor } from './observability/redactor.js';
import { Tracer } from './observability/tracer.js';
import { Problem } from './problem-details/problem.js';
import { RouteTable } from './route-table.js';
import { SECURITY_HEADERS } from './security-headers.js';

/** The scheme's name before a credential (RFC 9110 section 11.4). */
const SCHEME = /^\S+ +/;
/** Node takes three dozen: to metrics and traces all others are one, as OpenTelemetry has it. */
const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE', 'CONNECT']);

/**
 * What happens to every request before its body is read, and after its answer is sent. Fastify's hooks and not
 * Nest's guards, since those run after the body was read: a caller without a key must cost next to nothing. Hooks that
 * wait for nothing call back: a promise is a turn of the queue for every request.
 *
 * @param rateLimit the headers about the write budget as it is now
 */
export async function addRequestHooks(
  adapter: FastifyAdapter,
  app: INestApplication,
  exchanges: Exchanges,
  rateLimit: () => Record<string, string>,
): Promise<void> {
  const server = adapter.getInstance();
  const { corsOrigins, callerWaitingLimit } = app.get(HttpConfig);
  const authenticator = app.get(ClientAuthenticator);
  const lifecycle = app.get(Lifecycle);
  const clock = app.get(Clock);
  const log = app.get(AppLogger);
  const metrics = app.get(Metrics);
  const tracer = app.get(Tracer);
  const redactor = app.get(Redactor);
  const routes = new RouteTable(server);
  const reading = new Set<FastifyReply>();
  const callerLimit = new CallerLimit(callerWaitingLimit);

  server.decorateRequest('caller', null);
  server.decorateRequest('forget');
  server.decorateRequest('effort');
  server.decorateRequest('over');
  server.decorateRequest('span');

  // Not one of the server's: the adapter has some of its own, which come before those and may answer.
  adapter.setOnRequestHook((request, reply, done) => {
    lifecycle.requestBegan();
    request.over = exchanges.begin(request.raw, reply.raw);
    request.effort = {
      arrivedAtMs: clock.nowMs(),
      attempts: 0,
      waitMs: 0,
      outcome: 'done',
      problem: undefined,
    };
    request.span = tracer.request(request.method, request.headers);
    void reply.headers(SECURITY_HEADERS).header('x-request-id', request.id);
    reading.add(reply);
    done();
  });
  await allowOrigins(server, corsOrigins);
  server.addHook('onRequest', async (request) => {
    if (lifecycle.isStopping) throw shuttingDown();
    if (request.headers.host === undefined && request.raw.httpVersion === '1.1') {
      throw new Problem('malformed-request', { detail: 'The header Host is missing.' });
    }
    if (request.is404) throw routes.refusal(request.url);
    if (request.routeOptions.config.public) return;
    const { authorization } = request.headers;
    if (authorization !== undefined && isRepeated('authorization', request.raw.rawHeaders)) {
      throw new Problem('malformed-request', { detail: 'The header Authorization came more than once.' });
    }
    request.caller = await authenticator.authenticate(authorization);
    // Only one that is good: else anybody could have words of their choice taken out of the log.
    request.forget = redactor.holdForeign(authorization?.replace(SCHEME, ''));
    callerLimit.enter(request.caller);
    // The body of somebody who went away meanwhile never ends.
    if (request.over.aborted) throw new Problem('malformed-request', { detail: 'The caller went away.' });
  });

  // Whoever is still sending its body when the process stops is not waited for: its message was not sent.
  server.addHook('preValidation', (_request, reply, done) => {
    reading.delete(reply);
    done();
  });
  lifecycle.onStop(() => {
    for (const reply of reading) reply.send(shuttingDown());
  });

  // One line a request, when its outcome is known and its answer is out or has nobody to go to. Not in onResponse:
  // that never comes for a caller who hung up, whose message may have been sent all the same.
  server.addHook('onSend', (request, reply, _payload, done) => {
    void reply.headers(rateLimit());
    // On the last answer of its connection alone: Node sends none after it.
    if (lifecycle.isStopping && exchanges.on(request.raw.socket).at(-1)?.request === request.raw) {
      void reply.header('connection', 'close');
    }
    const end = (): void => {
      reading.delete(reply);
      lifecycle.requestEnded();
      if (request.caller !== null) callerLimit.leave(request.caller);
      const { arrivedAtMs, attempts, waitMs, outcome, problem, replayed, delivery } = request.effort;
      const durationMs = clock.nowMs() - arrivedAtMs;
      const { id: requestId, method, span } = request;
      const { url: route } = request.routeOptions;
      const status = reply.statusCode;
      const knownMethod = METHODS.has(method) ? method : '_OTHER';
      metrics.serverRequestSeconds.observe(
        { method: knownMethod, route: route ?? 'none', status },
        durationMs / 1000,
      );
      span.end({
        'http.request.method': knownMethod,
        'http.response.status_code': status,
        'url.scheme': 'http',
        'nexudus_bff.outcome': outcome,
        ...(route !== undefined && { 'http.route': route }),
        ...(status >= 500 && { 'error.type': problem ?? String(status) }),
      });
      log.info(
        {
          requestId,
          traceId: span.traceId,
          method,
          route: route ?? 'none',
          status,
          durationMs: Math.round(durationMs * 10) / 10,
          waitMs: Math.round(waitMs),
          caller: request.caller && callerName(request.caller),
          outcome,
          problem,
          attempts,
          ...(replayed && { replayed }),
          ...(delivery !== undefined && { delivery }),
          ...(!reply.raw.writableFinished && { aborted: true }),
        },
        'request',
      );
      request.forget?.();
    };
    if (request.over.aborted) end();
    else request.over.addEventListener('abort', end);
    done();
  });
}

/** Of some headers Node takes the first alone, and a proxy in front may have looked at another one. */
function isRepeated(header: string, rawHeaders: readonly string[]): boolean {
  let count = 0;
  for (let n = 0; n < rawHeaders.length; n += 2) {
    const name = rawHeaders[n];
    // Most are told apart by their length, without a text in small letters for each.
    if (name?.length === header.length && name.toLowerCase() === header) count += 1;
  }
  return count > 1;
}

function shuttingDown(): Problem {
  return new Problem('shutting-down', { detail: 'This instance is stopping.', retryAfterMs: 1_000 });
}

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Needs no authentication. */
    public?: boolean;
  }

  interface FastifyRequest {
    /** Aborts when the answer is out, or when nobody is there any more to get it. */
    over: Interruption;
    /** Lets go of the credential that it came with. */
    forget: (() => void) | undefined;
  }
}
