import type { Dispatcher } from 'undici';
import type { UpstreamCall, WireResult } from './wire.js';

/** What an exchange needs beside the call itself. */
export interface ExchangeOptions {
  /** One per process, never one per request. */
  readonly dispatcher: Dispatcher;
  /** Origin of the upstream, with a path prefix where it has one. */
  readonly baseUrl: string;
  /** A longer body is cut off here and counts as not complete. */
  readonly responseLimitBytes: number;
}

/**
 * Sends single calls through an undici pool, and tells what no client tells: whether a byte of the request was handed
 * to a socket.
 */
export class UndiciExchange {
  readonly #dispatcher: Dispatcher;
  readonly #origin: string;
  readonly #pathPrefix: string;
  readonly #limitBytes: number;
  readonly #underWay = new Set<Exchange>();

  constructor({ dispatcher, baseUrl, responseLimitBytes }: ExchangeOptions) {
    const { origin, pathname } = new URL(baseUrl);
    this.#dispatcher = dispatcher;
    this.#origin = origin;
    this.#pathPrefix = pathname.replace(/\/$/, '');
    this.#limitBytes = responseLimitBytes;
  }

  /** Never rejects: a failure is a {@link WireResult}, too. */
  async send(call: UpstreamCall): Promise<WireResult> {
    return new Promise((resolve) => {
      const settled = (result: WireResult): void => {
        this.#underWay.delete(exchange);
        resolve(result);
      };
      const exchange = new Exchange(settled, call, this.#limitBytes);
      this.#underWay.add(exchange);
      this.#dispatcher.dispatch(
        {
          origin: this.#origin,
          path: this.#pathPrefix + call.path,
          method: call.method,
          headers: call.headers,
          body: call.body ?? null,
          // The exchange's own timer covers all of it, connecting included.
          headersTimeout: 0,
          bodyTimeout: 0,
        },
        exchange,
      );
    });
  }

  /** Ends all that is under way as its time-out would. */
  giveUp(): void {
    for (const exchange of this.#underWay) exchange.timeOut('No whole answer before the end of the process');
  }
}

const always = (): boolean => true;

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

  constructor(resolve: (result: WireResult) => void, call: UpstreamCall, limitBytes: number) {
    const { timeoutMs, startWithinMs, isWanted = always } = call;
    this.#resolve = resolve;
    this.#limitBytes = limitBytes;
    this.#isWanted = isWanted;
    this.#timer = setTimeout(() => {
      this.timeOut(`No whole answer within ${timeoutMs} ms`);
    }, timeoutMs);
    if (startWithinMs !== undefined && startWithinMs < timeoutMs) {
      this.#startTimer = setTimeout(() => {
        this.timeOut(`No connection within ${startWithinMs} ms`);
      }, startWithinMs);
    }
  }

  timeOut(reason: string): void {
    this.#fail('timeout', new Error(reason));
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
