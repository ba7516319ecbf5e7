import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Injectable, type OnApplicationShutdown } from '@nestjs/common';
import { ObservabilityConfig } from '../config/sections.js';
import { Lifecycle } from './lifecycle.js';

/** What one management route answers. */
export interface ManagementAnswer {
  readonly status: number;
  readonly body: unknown;
}

/**
 * The port for operators: probes. Its own server, so that nothing on it can be reached on the API port,
 * and so that the probes are not in the way of the callers.
 */
@Injectable()
export class ManagementServer implements OnApplicationShutdown {
  readonly #server: Server;
  readonly #routes: Readonly<Record<string, () => ManagementAnswer>> = {
    // That it is answered at all says that the event loop turns.
    '/health/live': () => ({ status: 200, body: { status: 'live' } }),
    // Never whether the upstream is there: an outage there must not take out the replicas.
    '/health/ready': () =>
      this.lifecycle.isReady
        ? { status: 200, body: { status: 'ready' } }
        : { status: 503, body: { status: this.lifecycle.isStopping ? 'stopping' : 'starting' } },
  };

  constructor(
    private readonly config: ObservabilityConfig,
    private readonly lifecycle: Lifecycle,
  ) {
    this.#server = createServer((request, response) => {
      const path = new URL(request.url ?? '/', 'http://management').pathname;
      const route = Object.hasOwn(this.#routes, path) ? this.#routes[path] : undefined;
      const { status, body } = route?.() ?? { status: 404, body: { status: 'no such route' } };
      response
        .writeHead(status, { 'content-type': 'application/json', 'x-content-type-options': 'nosniff' })
        .end(JSON.stringify(body));
    });
  }

  async listen(): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(this.config.managementPort, this.config.host, resolve);
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
