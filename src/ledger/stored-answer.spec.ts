import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { KeptAnswer } from '../idempotency/idempotency.store.js';
import { withoutPersonal, withPersonal } from './stored-answer.js';

const answerOf = (body: string): KeptAnswer => ({
  status: 201,
  contentType: 'application/json',
  location: undefined,
  body,
  outcome: 'done',
  problem: undefined,
});
const bodyOf = (content: string): string =>
  JSON.stringify({ id: 1, businessId: 2, action: 'operator', content, userId: null, updatedAt: '2026' });

describe('an answer that is kept without what of it is personal', () => {
  it('comes again byte for byte, whatever that is', () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.string({ unit: 'binary' }), fc.constantFrom('operator', '2026', '')),
        (value) => {
          const answer = answerOf(bodyOf(value));
          const stored = withoutPersonal(answer, { member: 'content', value });
          expect(withPersonal(stored, value)).toEqual(answer);
        },
      ),
    );
  });

  it('does not hold it', () => {
    const value = 'canary 😀\u2028"\\';
    const stored = withoutPersonal(answerOf(bodyOf(value)), { member: 'content', value });
    expect(JSON.stringify(stored)).not.toContain('canary');
    expect(JSON.parse(withPersonal(stored, undefined).body)).toMatchObject({
      content: null,
      action: 'operator',
    });
  });

  it('cuts it out alone where something else is the same', () => {
    const stored = withoutPersonal(answerOf(bodyOf('operator')), { member: 'content', value: 'operator' });
    expect(JSON.parse(withPersonal(stored, undefined).body)).toMatchObject({
      content: null,
      action: 'operator',
    });
  });

  it.each(['{"detail":"no content here"}', 'no JSON', '', '[1]', '{"content": "spaced"}'])(
    'is kept as it is where nothing can be cut out: %s',
    (body) => {
      const stored = withoutPersonal(answerOf(body), { member: 'content', value: 'spaced' });
      expect(withPersonal(stored, 'other').body).toBe(body);
    },
  );
});
