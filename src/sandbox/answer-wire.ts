import { type ServerResponse } from 'node:http';
import { type Answer } from './answers.js';

const CHUNK_BYTES = 65_536;

/** Puts an answer on one connection: whole, in parts, or not at all. */
export class AnswerWire {
  /** `settle` is told how the call ended, before the caller can know. */
  constructor(
    private readonly response: ServerResponse,
    private readonly settle: (status: number | 'none') => void,
  ) {
    if (response.destroyed) settle('none');
    response.once('close', () => {
      if (!response.writableFinished) settle('none');
    });
  }

  send(answer: Answer): void {
    if (this.response.destroyed) return;
    this.writeHead(answer, Buffer.byteLength(answer.body));
    this.settle(answer.status);
    this.response.end(answer.body);
  }

  /** Ends the connection behind a whole answer that said it would be kept. */
  sendThenClose(answer: Answer): void {
    const { socket } = this.response;
    this.response.once('finish', () => socket?.destroySoon());
    this.send(answer);
  }

  /** The body is whole, and valid for who does not count, but the head promised more. */
  sendTruncated(answer: Answer): void {
    if (this.response.destroyed) return;
    this.writeHead(answer, Buffer.byteLength(answer.body) + 64);
    this.response.flushHeaders();
    this.response.write(answer.body === '' ? ' ' : answer.body, () => {
      this.drop();
    });
  }

  /** Half now, half when `rest` says so. */
  async sendInTwo(answer: Answer, rest: Promise<void>): Promise<void> {
    if (this.response.destroyed) return;
    const body = Buffer.from(answer.body);
    const half = body.length >>> 1;
    this.writeHead(answer, body.length);
    this.response.flushHeaders();
    this.response.write(body.subarray(0, half));
    await rest;
    this.settle(answer.status);
    this.response.end(body.subarray(half));
  }

  /** A JSON object with a `Message` of so many bytes in front, in chunks, for as long as somebody reads. */
  async sendPadded(answer: Answer, bytes: number): Promise<void> {
    if (!answer.body.startsWith('{')) {
      this.send(answer);
      return;
    }
    // The last of two equal names counts in JSON, so the true Message has to go.
    const rest = JSON.stringify({ ...(JSON.parse(answer.body) as object), Message: undefined }).slice(1);
    this.writeHead(answer);
    this.response.write('{"Message":"');
    for (let left = bytes; left > 0 && !this.response.destroyed; left -= CHUNK_BYTES) {
      if (!this.response.write('x'.repeat(Math.min(left, CHUNK_BYTES)))) await this.drained();
    }
    if (this.response.destroyed) return;
    this.settle(answer.status);
    this.response.end(rest === '}' ? '"}' : `",${rest}`);
  }

  /** Ends the connection without an answer. */
  drop(reset = false): void {
    if (reset) this.response.socket?.resetAndDestroy();
    else this.response.destroy();
  }

  /** Bytes that no HTTP parser takes. */
  sendGarbage(): void {
    const { socket } = this.response;
    socket?.write('!! this is not HTTP !!\r\n\r\n');
    socket?.destroySoon();
  }

  private writeHead(answer: Answer, contentLength?: number): void {
    this.response.writeHead(answer.status, {
      ...answer.headers,
      ...(contentLength === undefined ? {} : { 'Content-Length': contentLength }),
      // Said outright, since node would add a hint of when an idle connection ends, and the edge gives none.
      ...(this.response.shouldKeepAlive ? { Connection: 'keep-alive' } : {}),
    });
  }

  private drained(): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        this.response.off('drain', done);
        this.response.off('close', done);
        resolve();
      };
      this.response.on('drain', done);
      this.response.on('close', done);
    });
  }
}
