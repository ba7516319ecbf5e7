import type { INestApplication } from '@nestjs/common';
import type { FastifyInstance } from 'fastify';
import { ClientAuthenticator } from './client-auth/client-authenticator.js';
import { Clock } from './clock/clock.js';
import { AppLogger } from './observability/app-logger.js';
import { Lifecycle } from './observability/lifecycle.js';
import { Problem } from './problem-details/problem.js';

/**
 * What happens to every request before its body is read, and after its answer is sent. Fastify's hooks and not
 * Nest's guards, since those run after the body was read: a caller without a key must cost next to nothing.
 */
export function addRequestHooks(server: FastifyInstance, app: INestApplication): void {
  const authenticator = app.get(ClientAuthenticator);
  const lifecycle = app.get(Lifecycle);
  const clock = app.get(Clock);
  const log = app.get(AppLogger);
  const routes = new RouteTable(server);

  server.decorateRequest('caller', null);
  server.decorateRequest('effort');

  server.addHook('onRequest', async (request, reply) => {
    lifecycle.requestBegan();
    request.effort = { arrivedAtMs: clock.nowMs(), attempts: 0, outcome: 'done', problem: undefined };
    void reply.headers({ 'x-request-id': request.id, 'x-content-type-options': 'nosniff' });
    if (lifecycle.isStopping) {
      void reply.header('connection', 'close');
      throw new Problem('shutting-down', { detail: 'This instance is stopping.', retryAfterMs: 1_000 });
    }
    if (request.is404) throw routes.refusal(request.url);
    if (!request.routeOptions.config.public) {
      request.caller = await authenticator.authenticate(request.headers.authorization);
    }
  });

  // One line a request, when its outcome is known and its answer is out. Not in onResponse: that never comes for
  // a caller who hung up, whose message may have been sent all the same.
  server.addHook('onSend', async (request, reply) => {
    const end = (): void => {
      lifecycle.requestEnded();
      const { arrivedAtMs, attempts, outcome, problem } = request.effort;
      log.info(
        {
          requestId: request.id,
          method: request.method,
          route: request.routeOptions.url ?? 'none',
          status: reply.statusCode,
          durationMs: Math.round((clock.nowMs() - arrivedAtMs) * 10) / 10,
          caller: request.caller && `${request.caller.kind}:${request.caller.id}`,
          outcome,
          problem,
          attempts,
          ...(!reply.raw.writableFinished && { aborted: true }),
        },
        'request',
      );
    };
    if (reply.raw.closed) end();
    else reply.raw.once('close', end);
  });
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
    const [path = ''] = url.split('?');
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
