import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { UnknownReason, Verdict } from './envelope.js';
import { MAX_FAILURES, backoffMs, decide, type Decision, type Situation } from './retry.policy.js';

type Failed = Exclude<Verdict, { kind: 'done' }>;

const FIRST: Omit<Situation, 'operation'> = {
  failures: 1,
  tokenRenewed: false,
  remainingMs: 25_000,
  minimumAttemptMs: 1_000,
  random: 0.5,
};
const REASONS: readonly UnknownReason[] = ['timeout', 'connection-lost', 'server-error', 'unusable-answer'];
const CAUSE = new Error('ECONNREFUSED');
const FAULTS = [{ propertyName: 'Action', message: 'is a required field' }];
const NOT_SENT: Failed = { kind: 'not-sent', cause: CAUSE };
const unknown = (reason: UnknownReason): Failed => ({ kind: 'unknown', reason });

/** What a decision is, in few words, so that a row fits on a line. */
function inShort(decision: Decision): string {
  switch (decision.action) {
    case 'retry':
      return `retry after ${decision.afterMs}`;
    case 'wait-for-turn':
    case 'renew-token':
    case 'refuse-account':
      return decision.action;
    case 'stop': {
      const { error } = decision;
      return 'reason' in error ? `stop: ${error.code}, ${error.reason}` : `stop: ${error.code}`;
    }
  }
}

describe('what follows a failed attempt', () => {
  const rows: [string, Failed, Partial<Situation>, create: string, replace: string][] = [
    ['no byte left', NOT_SENT, {}, 'retry after 200', 'retry after 200'],
    [
      'no byte left, the last time that is tried',
      NOT_SENT,
      { failures: MAX_FAILURES },
      'stop: upstream-unavailable, no-connection',
      'stop: upstream-unavailable, no-connection',
    ],
    [
      'no byte left, no time left',
      NOT_SENT,
      { remainingMs: 1_000 },
      'stop: upstream-unavailable, no-connection',
      'stop: upstream-unavailable, no-connection',
    ],
    ['throttled', { kind: 'throttled' }, {}, 'wait-for-turn', 'wait-for-turn'],
    [
      'throttled beyond the wait',
      { kind: 'throttled' },
      { remainingMs: 0 },
      'wait-for-turn',
      'wait-for-turn',
    ],
    [
      'throttled after many failures',
      { kind: 'throttled' },
      { failures: 99 },
      'wait-for-turn',
      'wait-for-turn',
    ],
    ['a first 401', { kind: 'unauthorized' }, {}, 'renew-token', 'renew-token'],
    ['a second 401', { kind: 'unauthorized' }, { tokenRenewed: true }, 'refuse-account', 'refuse-account'],
    [
      '403',
      { kind: 'forbidden' },
      {},
      'stop: access-denied, edge-blocked',
      'stop: access-denied, edge-blocked',
    ],
    [
      'a refusal',
      { kind: 'rejected', faults: FAULTS },
      {},
      'stop: message-rejected',
      'stop: message-rejected',
    ],
    ['no such message', { kind: 'not-found' }, {}, 'stop: message-not-found', 'stop: message-not-found'],
    ...REASONS.flatMap((reason): typeof rows => [
      [`unknown (${reason})`, unknown(reason), {}, `stop: outcome-unknown, ${reason}`, 'retry after 200'],
      [
        `unknown (${reason}) again`,
        unknown(reason),
        { failures: 2 },
        `stop: outcome-unknown, ${reason}`,
        'retry after 400',
      ],
      [
        `unknown (${reason}), the last time`,
        unknown(reason),
        { failures: MAX_FAILURES },
        `stop: outcome-unknown, ${reason}`,
        `stop: outcome-unknown, ${reason}`,
      ],
      [
        `unknown (${reason}), no time left`,
        unknown(reason),
        { remainingMs: 0 },
        `stop: outcome-unknown, ${reason}`,
        `stop: outcome-unknown, ${reason}`,
      ],
    ]),
  ];

  it.each(rows)('%s', (_, verdict, situation, create, replace) => {
    expect(inShort(decide(verdict, { ...FIRST, ...situation, operation: 'create' }))).toBe(create);
    expect(inShort(decide(verdict, { ...FIRST, ...situation, operation: 'replace' }))).toBe(replace);
  });

  it('tells the caller whether an unknown write can be repeated: a replace can, a create cannot', () => {
    for (const reason of REASONS) {
      const error = (operation: 'create' | 'replace'): unknown =>
        decide(unknown(reason), { ...FIRST, operation, remainingMs: 0 });
      expect(error('create')).toMatchObject({ action: 'stop', error: { reason, repeatable: false } });
      expect(error('replace')).toMatchObject({ action: 'stop', error: { reason, repeatable: true } });
    }
  });

  it('keeps the faults of a refusal, the cause of a lost connection, and a time to try again', () => {
    const situation = { ...FIRST, operation: 'create', remainingMs: 0 } as const;
    expect(decide({ kind: 'rejected', faults: FAULTS }, situation)).toMatchObject({
      error: { faults: FAULTS },
    });
    expect(decide(NOT_SENT, situation)).toMatchObject({ error: { cause: CAUSE, retryAfterMs: 5_000 } });
    expect(decide({ kind: 'forbidden' }, situation)).toMatchObject({ error: { retryAfterMs: 1_000 } });
  });
});

