import { describe, expect, it } from '@jest/globals';
import { readTraceContext, traceHeaders } from './trace-context.js';

const TRACE_ID = '4bf92f3577b34da6a3ce929d0e0e4736';
const SPAN_ID = '00f067aa0ba902b7';
const VALID = `00-${TRACE_ID}-${SPAN_ID}-01`;

/** What is handed on of what came. */
function handedOn(traceparent: string, tracestate?: string): Record<string, string> | undefined {
  const context = readTraceContext({ traceparent, ...(tracestate !== undefined && { tracestate }) });
  return context && traceHeaders(context);
}

describe('traceparent', () => {
  it.each([
    [VALID, VALID],
    [`00-${TRACE_ID}-${SPAN_ID}-00`, `00-${TRACE_ID}-${SPAN_ID}-00`],
    // The flag of level 2 that the trace id is random.
    [`00-${TRACE_ID}-${SPAN_ID}-03`, `00-${TRACE_ID}-${SPAN_ID}-03`],
    // Flags that no version defines are set to zero.
    [`00-${TRACE_ID}-${SPAN_ID}-ff`, `00-${TRACE_ID}-${SPAN_ID}-03`],
    // A version to come: what is known of it.
    [`01-${TRACE_ID}-${SPAN_ID}-01-what-the-future-will-bring`, VALID],
  ])('%s is handed on as %s', (given, expected) => {
    expect(handedOn(given)).toEqual({ traceparent: expected });
  });

  it.each([
    '',
    'x',
    `ff-${TRACE_ID}-${SPAN_ID}-01`,
    `00-${'0'.repeat(32)}-${SPAN_ID}-01`,
    `00-${TRACE_ID}-${'0'.repeat(16)}-01`,
    `00-${TRACE_ID.toUpperCase()}-${SPAN_ID}-01`,
    `00-${TRACE_ID}-${SPAN_ID}-01-more`,
    `00-${TRACE_ID}-${SPAN_ID}`,
    `00-${TRACE_ID.slice(1)}-${SPAN_ID}-01`,
    `${VALID}, ${VALID}`,
    ` ${VALID}`,
  ])('that is not valid is not: %j', (given) => {
    expect(handedOn(given, 'a=1')).toBeUndefined();
  });
});

describe('tracestate', () => {
  it.each(['a=1', 'a=1,b=2', 'a=1, b=2', 'tenant@vendor=x y', 'a=1,,b=2'])('%j is handed on', (state) => {
    expect(handedOn(VALID, state)).toEqual({ traceparent: VALID, tracestate: state });
  });

  it.each([
    '',
    'a',
    'A=1',
    'a=1,b',
    'a=1,b=x=y',
    'a=caf\u00e9',
    `a=${'x'.repeat(257)}`,
    `a=${'x'.repeat(200)},b=${'x'.repeat(200)},c=${'x'.repeat(200)}`,
    Array.from({ length: 33 }, (_, n) => `k${n}=1`).join(','),
  ])('that is not valid is left out, and the trace goes on: %j', (state) => {
    expect(handedOn(VALID, state)).toEqual({ traceparent: VALID });
  });
});
