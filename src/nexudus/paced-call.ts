import { Injectable } from '@nestjs/common';
import { Clock } from '../clock/clock.js';
import { Metrics } from '../observability/metrics.js';
import type { Deadline } from './deadline.js';
import { type CallEnd, Pacer } from './pacer.js';
import { parseRetryAfterMs } from './retry-after.js';
import { UpstreamTransport } from './upstream.transport.js';
import type { UpstreamCall, WireResult } from './wire.js';

/** A call that is not a write, in its turn: it counts in the quota like any other. */
@Injectable()
export class PacedCalls {
  constructor(
    private readonly transport: UpstreamTransport,
    private readonly pacer: Pacer,
    private readonly clock: Clock,
    private readonly metrics: Metrics,
  ) {}

  /**
   * @param makeCall made when its turn has come: what is in it may be good for a short time
   * @throws QuotaExhausted when there is no slot before the deadline; nothing was sent then
   */
  async perform(makeCall: () => UpstreamCall, deadline: Deadline): Promise<WireResult> {
    const slot = await this.pacer.call(deadline);
    // Where something throws that never should, the slot is given back all the same.
    let end: CallEnd = { kind: 'unanswered' };
    try {
      const result = await this.transport.send(makeCall());
      end = callEnd(result, this.clock.epochMs());
      if (end.kind === 'throttled') this.metrics.quotaThrottled.inc();
      return result;
    } finally {
      slot.end(end);
    }
  }
}

/**
 * What the end of a call means for the quota.
 *
 * @param epochMs the present, in milliseconds since the Unix epoch
 */
export function callEnd(result: WireResult, epochMs: number): CallEnd {
  if (result.kind === 'not-sent') return { kind: 'not-sent' };
  if (result.kind === 'no-answer') return { kind: 'unanswered' };
  if (result.status !== 409 && result.status !== 429) return { kind: 'answered' };
  return { kind: 'throttled', retryAfterMs: parseRetryAfterMs(result.headers['retry-after'], epochMs) };
}