const verdict = fc.oneof(
  fc.constantFrom<Failed>(
    NOT_SENT,
    { kind: 'rejected', faults: [] },
    { kind: 'not-found' },
    { kind: 'throttled' },
    { kind: 'unauthorized' },
    { kind: 'forbidden' },
  ),
  fc.constantFrom(...REASONS).map(unknown),
);
const situation = fc.record<Situation>({
  operation: fc.constantFrom('create', 'replace'),
  failures: fc.integer({ min: 1, max: 20 }),
  tokenRenewed: fc.boolean(),
  remainingMs: fc.integer({ min: 0, max: 60_000 }),
  minimumAttemptMs: fc.integer({ min: 0, max: 1_000 }),
  random: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
});

describe('decide', () => {
  it('never sends a create again once it may have run, whatever the situation', () => {
    fc.assert(
      fc.property(fc.constantFrom(...REASONS), situation, (reason, given) => {
        const decision = decide(unknown(reason), { ...given, operation: 'create' });
        expect(decision).toMatchObject({
          action: 'stop',
          error: { code: 'outcome-unknown', repeatable: false },
        });
      }),
    );
  });

  it('never retries what does not fit in the wait, with the least that an attempt needs', () => {
    fc.assert(
      fc.property(verdict, situation, (failed, given) => {
        const decision = decide(failed, given);
        if (decision.action !== 'retry') return;
        expect(decision.afterMs + given.minimumAttemptMs).toBeLessThanOrEqual(given.remainingMs);
        expect(given.failures).toBeLessThan(MAX_FAILURES);
      }),
      { numRuns: 1_000 },
    );
  });

  it('retries up to the last millisecond that fits', () => {
    const given = { ...FIRST, operation: 'replace' } as const;
    expect(decide(NOT_SENT, { ...given, remainingMs: 1_200 })).toEqual({ action: 'retry', afterMs: 200 });
    expect(decide(NOT_SENT, { ...given, remainingMs: 1_199 }).action).toBe('stop');
  });

  it('never says that nothing was sent when a write may have run', () => {
    fc.assert(
      fc.property(fc.constantFrom(...REASONS), situation, (reason, given) => {
        const decision = decide(unknown(reason), given);
        if (decision.action === 'stop') expect(decision.error.code).toBe('outcome-unknown');
      }),
    );
  });

  it('renews the token for the first 401 alone', () => {
    fc.assert(
      fc.property(verdict, situation, (failed, given) => {
        const renews = failed.kind === 'unauthorized' && !given.tokenRenewed;
        expect(decide(failed, given).action === 'renew-token').toBe(renews);
      }),
    );
  });
});

describe('backoffMs', () => {
  it.each([
    [1, 0.5, 200],
    [2, 0.5, 400],
    [3, 0.5, 800],
    [4, 0.5, 1_600],
    [1, 0, 0],
    [4, 0, 0],
    [1, 0.25, 100],
  ])('after %d failures, with %d for luck, is %d ms', (failures, random, ms) => {
    expect(backoffMs(failures, random)).toBe(ms);
  });

  it('is capped after the jitter, so that it is spread as long as it can be', () => {
    // Capped before the jitter, half the luck would be half the cap.
    expect(backoffMs(10, 0.5)).toBe(5_000);
    expect(backoffMs(10, 0.01)).toBeCloseTo(2_048);
  });

  it('stays between nothing and five seconds, however long the failure lasts', () => {
    fc.assert(
      fc.property(
        fc.nat(),
        fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        (failures, random) => {
          const ms = backoffMs(failures, random);
          expect(ms >= 0 && ms <= 5_000).toBe(true);
        },
      ),
      { examples: [[2_000, 0]] },
    );
  });
});
