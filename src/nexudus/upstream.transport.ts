import { HttpService } from '@nestjs/axios';
import { Injectable } from '@nestjs/common';
import { Clock } from '../clock/clock.js';
import { Metrics } from '../observability/metrics.js';
import type { UpstreamCall, WireResult } from './wire.js';

/** Sends one call to Nexudus, once, and tells what came of it. Every call of the service goes through here. */
@Injectable()
export class UpstreamTransport {
  constructor(
    private readonly http: HttpService,
    private readonly clock: Clock,
    private readonly metrics: Metrics,
  ) {}

  /** Never rejects: a failure is a {@link WireResult}, too. */
  async send(call: UpstreamCall): Promise<WireResult> {
    const startedAtMs = this.clock.nowMs();
    // axiosRef, since HttpService.post() builds a cancel error after every call.
    const { data: result } = await this.http.axiosRef.request<WireResult>({
      method: call.method,
      url: call.path,
      headers: call.headers,
      data: call.body,
      timeout: call.timeoutMs,
      startWithinMs: call.startWithinMs,
      isWanted: call.isWanted,
    });
    this.metrics.clientRequestSeconds.observe(
      {
        method: call.method,
        call: call.path.replace(/\d+$/, '{id}'),
        status: result.kind === 'answer' ? result.status : 'none',
      },
      (this.clock.nowMs() - startedAtMs) / 1000,
    );
    return result;
  }
}
