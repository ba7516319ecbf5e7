import { HttpException } from '@nestjs/common';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { DatabaseUnavailable } from '../database/database.errors.js';
import {
  AccessDenied,
  type AccessDeniedReason,
  type FieldFault,
  MessageNotFound,
  MessageRejected,
  type NexudusError,
  OutcomeUnknown,
  QuotaExhausted,
  UpstreamUnavailable,
  WriteAbandoned,
} from '../nexudus/nexudus.errors.js';
import type { Outcome } from './problem.catalogue.js';
import { Problem, type ProblemError } from './problem.js';
import { toProblem } from './to-problem.js';

const REQUEST = { path: '/v1/chat-messages', id: 'req-1' };

interface Body {
  readonly status: number;
  readonly outcome: Outcome;
  readonly retryable: boolean;
  readonly errors?: ProblemError[];
}
const bodyOf = (failure: unknown, sent?: 'create' | 'replace'): Body =>
  toProblem(failure, sent).toBody('/problems/', REQUEST) as Body;

describe('a store that cannot be reached', () => {
  const failure = new DatabaseUnavailable(true);

  it('keeps the message from being sent, for the time being', () => {
    expect(toProblem(failure)).toMatchObject({
      slug: 'upstream-unavailable',
      outcome: 'not-sent',
      headers: { 'retry-after': '1' },
    });
  });

  it('says nothing about a message that was handed over before', () => {
    expect(bodyOf(failure, 'create')).toMatchObject({ status: 500, outcome: 'unknown', retryable: false });
    expect(bodyOf(failure, 'replace')).toMatchObject({ status: 500, outcome: 'unknown', retryable: true });
  });
});

describe('a failure of Nexudus', () => {
  const denied = (reason: AccessDeniedReason): AccessDenied => new AccessDenied(reason, 1_000);
  const rows: [string, NexudusError, slug: string, number, Outcome, retryable: boolean][] = [
    ['a refusal', new MessageRejected([]), 'validation-failed', 422, 'rejected', false],
    ['no such message', new MessageNotFound(), 'message-not-found', 404, 'rejected', false],
    ['no quota', new QuotaExhausted(1), 'quota-exhausted', 429, 'not-sent', true],
    [
      'no connection',
      new UpstreamUnavailable('no-connection', 1),
      'upstream-unavailable',
      503,
      'not-sent',
      true,
    ],
    ['no token', new UpstreamUnavailable('no-token', 1), 'upstream-unavailable', 503, 'not-sent', true],
    ['bad credentials', denied('invalid-credentials'), 'upstream-access-denied', 503, 'not-sent', true],
    ['two-factor', denied('two-factor'), 'upstream-access-denied', 503, 'not-sent', true],
    ['a forced reset', denied('password-reset'), 'upstream-access-denied', 503, 'not-sent', true],
    ['a missing role', denied('token-refused'), 'upstream-access-denied', 503, 'not-sent', true],
    ['the edge', denied('edge-blocked'), 'upstream-access-denied', 503, 'not-sent', true],
    ['the edge, of the token', denied('token-blocked'), 'upstream-access-denied', 503, 'not-sent', true],
    ['a caller that hung up', new WriteAbandoned(), 'shutting-down', 503, 'not-sent', true],
    ...[false, true].flatMap((repeatable): typeof rows => [
      [
        `a timeout, repeatable ${repeatable}`,
        new OutcomeUnknown('timeout', repeatable),
        'upstream-timeout',
        504,
        'unknown',
        repeatable,
      ],
      [
        `a lost connection, repeatable ${repeatable}`,
        new OutcomeUnknown('connection-lost', repeatable),
        'upstream-failure',
        502,
        'unknown',
        repeatable,
      ],
      [
        `a 5xx, repeatable ${repeatable}`,
        new OutcomeUnknown('server-error', repeatable),
        'upstream-failure',
        502,
        'unknown',
        repeatable,
      ],
      [
        `an unusable answer, repeatable ${repeatable}`,
        new OutcomeUnknown('unusable-answer', repeatable),
        'upstream-failure',
        502,
        'unknown',
        repeatable,
      ],
    ]),
  ];

  it.each(rows)('is told apart: %s', (_, failure, slug, status, outcome, retryable) => {
    for (const sent of ['create', 'replace', undefined] as const) {
      const problem = toProblem(failure, sent);
      expect(problem.slug).toBe(slug);
      expect(problem.toBody('https://docs.example/p/', REQUEST)).toMatchObject({
        type: `https://docs.example/p/${slug}`,
        status,
        outcome,
        retryable,
        detail: expect.stringMatching(/./),
        instance: REQUEST.path,
        requestId: REQUEST.id,
      });
    }
  });

  it.each(rows)('says with every 429 and 503 when to come again: %s', (_, failure, __, status) => {
    expect('retry-after' in toProblem(failure).headers).toBe(status === 429 || status === 503);
  });

  it.each([
    'invalid-credentials',
    'two-factor',
    'password-reset',
    'token-refused',
    'edge-blocked',
    'token-blocked',
  ] as const)('of the account says that an operator must act (%s)', (reason) => {
    expect(bodyOf(denied(reason))).toMatchObject({
      detail: expect.stringContaining('operator must act'),
    });
  });

  it.each([
    [0, '1'],
    [1, '1'],
    [1_000, '1'],
    [1_020, '1'],
    [1_021, '2'],
    [59_999.5, '60'],
    [86_400_000, '86400'],
  ])('rounds a wait of %d ms up to %s whole seconds', (ms, seconds) => {
    expect(toProblem(new QuotaExhausted(ms)).headers).toEqual({ 'retry-after': seconds });
    expect(toProblem(new UpstreamUnavailable('no-token', ms)).headers).toEqual({
      'retry-after': seconds,
    });
    expect(toProblem(new AccessDenied('two-factor', ms)).headers).toEqual({ 'retry-after': seconds });
  });

  it('asks to come again at most 20 ms too early, and less than a second too late', () => {
    const anyWait = fc.double({ min: 0, max: 1e9, noNaN: true });
    const nearAWholeSecond = fc
      .tuple(fc.integer({ min: 0, max: 1_000_000 }), fc.double({ min: 0, max: 25, noNaN: true }))
      .map(([seconds, overMs]) => seconds * 1000 + overMs);
    fc.assert(
      fc.property(fc.oneof(anyWait, nearAWholeSecond), (ms) => {
        const seconds = Number(toProblem(new QuotaExhausted(ms)).headers['retry-after']);
        expect(Number.isInteger(seconds) && seconds >= 1 && seconds * 1000 >= ms - 20).toBe(true);
        expect(seconds === 1 || (seconds - 1) * 1000 < ms - 20).toBe(true);
      }),
    );
  });

  it('shows nothing of the error behind it', () => {
    const cause = new Error('connect ECONNREFUSED canary.nexudus.com:443');
    const problem = toProblem(new UpstreamUnavailable('no-connection', 1_000, { cause }));
    expect(JSON.stringify(problem.toBody('/problems/', REQUEST))).not.toMatch(/canary|ECONN/);
  });
});

