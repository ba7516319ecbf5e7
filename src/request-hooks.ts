import type { INestApplication } from '@nestjs/common';
import type { FastifyInstance, FastifyReply } from 'fastify';
import { callerName } from './client-auth/caller.js';
import { ClientAuthenticator } from './client-auth/client-authenticator.js';
import { Clock } from './clock/clock.js';
import { AppLogger } from './observability/app-logger.js';
import { Lifecycle } from './observability/lifecycle.js';
import { Metrics } from './observability/metrics.js';
import { pathOf } from './observability/request-path.js';
import { Problem } from './problem-details/problem.js';

/**
 * What happens to every request before its body is read, and after its answer is sent. Fastify's hooks and not
 * Nest's guards, since those run after the body was read: a caller without a key must cost next to nothing.
 *
 * @param rateLimit the headers about the write budget as it is now
 */
export function addRequestHooks(
  server: FastifyInstance,
  app: INestApplication,
  rateLimit: () => Record<string, string>,
): void {
  const authenticator = app.get(ClientAuthenticator);
  const lifecycle = app.get(Lifecycle);
  const clock = app.get(Clock);
  const log = app.get(AppLogger);
  const metrics = app.get(Metrics);
  const routes = new RouteTable(server);
  const reading = new Set<FastifyReply>();

  server.decorateRequest('caller', null);
  server.decorateRequest('effort');

  server.addHook('onRequest', async (request, reply) => {
    lifecycle.requestBegan();
    request.effort = {
      arrivedAtMs: clock.nowMs(),
      attempts: 0,
      waitMs: 0,
      outcome: 'done',
      problem: undefined,
    };
    void reply.headers({ 'x-request-id': request.id, 'x-content-type-options': 'nosniff' });
    reading.add(reply);
    if (lifecycle.isStopping) {
      void reply.header('connection', 'close');
      throw shuttingDown();
    }
    if (request.headers.host === undefined && request.raw.httpVersion === '1.1') {
      throw new Problem('malformed-request', { detail: 'The header Host is missing.' });
    }
    if (request.is404) throw routes.refusal(request.url);
    if (!request.routeOptions.config.public) {
      request.caller = await authenticator.authenticate(request.headers.authorization);
    }
  });

  // Whoever is still sending its body when the process stops is not waited for: its message was not sent.
  server.addHook('preValidation', async (_request, reply) => {
    reading.delete(reply);
  });
  lifecycle.onStop(() => {
    for (const reply of reading) reply.send(shuttingDown());
  });

  // One line a request, when its outcome is known and its answer is out. Not in onResponse: that never comes for
  // a caller who hung up, whose message may have been sent all the same.
  server.addHook('onSend', async (request, reply) => {
    void reply.headers(rateLimit());
    const end = (): void => {
      reading.delete(reply);
      lifecycle.requestEnded();
      const { arrivedAtMs, attempts, waitMs, outcome, problem, replayed } = request.effort;
      const durationMs = clock.nowMs() - arrivedAtMs;
      const route = request.routeOptions.url ?? 'none';
      metrics.serverRequestSeconds.observe(
        { method: request.method, route, status: reply.statusCode },
        durationMs / 1000,
      );
      log.info(
        {
          requestId: request.id,
          method: request.method,
          route,
          status: reply.statusCode,
          durationMs: Math.round(durationMs * 10) / 10,
          waitMs: Math.round(waitMs),
          caller: request.caller && callerName(request.caller),
          outcome,
          problem,
          attempts,
          ...(replayed && { replayed }),
          ...(!reply.raw.writableFinished && { aborted: true }),
        },
        'request',
      );
    };
    if (reply.raw.closed) end();
    else reply.raw.once('close', end);
  });
}

function shuttingDown(): Problem {
  return new Problem('shutting-down', { detail: 'This instance is stopping.', retryAfterMs: 1_000 });
}

/** The routes that are served: knows whether a path that has no such method has others. */
class RouteTable {
  readonly #methods = new Map<string, { readonly pattern: RegExp; readonly methods: Set<string> }>();

  constructor(server: FastifyInstance) {
    server.addHook('onRoute', ({ url, method }) => {
      const pattern = new RegExp(`^${url.replace(/:[^/]+/g, '[^/]+').replace(/\*$/, '.*')}$`);
      const route = this.#methods.get(url) ?? { pattern, methods: new Set<string>() };
      for (const name of [method].flat()) route.methods.add(name);
      this.#methods.set(url, route);
    });
  }

  /** Not found, or not with this method: then with `Allow` (RFC 9110 section 15.5.6). */
  refusal(url: string): Problem {
    const path = pathOf(url);
    const allowed = [...this.#methods.values()].find(({ pattern }) => pattern.test(path));
    if (allowed === undefined)
      return new Problem('not-found', { detail: 'Nothing is served under this path.' });
    const allow = [...allowed.methods].sort().join(', ');
    return new Problem('method-not-allowed', {
      detail: `This path is served with ${allow}.`,
      headers: { allow },
    });
  }
}

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Needs no authentication. */
    public?: boolean;
  }
}
