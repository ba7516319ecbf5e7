import type { IncomingHttpHeaders } from 'node:http';
import { readTraceContext, traceHeaders } from './trace-context.js';

/** Named as the semantic conventions of OpenTelemetry name them. */
export type SpanAttributes = Readonly<Record<string, string | number>>;

/** A step of a request on its way, as a trace shows it. */
export interface Span {
  /** 32 hexadecimal digits; `undefined` where there is no trace. */
  readonly traceId: string | undefined;
  /** Belong on a call that is made in this step: `traceparent` and `tracestate`, or nothing. */
  readonly headers: Readonly<Record<string, string>>;
  /** Shows a piece of work as a step within this one, failed or not. */
  step<T>(name: string, work: () => Promise<T>): Promise<T>;
  /** Begins a call within this one: it leaves the process. */
  call(name: string, attributes: SpanAttributes): Span;
  /** Ends it, with what was found out meanwhile; `error.type` among it makes it a failed one. */
  end(attributes?: SpanAttributes): void;
}

/** Makes traces. What knows of this class knows nothing of how, where to, or whether at all. */
export abstract class Tracer {
  /** Begins the span of an incoming request, continuing the caller's trace where its headers tell of one. */
  abstract request(method: string, headers: IncomingHttpHeaders): Span;
}

/**
 * Records nothing. A caller's valid context is handed on as it came (W3C Trace Context allows that to whoever does
 * not take part), so that its trace does not break here; without one it costs nothing.
 */
export class PassingTracer extends Tracer {
  request(_method: string, headers: IncomingHttpHeaders): Span {
    const context = readTraceContext(headers);
    return context ? passing(context.traceId, traceHeaders(context)) : NO_SPAN;
  }
}

/** Of no trace. */
export const NO_SPAN = passing(undefined, {});

function passing(traceId: string | undefined, headers: Span['headers']): Span {
  const span: Span = {
    traceId,
    headers,
    step: (_name, work) => work(),
    call: () => span,
    end: () => undefined,
  };
  return span;
}