describe('any other failure', () => {
  it('is passed on where it is a problem already', () => {
    const problem = new Problem('forbidden', { detail: 'No.' });
    expect(toProblem(problem, 'create')).toBe(problem);
  });

  it.each([
    [400, 'malformed-request', 400],
    [404, 'not-found', 404],
    [408, 'malformed-request', 400],
    [413, 'payload-too-large', 413],
    [415, 'unsupported-media-type', 415],
    [431, 'malformed-request', 400],
    [500, 'internal-error', 500],
    [503, 'internal-error', 500],
  ])('of Nest or Fastify with status %d is %s', (given, slug, status) => {
    const failure = new HttpException('canary', given);
    expect(toProblem(failure).slug).toBe(slug);
    expect(bodyOf(failure)).toMatchObject({ status, outcome: 'not-sent', retryable: false });
    expect(JSON.stringify(bodyOf(failure))).not.toContain('canary');
  });

  const thrown: [string, unknown][] = [
    ['an error', new TypeError('canary')],
    ['a text', 'canary'],
    ['nothing', undefined],
    ['null', null],
    ['an object that looks like ours', { code: 'quota-exhausted', retryAfterMs: 1 }],
    ['a 5xx of Nest', new HttpException('canary', 500)],
  ];
  it.each(thrown)('is an internal error: %s', (_, failure) => {
    expect(bodyOf(failure)).toMatchObject({ status: 500, outcome: 'not-sent', retryable: false });
    expect(toProblem(failure).cause).toBe(failure);
    expect(JSON.stringify(bodyOf(failure))).not.toContain('canary');
  });

  it.each(thrown)('leaves the outcome unknown once the message was handed over: %s', (_, failure) => {
    expect(bodyOf(failure, 'create')).toMatchObject({ status: 500, outcome: 'unknown', retryable: false });
    // To replace it again does no harm.
    expect(bodyOf(failure, 'replace')).toMatchObject({ status: 500, outcome: 'unknown', retryable: true });
  });
});

