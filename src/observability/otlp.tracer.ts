import type { IncomingHttpHeaders } from 'node:http';
import type { OnApplicationShutdown } from '@nestjs/common';
import * as api from '@opentelemetry/api';
import { type ExportResult, ExportResultCode } from '@opentelemetry/core';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { defaultResource, resourceFromAttributes } from '@opentelemetry/resources';
import {
  BatchSpanProcessor,
  type ReadableSpan,
  type SpanExporter,
  TracerProvider,
} from '@opentelemetry/sdk-trace';
import type { Clock } from '../clock/clock.js';
import type { AppLogger } from './app-logger.js';
import { RANDOM_TRACE_ID, readTraceContext, traceHeaders } from './trace-context.js';
import { type Span, type SpanAttributes, Tracer } from './tracer.js';
import { VERSION } from './version.js';

/** A collector that is slow is given up; what it should have got is lost, and nobody waits for it. */
const EXPORT_TIMEOUT_MS = 5_000;
/** Well within what a stop may take beyond its requests. */
const FLUSH_WITHIN_MS = 1_000;
const COMPLAIN_EVERY_MS = 60_000;

/**
 * Sends traces to a collector (OTLP over HTTP, as JSON), in batches, in the background. Loaded only where an
 * endpoint is configured. Requests that the caller does not sample are not recorded, all others are.
 */
export class OtlpTracer extends Tracer implements OnApplicationShutdown {
  readonly #provider: TracerProvider;
  readonly #tracer: api.Tracer;

  /** @param endpoint the base, to which OTLP appends `v1/traces` */
  constructor(
    endpoint: string,
    private readonly clock: Clock,
    log: AppLogger,
  ) {
    super();
    const url = `${endpoint.replace(/\/$/, '')}/v1/traces`;
    const exporter = new OTLPTraceExporter({ url, timeoutMillis: EXPORT_TIMEOUT_MS });
    this.#provider = new TracerProvider({
      resource: defaultResource().merge(
        resourceFromAttributes({ 'service.name': 'nexudus-bff', 'service.version': VERSION }),
      ),
      spanProcessors: [new BatchSpanProcessor({ exporter: new QuietExporter(exporter, clock, log) })],
    });
    this.#tracer = this.#provider.getTracer('nexudus-bff', VERSION);
  }

  request(method: string, headers: IncomingHttpHeaders): Span {
    const caller = readTraceContext(headers);
    const parent = caller && {
      traceId: caller.traceId,
      spanId: caller.spanId,
      traceFlags: caller.flags,
      isRemote: true,
      ...(caller.state !== undefined && { traceState: api.createTraceState(caller.state) }),
    };
    const context = parent ? api.trace.setSpanContext(api.ROOT_CONTEXT, parent) : api.ROOT_CONTEXT;
    const span = this.#tracer.startSpan(method, { kind: api.SpanKind.SERVER }, context);
    return new OtlpSpan(this.#tracer, span, {
      flags: (caller?.flags ?? 0) & RANDOM_TRACE_ID,
      state: caller?.state,
    });
  }

  /** Whatever the collector does, the stop does not wait for it longer than it may. */
  async onApplicationShutdown(): Promise<void> {
    const flushed = this.#provider.shutdown().catch(() => undefined);
    await Promise.race([flushed, this.clock.sleep(FLUSH_WITHIN_MS)]);
  }
}

/** What all spans of a request have in common with the caller's. */
interface Inherited {
  readonly flags: number;
  readonly state: string | undefined;
}

class OtlpSpan implements Span {
  constructor(
    private readonly tracer: api.Tracer,
    private readonly span: api.Span,
    private readonly inherited: Inherited,
  ) {}

  get traceId(): string {
    return this.span.spanContext().traceId;
  }

  get headers(): Record<string, string> {
    const { traceId, spanId, traceFlags } = this.span.spanContext();
    const { flags, state } = this.inherited;
    return traceHeaders({ traceId, spanId, flags: traceFlags | flags, state });
  }

  async step<T>(name: string, work: () => Promise<T>): Promise<T> {
    const step = this.#child(name, { kind: api.SpanKind.INTERNAL });
    try {
      const result = await work();
      step.end();
      return result;
    } catch (error) {
      step.end({ 'error.type': error instanceof Error ? error.name : 'unknown' });
      throw error;
    }
  }

  call(name: string, attributes: SpanAttributes): Span {
    return this.#child(name, { kind: api.SpanKind.CLIENT, attributes });
  }

  end(attributes: SpanAttributes = {}): void {
    this.span.setAttributes(attributes);
    // The name of an HTTP span is its method and its route, which is known late (semantic conventions, HTTP spans).
    const { 'http.request.method': method, 'http.route': route } = attributes;
    if (route !== undefined) this.span.updateName(`${String(method)} ${route}`);
    if ('error.type' in attributes) this.span.setStatus({ code: api.SpanStatusCode.ERROR });
    this.span.end();
  }

  #child(name: string, options: api.SpanOptions): OtlpSpan {
    const context = api.trace.setSpan(api.ROOT_CONTEXT, this.span);
    return new OtlpSpan(this.tracer, this.tracer.startSpan(name, options, context), this.inherited);
  }
}

/** Says that the collector does not take what it is sent, and says so no more than once a minute. */
class QuietExporter implements SpanExporter {
  #complainedAtMs = -Infinity;

  constructor(
    private readonly exporter: SpanExporter,
    private readonly clock: Clock,
    private readonly log: AppLogger,
  ) {}

  export(spans: ReadableSpan[], done: (result: ExportResult) => void): void {
    this.exporter.export(spans, (result) => {
      if (result.code === ExportResultCode.FAILED) this.#complain(spans.length, result.error);
      done(result);
    });
  }

  async shutdown(): Promise<void> {
    await this.exporter.shutdown();
  }

  #complain(spans: number, error: Error | undefined): void {
    if (this.clock.nowMs() - this.#complainedAtMs < COMPLAIN_EVERY_MS) return;
    this.#complainedAtMs = this.clock.nowMs();
    this.log.warn({ err: error, spans }, 'The collector does not take the traces: they are lost');
  }
}
