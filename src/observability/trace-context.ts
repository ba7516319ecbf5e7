import type { IncomingHttpHeaders } from 'node:http';

/** Where a request comes from in a trace (W3C Trace Context). */
export interface TraceContext {
  /** 32 hexadecimal digits, not all zero. */
  readonly traceId: string;
  /** Of the caller's span; 16 hexadecimal digits, not all zero. */
  readonly spanId: string;
  readonly flags: number;
  /** The header `tracestate`, in one piece; `undefined` where there is none that can be read. */
  readonly state: string | undefined;
}

/** The caller records its part of the trace. */
export const SAMPLED = 1;
/** The trace id is random (level 2 of the specification). */
export const RANDOM_TRACE_ID = 2;

/** Of a higher version more may follow, which is left behind (section 3.2.4). */
const TRACE_PARENT = /^(?!ff)([\da-f]{2})-(?!0{32})([\da-f]{32})-(?!0{16})([\da-f]{16})-([\da-f]{2})(-.*)?$/;
const KEY = '(?:[a-z][\\w*/-]{0,255}|[a-z0-9][\\w*/-]{0,240}@[a-z][\\w*/-]{0,13})';
const VALUE = '[\\x20-\\x2b\\x2d-\\x3c\\x3e-\\x7e]{0,255}[\\x21-\\x2b\\x2d-\\x3c\\x3e-\\x7e]';
const MEMBER = new RegExp(`^[ \\t]*(?:${KEY}=${VALUE})?[ \\t]*$`);
const MOST_MEMBERS = 32;
/** What every participant has to be able to pass on (section 3.3.1.5). */
const LONGEST_STATE = 512;

/** The context of an incoming request; `undefined` where it has none, or none that is valid. */
export function readTraceContext({ traceparent, tracestate }: IncomingHttpHeaders): TraceContext | undefined {
  if (typeof traceparent !== 'string') return undefined;
  const [, version, traceId, spanId, flags = '', more] = TRACE_PARENT.exec(traceparent) ?? [];
  if (traceId === undefined || spanId === undefined || (version === '00' && more !== undefined)) {
    return undefined;
  }
  const known = Number.parseInt(flags, 16) & (SAMPLED | RANDOM_TRACE_ID);
  return { traceId, spanId, flags: known, state: readState([tracestate].flat().join(',')) };
}

/** The headers that hand a context on. Never `baggage`: what is in it is nothing for another company. */
export function traceHeaders({ traceId, spanId, flags, state }: TraceContext): Record<string, string> {
  const traceparent = `00-${traceId}-${spanId}-0${flags}`;
  return state === undefined ? { traceparent } : { traceparent, tracestate: state };
}

/** All or nothing: a list of which one member is broken is not handed on (section 3.3.1.1). */
function readState(text: string): string | undefined {
  if (text === '' || text.length > LONGEST_STATE) return undefined;
  const members = text.split(',');
  return members.length <= MOST_MEMBERS && members.every((member) => MEMBER.test(member)) ? text : undefined;
}
