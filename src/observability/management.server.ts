import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Injectable, type OnApplicationShutdown } from '@nestjs/common';
import { ObservabilityConfig } from '../config/sections.js';
import { Lifecycle } from './lifecycle.js';
import {
  json,
  type ManagementAnswer,
  type ManagementHandler,
  type ManagementMethod,
  ManagementRoutes,
} from './management.routes.js';
import { Metrics } from './metrics.js';
import { OperatorInfo } from './operator-info.js';
import { pathOf } from './request-path.js';

/** An operator's orders are short. */
const MOST_BODY_BYTES = 4_096;

/**
 * The port for operators: probes, metrics, how things stand, and what only a person can decide. Its own server, so that
 * nothing on it can be reached on the API port, and so that the probes are not in the way of the callers.
 */
@Injectable()
export class ManagementServer implements OnApplicationShutdown {
  readonly #server: Server;
  readonly #routes = new ManagementRoutes();

  constructor(
    private readonly config: ObservabilityConfig,
    private readonly lifecycle: Lifecycle,
    private readonly metrics: Metrics,
    private readonly info: OperatorInfo,
  ) {
    metrics.beforeRead(() => {
      metrics.serverActiveRequests.set(lifecycle.requests);
    });
    this.#addOwnRoutes();
    this.#server = createServer((request, response) => {
      void this.#answer(request).then(({ status, contentType, body, allow }) => {
        response
          .writeHead(status, {
            'content-type': contentType,
            'cache-control': 'no-store',
            'x-content-type-options': 'nosniff',
            ...(allow !== undefined && { allow }),
            // The rest of a body that was turned down is not waited for.
            ...(request.method === 'POST' && !request.complete && { connection: 'close' }),
          })
          .end(body);
      });
    });
  }

  /** Serves one more route, for another part of the service. */
  add(method: ManagementMethod, template: string, handler: ManagementHandler): void {
    this.#routes.add(method, template, handler);
  }

  #addOwnRoutes(): void {
    const { lifecycle, metrics, info } = this;
    // That it is answered at all says that the event loop turns.
    this.add('GET', '/health/live', () => json(200, { status: 'live' }));
    // Never whether the upstream is there: an outage there must not take out the replicas.
    this.add('GET', '/health/ready', ({ query }) =>
      json(lifecycle.isReady ? 200 : 503, query.has('verbose') ? info.read() : { status: lifecycle.state }),
    );
    this.add('GET', '/info', () => json(200, info.read()));
    this.add('GET', '/metrics', async () => ({
      status: 200,
      contentType: metrics.registry.contentType,
      body: await metrics.read(),
    }));
  }

  async #answer(request: IncomingMessage): Promise<ManagementAnswer> {
    const { method = 'GET', url = '/', socket } = request;
    const path = pathOf(url);
    const found = this.#routes.find(path);
    if (found === undefined) return json(404, { status: 'no such route' });
    const { handlers, parameters } = found;
    // Node leaves the body out of the answer to a HEAD.
    const handler = handlers.get((method === 'HEAD' ? 'GET' : method) as ManagementMethod);
    if (handler === undefined) {
      const allow = [...handlers.keys()].flatMap((name) => (name === 'GET' ? [name, 'HEAD'] : [name]));
      return { ...json(405, { status: 'not with this method' }), allow: allow.join(', ') };
    }
    try {
      const query = new URLSearchParams(url.slice(path.length));
      const from = socket.remoteAddress ?? 'unknown';
      if (method !== 'POST') return await handler({ query, parameters, body: undefined, from });
      const text = await readText(request);
      if (text === undefined) return json(413, { status: 'the body is too long' });
      const body = parseJson(text);
      if (body === undefined) return json(400, { status: 'the body is not JSON' });
      return await handler({ query, parameters, body, from });
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

/** `undefined` where there is more of it than an order has. */
async function readText(request: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  // The answer goes through the same socket, so the request is not destroyed with what is left of it.
  for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MOST_BODY_BYTES) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
