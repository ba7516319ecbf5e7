import 'reflect-metadata';
import { maxHeaderSize } from 'node:http';
import type { AddressInfo } from 'node:net';
import { NestFactory } from '@nestjs/core';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { Logger } from 'pino';
import { AppModule } from './app.module.js';
import { ClientAuthenticator } from './client-auth/client-authenticator.js';
import { Clock } from './clock/clock.js';
import type { AppConfig } from './config/sections.js';
import { DrainingAdapter } from './draining.adapter.js';
import { AccessTokenSource } from './nexudus/access-token.source.js';
import { Pacer } from './nexudus/pacer.js';
import { rateLimitHeaders } from './nexudus/rate-limit.headers.js';
import { Exchanges } from './observability/exchanges.js';
import { nestLogger } from './observability/json-logger.js';
import { Lifecycle } from './observability/lifecycle.js';
import { ManagementServer } from './observability/management.server.js';
import { processRedactor } from './observability/redactor.js';
import { requestIdOf } from './observability/request-id.js';
import { ProblemResponder } from './problem-details/problem.responder.js';
import { addRequestHooks } from './request-hooks.js';
import { readJsonBodies } from './request-body/json-body.parser.js';
import { sharedState } from './shared-state.js';
import { SECURITY_HEADERS } from './security-headers.js';
import { BrokenRequests } from './problem-details/broken-requests.js';

/** Longer than the idle time-out of any ingress in front, so that it is never we who close a socket in use. */
const KEEP_ALIVE_MS = 75_000;
/** A client that takes longer to send its request is not one we wait for. */
const REQUEST_TIMEOUT_MS = 30_000;
const HEADERS_TIMEOUT_MS = 10_000;
const SLOW_CLIENT_CHECK_MS = 2_000;

/** A service that is listening on both ports. */
export interface RunningApp {
  readonly apiPort: number;
  readonly managementPort: number;
  /** Stops as SIGTERM does: what is sent is finished. */
  stop(): Promise<void>;
}

/** Builds the service and starts it. Main and the tests both do just this. */
export async function startApp(config: AppConfig, logger: Logger): Promise<RunningApp> {
  const exchanges = new Exchanges();
  const responder = new ProblemResponder(config.problems, processRedactor);
  const broken = new BrokenRequests(exchanges, responder, logger);
  const adapter = new DrainingAdapter({
    bodyLimit: config.http.bodyLimitBytes,
    genReqId: requestIdOf,
    keepAliveTimeout: KEEP_ALIVE_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    // A longer one would be refused by the router, before anybody asks who calls; Node's limit for headers is this.
    routerOptions: { maxParamLength: maxHeaderSize },
    http: {
      headersTimeout: HEADERS_TIMEOUT_MS,
      connectionsCheckingInterval: SLOW_CLIENT_CHECK_MS,
      // Refused in a hook, as a problem.
      requireHostHeader: false,
    },
    // No Nest middleware is used, so nothing is to be looked up for it on each request.
    skipMiddie: true,
    return503OnClosing: false,
    ...broken.options,
  });
  const shared = await sharedState(config);
  const app = await NestFactory.create<NestFastifyApplication>(
    AppModule.register(config, logger, shared),
    adapter,
    {
      bodyParser: false,
      logger: nestLogger(logger),
      // A fault while building is thrown to the caller, who reports it.
      abortOnError: false,
    },
  );
  const lifecycle = app.get(Lifecycle);
  const clock = app.get(Clock);
  adapter.drain(lifecycle, clock);
  const server = adapter.getInstance();
  readJsonBodies(server);
  const rateLimit = rateLimitHeaders(app.get(Pacer));
  broken.watch(server, () => ({ ...SECURITY_HEADERS, ...rateLimit() }));
  await addRequestHooks(adapter, app, exchanges, rateLimit);

  await shared.start(app);
  await app.get(ClientAuthenticator).start();
  await app.get(AccessTokenSource).start();
  const management = app.get(ManagementServer);
  await management.listen();
  await app.listen(config.http.port, config.http.host);
  lifecycle.started();
  return {
    apiPort: (app.getHttpServer().address() as AddressInfo).port,
    managementPort: management.port,
    stop: async () => {
      lifecycle.stop(clock.nowMs() + config.http.shutdownTimeoutMs);
      await app.close();
    },
  };
}
