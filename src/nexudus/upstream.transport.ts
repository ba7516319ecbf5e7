import { HttpService } from '@nestjs/axios';
import { Injectable } from '@nestjs/common';
import { Clock } from '../clock/clock.js';
import { NexudusConfig } from '../config/sections.js';
import { Metrics } from '../observability/metrics.js';
import { NO_SPAN, type SpanAttributes } from '../observability/tracer.js';
import { UndiciExchange } from './undici.exchange.js';
import type { UpstreamCall, WireResult } from './wire.js';

/** Sends one call to Nexudus, once, and tells what came of it. Every call of the service goes through here. */
@Injectable()
export class UpstreamTransport {
  readonly #server: SpanAttributes;

  constructor(
    private readonly http: HttpService,
    private readonly exchange: UndiciExchange,
    private readonly config: NexudusConfig,
    private readonly clock: Clock,
    private readonly metrics: Metrics,
  ) {
    const { hostname, port, protocol } = new URL(config.baseUrl);
    this.#server = {
      'server.address': hostname,
      'server.port': Number(port) || (protocol === 'https:' ? 443 : 80),
    };
  }

  /** Never rejects: a failure is a {@link WireResult}, too. */
  async send(call: UpstreamCall): Promise<WireResult> {
    const { method, path, resendCount = 0 } = call;
    // Without the query, which names what is looked for.
    const [pathname = ''] = path.split('?');
    const template = pathname.replace(/\d+$/, '{id}');
    const span = (call.span ?? NO_SPAN).call(`${method} ${template}`, {
      ...this.#server,
      'http.request.method': method,
      'url.full': this.config.baseUrl + pathname,
      ...(resendCount > 0 && { 'http.request.resend_count': resendCount }),
    });
    const startedAtMs = this.clock.nowMs();
    // Whoever says nothing takes any coding (RFC 9110 section 12.5.3), and nothing here decodes one.
    const headers = { ...call.headers, ...span.headers, 'accept-encoding': 'identity' };
    const traced = { ...call, headers };
    const result = call.isWrite ? await this.exchange.send(traced) : await this.#sendByAxios(traced);
    const status = result.kind === 'answer' ? result.status : 'none';
    this.metrics.clientRequestSeconds.observe(
      {
        method,
        call: template,
        status,
        http_request_resend_count: resendCount > 2 ? '3+' : resendCount,
      },
      (this.clock.nowMs() - startedAtMs) / 1000,
    );
    if (status !== 'none' && status >= 200 && status < 300) {
      this.metrics.upstreamLastSuccess.set(this.clock.epochMs() / 1000);
    }
    span.end(outcomeOf(result));
    return result;
  }

  async #sendByAxios(call: UpstreamCall): Promise<WireResult> {
    // axiosRef, since HttpService.post() builds a cancel error after every call.
    const { data } = await this.http.axiosRef.request<WireResult>({
      method: call.method,
      url: call.path,
      headers: call.headers,
      data: call.body,
      timeout: call.timeoutMs,
      startWithinMs: call.startWithinMs,
      isWanted: call.isWanted,
    });
    return data;
  }
}

/** As the semantic conventions for HTTP clients have it: a status of 400 or more is an error, and its type. */
function outcomeOf(result: WireResult): SpanAttributes {
  if (result.kind !== 'answer') return { 'error.type': result.reason };
  const { status } = result;
  return {
    'http.response.status_code': status,
    ...(status >= 400 && { 'error.type': String(status) }),
    ...(result.cutOffBy !== undefined && { 'error.type': result.cutOffBy }),
  };
}
