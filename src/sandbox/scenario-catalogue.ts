import { isObject } from './message-fields.js';
import { type Scenario, type ScenarioKind } from './scenario.js';

interface Entry {
  /** One line for a person. */
  readonly line: string;
  /** Fields that JSON must have, by type. */
  readonly needs?: Readonly<Record<string, 'number' | 'string'>>;
  /** Makes the scenario of a magic word; missing where a word cannot say enough. */
  readonly fromWord?: (argument: string | undefined) => Scenario;
}

const number = (argument: string | undefined, otherwise: number): number => {
  const value = Number.parseInt(argument ?? '', 10);
  return Number.isNaN(value) ? otherwise : value;
};

/** Every scenario: what it does, and how it is written as a magic word or as JSON. */
export const scenarioCatalogue: Readonly<Record<ScenarioKind, Entry>> = {
  throttle: {
    line: 'sandbox:throttle=2: 409 with Retry-After 2, the same content passes the next time',
    fromWord: (argument = '1') => ({ kind: 'throttle', retryAfter: argument }),
  },
  reject: { line: 'sandbox:reject: 400 with Errors', fromWord: () => ({ kind: 'reject' }) },
  'reject-in-200': {
    line: 'sandbox:reject-in-200: the same inside a 200',
    fromWord: () => ({ kind: 'reject-in-200' }),
  },
  'inner-status': {
    line: 'sandbox:inner-status=500: a 200 whose envelope says success and Status 500; not run',
    fromWord: (argument) => ({ kind: 'inner-status', status: number(argument, 500) }),
  },
  lost: { line: 'sandbox:lost: runs the write, never answers', fromWord: () => ({ kind: 'lost' }) },
  dropped: {
    line: 'sandbox:dropped: does not run it, ends the connection',
    fromWord: () => ({ kind: 'dropped' }),
  },
  truncated: {
    line: 'sandbox:truncated: runs, the answer ends too early',
    fromWord: () => ({ kind: 'truncated' }),
  },
  stalled: {
    line: 'sandbox:stalled: runs, half of the answer now, the rest at POST /sandbox/release',
    fromWord: () => ({ kind: 'stalled' }),
  },
  slow: {
    line: 'sandbox:slow=3000: runs, answers after 3000 ms',
    needs: { ms: 'number' },
    fromWord: (argument) => ({ kind: 'slow', ms: number(argument, 1000) }),
  },
  hold: {
    line: 'sandbox:hold: runs and answers at POST /sandbox/release',
    fromWord: () => ({ kind: 'hold' }),
  },
  hang: {
    line: 'sandbox:hang: runs now, answers at POST /sandbox/release',
    fromWord: () => ({ kind: 'hang' }),
  },
  html: {
    line: 'sandbox:html=502: a page of the edge; not run',
    fromWord: (argument) => ({ kind: 'html', status: number(argument, 502) }),
  },
  'error-500': {
    line: 'sandbox:error-500: {"Message":"An error has occurred."}; not run',
    fromWord: () => ({ kind: 'error-500' }),
  },
  empty: {
    line: 'sandbox:empty=200: a status and no body; runs with a 2xx',
    needs: { status: 'number' },
    fromWord: (argument) => ({ kind: 'empty', status: number(argument, 200) }),
  },
  'not-json': {
    line: 'sandbox:not-json: runs, a 200 with text',
    fromWord: () => ({ kind: 'not-json' }),
  },
  json: {
    line: 'JSON only: {"kind":"json","status":200,"body":[]}: any JSON value, verbatim; not run unless "executed":true',
    needs: { status: 'number' },
  },
  'too-large': {
    line: 'sandbox:too-large=2000000: runs, a valid answer of 2 MB',
    needs: { bytes: 'number' },
    fromWord: (argument) => ({ kind: 'too-large', bytes: number(argument, 2_000_000) }),
  },
  redirect: {
    line: 'sandbox:redirect=/elsewhere: 302; not run',
    needs: { location: 'string' },
    fromWord: (argument = '/elsewhere') => ({ kind: 'redirect', location: argument }),
  },
  'edge-403': {
    line: 'sandbox:edge-403: the 403 page of the firewall in front; not run',
    fromWord: () => ({ kind: 'edge-403' }),
  },
  forbidden: {
    line: 'sandbox:forbidden: 403 with the text Forbidden; not run',
    fromWord: () => ({ kind: 'forbidden' }),
  },
  'success-without-id': {
    line: 'sandbox:success-without-id: runs, a success without Value.Id',
    fromWord: () => ({ kind: 'success-without-id' }),
  },
  altered: {
    line: 'JSON only: {"kind":"altered","change":{"expires_in":"soon"},"remove":["token_type"]}: runs, the true answer changed',
  },
  bom: {
    line: 'sandbox:bom: runs, the true answer behind a byte order mark',
    fromWord: () => ({ kind: 'bom' }),
  },
  'token-error': {
    line: 'JSON only: {"kind":"token-error","error":"invalid_grant"}, with "on":"token"',
    needs: { error: 'string' },
  },
  'close-after-answer': {
    line: 'sandbox:close-after-answer: answers truly, then ends the kept-alive connection',
    fromWord: () => ({ kind: 'close-after-answer' }),
  },
  garbage: {
    line: 'sandbox:garbage: runs, answers with bytes that are not HTTP',
    fromWord: () => ({ kind: 'garbage' }),
  },
};

/** Finds the first `sandbox:KIND` or `sandbox:KIND=ARG` in a text; words that are none are ignored. */
export function scenarioInText(text: string): Scenario | undefined {
  for (const [, kind = '', argument] of text.matchAll(/sandbox:([a-z0-9-]+)(?:=(\S+))?/g)) {
    if (isKind(kind)) {
      const scenario = scenarioCatalogue[kind].fromWord?.(argument);
      if (scenario !== undefined) return scenario;
    }
  }
  return undefined;
}

/** Reads a scenario that a person sent as JSON; throws what is wrong with it. */
export function readScenario(value: unknown): Scenario {
  if (!isObject(value) || typeof value['kind'] !== 'string' || !isKind(value['kind'])) {
    throw new Error('"scenario" needs a "kind" that GET /sandbox lists');
  }
  for (const [field, type] of Object.entries(scenarioCatalogue[value['kind']].needs ?? {})) {
    if (typeof value[field] !== type) throw new Error(`"scenario.${field}" must be a ${type}`);
  }
  return value as Scenario;
}

function isKind(kind: string): kind is ScenarioKind {
  return Object.hasOwn(scenarioCatalogue, kind);
}
