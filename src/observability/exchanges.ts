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
  /** By connection, in order of arrival. */
  readonly #underWay = new WeakMap<Duplex, readonly ExchangeUnderWay[]>();

  /** Aborts when the exchange is over: the answer is out, or nobody is there any more to get it. */
  begin(request: IncomingMessage, answer: ServerResponse): Interruption {
    const { socket } = request;
    const exchange = { request, answer, over: new RequestInterruption() };
    const others = this.#underWay.get(socket);
    if (others === undefined) {
      socket.once('close', () => {
        const lost = this.#of(socket);
        this.#underWay.set(socket, []);
        for (const { over } of lost) over.abort();
      });
    }
    this.#underWay.set(socket, others === undefined ? [exchange] : others.concat(exchange));
    answer.once('close', () => {
      this.#underWay.set(
        socket,
        this.#of(socket).filter((other) => other !== exchange),
      );
      exchange.over.abort();
    });
    return exchange.over;
  }

  /** Those of a connection that are not over, in order of arrival. */
  on(socket: Duplex): readonly Exchange[] {
    return this.#of(socket);
  }

  #of(socket: Duplex): readonly ExchangeUnderWay[] {
    return this.#underWay.get(socket) ?? [];
  }
}

interface ExchangeUnderWay extends Exchange {
  readonly over: RequestInterruption;
}
