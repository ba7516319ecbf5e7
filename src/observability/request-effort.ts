import type { Span } from './tracer.js';

/** What a request has come to so far: for its log line, and for what a fault of ours leaves behind. */
export interface RequestEffort {
  /** On the clock's monotonic scale. */
  readonly arrivedAtMs: number;
  /** Times that the message was handed to the upstream. */
  attempts: number;
  /** Spent waiting for a turn at the upstream. */
  waitMs: number;
  /** `done`, or what a problem says of the message. */
  outcome: string;
  /** The slug of the problem that was answered. */
  problem: string | undefined;
  /** The answer is that of an earlier request with the same idempotency key. */
  replayed?: true;
  /** The id of the delivery that it handed over, or had handed over before. */
  delivery?: string;
}

declare module 'fastify' {
  interface FastifyRequest {
    effort: RequestEffort;
    /** Of the whole request, from its arrival to the end of its answer. */
    span: Span;
  }
}