describe('the errors of a refusal', () => {
  const translate = (...faults: FieldFault[]): ProblemError[] =>
    bodyOf(new MessageRejected(faults)).errors ?? [];
  const one = (propertyName: string | undefined, message = 'is wrong'): ProblemError | undefined =>
    translate({ propertyName, message })[0];

  it.each([
    ['BusinessId', '#/businessId'],
    ['Action', '#/action'],
    ['Content', '#/content'],
    ['UserId', '#/userId'],
    ['AiChannelSessionId', '#/sessionId'],
  ])('point at the property of the caller: %s is %s', (propertyName, pointer) => {
    expect(one(propertyName)).toEqual({ pointer, detail: 'is wrong' });
  });

  it('name the path for Id', () => {
    expect(one('Id')).toEqual({ parameter: 'id', detail: 'is wrong' });
  });

  it('point nowhere for a fault of the whole message', () => {
    expect(one(undefined)).toEqual({ detail: 'is wrong' });
  });

  it.each([
    'CoworkerMessageId',
    'businessId',
    'ID',
    'constructor',
    '__proto__',
    'toString',
    'hasOwnProperty',
  ])(
    'name a property that the caller does not have in the sentence, and point nowhere: %s',
    (propertyName) => {
      expect(one(propertyName)).toEqual({ detail: `${propertyName}: is wrong` });
    },
  );

  const NOT_FOR_CALLERS: [string, string][] = [
    ['a tag', '<p>is wrong'],
    ['a closing tag', 'is wrong</div>'],
    ['a tag in capitals', '<BR>'],
    ['a document', '<!DOCTYPE html>'],
    ['a comment', '<!-- secret -->'],
    ['an e-mail', 'ask admin@example.com'],
    ['a link', 'see https://internal.example/x'],
    ['a link without TLS', 'see HTTP://internal.example'],
    ['the host', 'at spaces.nexudus.com'],
    ['a stack frame', 'Object reference.\n   at Nexudus.Api.Save(Message m)'],
    [
      'a stack frame of Windows',
      'Object reference.\r\n   at Nexudus.Api.Save(Message m) in D:\\src\\Api.cs:line 12',
    ],
    [
      'a stack frame on the same line',
      'Object reference.   at Nexudus.Api.Save(Message m) in D:\\src\\Api.cs:line 12',
    ],
    ['a stack frame alone', 'at Nexudus.Api.Save(Message m)'],
  ];
  it.each(NOT_FOR_CALLERS)('never hold %s', (_, text) => {
    expect(one('Content', text)).toEqual({ pointer: '#/content', detail: 'was refused' });
    expect(one(undefined, text)).toEqual({ detail: 'was refused' });
    expect(JSON.stringify(one(text))).not.toContain(JSON.stringify(text).slice(1, -1));
  });

  it.each([
    'must be < 5',
    'is > 3 at most',
    'at least one of a and b',
    'look at 3 < x',
    'ist ungültig 😀',
    '',
  ])('keep an honest sentence: %j', (text) => {
    expect(one('Content', text)).toEqual({ pointer: '#/content', detail: text });
  });

  it('are of a bounded length', () => {
    expect(one('Content', 'x'.repeat(1e6))?.detail.length).toBeLessThanOrEqual(500);
    expect(one('x'.repeat(1e6), 'y'.repeat(1e6))?.detail.length).toBeLessThan(1_100);
  });

  const name = fc.oneof(
    fc.constantFrom(
      'BusinessId',
      'Content',
      'AiChannelSessionId',
      'Id',
      'constructor',
      '__proto__',
      undefined,
    ),
    fc.string({ unit: 'binary' }),
  );
  const fault = fc.record<FieldFault>({ propertyName: name, message: fc.string({ unit: 'binary' }) });

  it('are as many as the faults, in their order, with a pointer into the body or none', () => {
    const pointers = ['#/businessId', '#/action', '#/content', '#/userId', '#/sessionId', undefined];
    fc.assert(
      fc.property(fc.array(fault), (faults) => {
        const errors = translate(...faults);
        expect(errors).toEqual(faults.flatMap((each) => translate(each)));
        for (const [i, error] of errors.entries()) {
          expect(pointers).toContain(error.pointer);
          expect(error.parameter).toBe(faults[i]?.propertyName === 'Id' ? 'id' : undefined);
          expect(Object.keys(error).sort()).toEqual(
            Object.keys(error)
              .sort()
              .filter((key) => ['detail', 'parameter', 'pointer'].includes(key)),
          );
        }
        expect(errors).toHaveLength(faults.length);
      }),
    );
  });

  it('never let markup, an address or a stack frame through, whatever stands around it', () => {
    const inside = fc.constantFrom(
      '<b>',
      '</b>',
      '<!--',
      'a@b.example',
      'https://c',
      'http://c',
      '\n at D.e()',
      'api.nexudus.com',
    );
    fc.assert(
      fc.property(
        inside,
        fc.string(),
        fc.string(),
        fc.option(fc.string(), { nil: undefined }),
        (bad, before, after, other) => {
          const message = `${before} ${bad} ${after}`;
          const errors = translate(
            { propertyName: other, message },
            { propertyName: message, message: 'no' },
          );
          expect(errors.some(({ detail }) => detail.includes(bad))).toBe(false);
        },
      ),
    );
  });
});
