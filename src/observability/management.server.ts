import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Injectable, type OnApplicationShutdown } from '@nestjs/common';
import { ObservabilityConfig } from '../config/sections.js';
import { Lifecycle } from './lifecycle.js';
import { Metrics } from './metrics.js';
import { OperatorInfo } from './operator-info.js';
import { pathOf } from './request-path.js';

interface ManagementAnswer {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
  readonly allow?: string;
}

/**
 * The port for operators: probes, metrics, and how things stand. Its own server, so that nothing on it can be reached on the API port,
 * and so that the probes are not in the way of the callers.
 */
@Injectable()
export class ManagementServer implements OnApplicationShutdown {
  readonly #server: Server;
  readonly #routes: Readonly<
    Record<string, (query: URLSearchParams) => ManagementAnswer | Promise<ManagementAnswer>>
  > = {
    // That it is answered at all says that the event loop turns.
    '/health/live': () => json(200, { status: 'live' }),
    // Never whether the upstream is there: an outage there must not take out the replicas.
    '/health/ready': (query) =>
      json(
        this.lifecycle.isReady ? 200 : 503,
        query.has('verbose') ? this.info.read() : { status: this.lifecycle.state },
      ),
    '/info': () => json(200, this.info.read()),
    '/metrics': async () => ({
      status: 200,
      contentType: this.metrics.registry.contentType,
      body: await this.metrics.read(),
    }),
  };

  constructor(
    private readonly config: ObservabilityConfig,
    private readonly lifecycle: Lifecycle,
    private readonly metrics: Metrics,
    private readonly info: OperatorInfo,
  ) {
    metrics.beforeRead(() => {
      metrics.serverActiveRequests.set(lifecycle.requests);
    });
    this.#server = createServer((request, response) => {
      void this.#answer(request).then(({ status, contentType, body, allow }) => {
        response
          .writeHead(status, {
            'content-type': contentType,
            'cache-control': 'no-store',
            'x-content-type-options': 'nosniff',
            ...(allow !== undefined && { allow }),
          })
          .end(body);
      });
    });
  }

  async #answer({ method = 'GET', url = '/' }: IncomingMessage): Promise<ManagementAnswer> {
    const path = pathOf(url);
    const route = Object.hasOwn(this.#routes, path) ? this.#routes[path] : undefined;
    if (route === undefined) return json(404, { status: 'no such route' });
    // Nothing can be changed through this port. Node leaves the body out of the answer to a HEAD.
    if (method !== 'GET' && method !== 'HEAD') {
      return { ...json(405, { status: 'not with this method' }), allow: 'GET, HEAD' };
    }
    try {
      return await route(new URLSearchParams(url.slice(path.length)));
    } catch {
      return json(500, { status: 'failed' });
    }
  }

  async listen(): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(this.config.managementPort, this.config.host, resolve);
      // What a single connection does wrong is no reason to end the process.
      this.#server.on('clientError', (_error, socket) => socket.destroy());
    });
  }

  /** The port it listens on: another than the configured one where that is 0. */
  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  async onApplicationShutdown(): Promise<void> {
    await new Promise((resolve) => {
      this.#server.close(resolve);
      this.#server.closeAllConnections();
    });
  }
}

function json(status: number, body: object): ManagementAnswer {
  return { status, contentType: 'application/json', body: JSON.stringify(body) };
}
