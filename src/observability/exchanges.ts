import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { type Interruption, RequestInterruption } from '../clock/interruption.js';

/** A request and its answer. */
export interface Exchange {
  readonly request: IncomingMessage;
  readonly answer: ServerResponse;
}

/**
 * What is under way on each connection. A client may send more requests before it has the first answer (RFC 9112
 * section 9.3.2). The answers to those wait in Node, and when the connection is lost, it tells the first alone.
 */
export class Exchanges {
  /** By connection, in order of arrival; each with what ends it. */
  readonly #underWay = new WeakMap<Duplex, Map<Exchange, () => void>>();

  /** Aborts when the exchange is over: the answer is out, or nobody is there any more to get it. */
  begin(request: IncomingMessage, answer: ServerResponse): Interruption {
    const over = new RequestInterruption();
    const others = this.#of(request.socket);
    const exchange = { request, answer };
    const end = (): void => {
      others.delete(exchange);
      over.abort();
    };
    others.set(exchange, end);
    answer.once('close', end);
    return over;
  }

  /** Those of a connection that are not over, in order of arrival. */
  on(socket: Duplex): Exchange[] {
    return [...(this.#underWay.get(socket)?.keys() ?? [])];
  }

  #of(socket: Duplex): Map<Exchange, () => void> {
    let exchanges = this.#underWay.get(socket);
    if (exchanges === undefined) {
      const begun = new Map<Exchange, () => void>();
      socket.once('close', () => {
        for (const end of begun.values()) end();
      });
      this.#underWay.set(socket, begun);
      exchanges = begun;
    }
    return exchanges;
  }
}
