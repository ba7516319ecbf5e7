import { AxiosHeaders, type AxiosAdapter, type AxiosResponse, type InternalAxiosRequestConfig } from 'axios';
import type { Dispatcher } from 'undici';
import type { WireResult } from './wire.js';

/** What the adapter needs beside axios' own configuration. */
export interface AdapterOptions {
  /** One per process, never one per request. */
  readonly dispatcher: Dispatcher;
  /** Origin of the upstream, with a path prefix where it has one. */
  readonly baseUrl: string;
  /** A longer body is cut off here and counts as not complete. */
  readonly responseLimitBytes: number;
}

/**
 * An axios adapter on an undici pool. It does what axios' own adapters do not: it tells whether a byte of the
 * request was handed to a socket, and it costs a fraction (no redirects, no decompression, no proxy look-up).
 * It never rejects: `data` of the response is always a {@link WireResult}.
 */
export function undiciAdapter({ dispatcher, baseUrl, responseLimitBytes }: AdapterOptions): AxiosAdapter {
  const { origin, pathname } = new URL(baseUrl);
  const pathPrefix = pathname.replace(/\/$/, '');
  return async (config) => {
    const result = await new Promise<WireResult>((resolve) => {
      const exchange = new Exchange(resolve, config, responseLimitBytes);
      dispatcher.dispatch(toDispatchOptions(origin, pathPrefix, config), exchange);
    });
    return toAxiosResponse(config, result);
  };
}

function toDispatchOptions(
  origin: string,
  pathPrefix: string,
  config: InternalAxiosRequestConfig,
): Dispatcher.DispatchOptions {
  return {
    origin,
    path: pathPrefix + (config.url ?? '/'),
    method: (config.method ?? 'get').toUpperCase(),
    headers: config.headers.toJSON() as Record<string, string>,
    body: typeof config.data === 'string' ? config.data : null,
    // This adapter's own timer covers the whole exchange, connecting included.
    headersTimeout: 0,
    bodyTimeout: 0,
  };
}

function toAxiosResponse(config: InternalAxiosRequestConfig, result: WireResult): AxiosResponse<WireResult> {
  const status = result.kind === 'answer' ? result.status : 0;
  return { data: result, status, statusText: '', headers: NO_HEADERS, config };
}

const NO_HEADERS = new AxiosHeaders();
const always = (): boolean => true;

declare module 'axios' {
  interface AxiosRequestConfig {
    /** See {@link UpstreamCall}. */
    startWithinMs?: number | undefined;
    isWanted?: (() => boolean) | undefined;
  }
}

/** One request and its answer. Settles once, whatever undici calls afterwards. */
class Exchange implements Dispatcher.DispatchHandler {
  readonly #resolve: (result: WireResult) => void;
  readonly #limitBytes: number;
  readonly #isWanted: () => boolean;
  readonly #timer: NodeJS.Timeout;
  readonly #startTimer: NodeJS.Timeout | undefined;
  readonly #chunks: Buffer[] = [];
  #controller: Dispatcher.DispatchController | undefined;
  #receivedBytes = 0;
  #status = 0;
  #headers: Record<string, string | string[] | undefined> = {};
  #settled = false;

  constructor(resolve: (result: WireResult) => void, config: InternalAxiosRequestConfig, limitBytes: number) {
    const { timeout = 0, startWithinMs, isWanted = always } = config;
    this.#resolve = resolve;
    this.#limitBytes = limitBytes;
    this.#isWanted = isWanted;
    this.#timer = setTimeout(() => {
      this.#fail('timeout', new Error(`No whole answer within ${timeout} ms`));
    }, timeout);
    if (startWithinMs !== undefined && startWithinMs < timeout) {
      this.#startTimer = setTimeout(() => {
        this.#fail('timeout', new Error(`No connection within ${startWithinMs} ms`));
      }, startWithinMs);
    }
  }

  /** Called right before the request is written to a socket: until then, no byte has left. */
  onRequestStart(controller: Dispatcher.DispatchController): void {
    clearTimeout(this.#startTimer);
    // Given up while it waited for a socket, or picked up again by undici after a failed write: never write it.
    if (this.#settled || this.#controller !== undefined) {
      controller.abort(new Error('Given up before it was written'));
    } else if (!this.#isWanted()) {
      const cause = new Error('Nobody waits for it any more');
      this.#settle({ kind: 'not-sent', reason: 'unwanted', cause });
      controller.abort(cause);
    } else {
      this.#controller = controller;
    }
  }

  onResponseStart(
    _controller: Dispatcher.DispatchController,
    status: number,
    headers: Record<string, string | string[] | undefined>,
  ): void {
    if (status < 200) return; // an interim answer (RFC 9110 section 15.2)
    this.#status = status;
    this.#headers = headers;
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#receivedBytes += chunk.length;
    if (this.#receivedBytes > this.#limitBytes) {
      this.#fail('connection', new Error(`The answer is longer than ${this.#limitBytes} bytes`));
      return;
    }
    this.#chunks.push(chunk);
  }

  onResponseEnd(): void {
    this.#settle(this.#answer(undefined));
  }

  onResponseError(_controller: Dispatcher.DispatchController | null, error: Error): void {
    this.#fail('connection', error);
  }

  #fail(reason: 'timeout' | 'connection', cause: Error): void {
    if (this.#settled) return;
    if (this.#controller === undefined) this.#settle({ kind: 'not-sent', reason, cause });
    // A status that came without its whole body still says something: a throttle needs no body.
    else if (this.#status !== 0) this.#settle(this.#answer(reason));
    else this.#settle({ kind: 'no-answer', reason, cause });
    this.#controller?.abort(cause);
  }

  #answer(cutOffBy: 'timeout' | 'connection' | undefined): WireResult {
    const body = this.#chunks.length === 1 ? this.#chunks[0] : Buffer.concat(this.#chunks);
    return {
      kind: 'answer',
      status: this.#status,
      headers: this.#headers,
      body: body?.toString('utf8') ?? '',
      cutOffBy,
    };
  }

  #settle(result: WireResult): void {
    if (this.#settled) return;
    this.#settled = true;
    clearTimeout(this.#timer);
    clearTimeout(this.#startTimer);
    this.#resolve(result);
  }
}
