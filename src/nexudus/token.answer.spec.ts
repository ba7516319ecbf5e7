import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { readTokenAnswer, type TokenAnswer } from './token.answer.js';
import type { WireAnswer } from './wire.js';

const NOW = Date.UTC(2025, 0, 15);
const TOKENS = { access_token: 'a.b-c_d~1/+=', token_type: 'bearer', refresh_token: 'r-1' };

function answer(status: number, body: unknown, extra: Partial<WireAnswer> = {}): WireAnswer {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  return { kind: 'answer', status, headers: {}, body: text, cutOffBy: undefined, ...extra };
}
const read = (...args: Parameters<typeof answer>): TokenAnswer => readTokenAnswer(answer(...args), NOW);

describe('an issued token', () => {
  it.each([604_799, 86_400, 20_159, 1, 1.5])('lives as long as Nexudus says: %d s', (seconds) => {
    expect(read(200, { ...TOKENS, expires_in: seconds })).toEqual({
      kind: 'issued',
      accessToken: TOKENS.access_token,
      refreshToken: 'r-1',
      lifetimeMs: seconds * 1000,
    });
  });

  it('may have its lifetime written as a text', () => {
    expect(read(200, { ...TOKENS, expires_in: '86400' })).toMatchObject({
      kind: 'issued',
      lifetimeMs: 86_400_000,
    });
  });

  it.each([undefined, null, '', 7, {}])('is usable without a refresh token (%j)', (refresh_token) => {
    expect(read(200, { ...TOKENS, refresh_token, expires_in: 60 })).toMatchObject({
      kind: 'issued',
      refreshToken: undefined,
    });
  });

  it.each<[string, unknown]>([
    ['no access token', { ...TOKENS, access_token: undefined, expires_in: 60 }],
    ['an empty access token', { ...TOKENS, access_token: '', expires_in: 60 }],
    ['an access token that is no text', { ...TOKENS, access_token: 7, expires_in: 60 }],
    ['a line end in the access token', { ...TOKENS, access_token: 'a\r\nX-Evil: 1', expires_in: 60 }],
    ['a line end after the access token', { ...TOKENS, access_token: 'a\n', expires_in: 60 }],
    ['a space in the access token', { ...TOKENS, access_token: 'a b', expires_in: 60 }],
    ['a letter that no header can carry', { ...TOKENS, access_token: 'ä', expires_in: 60 }],
    ['an access token of megabytes', { ...TOKENS, access_token: 'a'.repeat(1e6), expires_in: 60 }],
    ['no lifetime', TOKENS],
    ['a lifetime of nothing', { ...TOKENS, expires_in: 0 }],
    ['a negative lifetime', { ...TOKENS, expires_in: -1 }],
    ['a lifetime of null', { ...TOKENS, expires_in: null }],
    ['a lifetime of true', { ...TOKENS, expires_in: true }],
    ['a lifetime in words', { ...TOKENS, expires_in: 'a week' }],
    ['an empty lifetime', { ...TOKENS, expires_in: '' }],
    ['an array', [TOKENS]],
    ['null', null],
    ['a text', JSON.stringify('token')],
    ['nothing', ''],
    ['HTML', '<html><body>Welcome</body></html>'],
    ['half an object', '{"access_token":"a","expires_in":60'],
    ['an error in spite of the 200', { error: 'invalid_grant' }],
  ])('is not made out of %s', (_, body) => {
    expect(read(200, body)).toEqual({
      kind: 'unavailable',
      retryAfterMs: undefined,
      detail: 'status 200 without a usable token',
    });
  });
});

describe('a refusal', () => {
  it.each([400, 401])('with status %d is known by its error code', (status) => {
    const reason = (error: string): TokenAnswer => read(status, { error, error_description: 'No.' });
    expect(reason('invalid_grant')).toEqual({ kind: 'refused', reason: 'invalid-grant' });
    expect(reason('two_factor_auth_check')).toEqual({ kind: 'refused', reason: 'two-factor' });
    expect(reason('must_reset_password')).toEqual({ kind: 'refused', reason: 'password-reset' });
    expect(reason('unsupported_grant_type')).toEqual({ kind: 'refused', reason: 'other' });
    expect(reason('')).toEqual({ kind: 'refused', reason: 'other' });
    expect(read(status, { Error: 'invalid_grant' })).toEqual({ kind: 'refused', reason: 'invalid-grant' });
  });

  it.each<[string, number, unknown]>([
    ['an empty 401', 401, ''],
    ['a 401 of HTML', 401, '<html>Unauthorized</html>'],
    ['a 401 of JSON without an error code', 401, { Message: 'Authorization has been denied.' }],
    ['an empty 400', 400, ' '],
    ['a 400 without an error code', 400, { message: 'no' }],
    ['a 400 with an error that is no text', 400, { error: 7 }],
    ['a 400 of a JSON text', 400, '"Bad request"'],
  ])('may say nothing of why: %s', (_, status, body) => {
    expect(read(status, body)).toEqual({ kind: 'refused', reason: 'unexplained' });
  });

  it.each(['constructor', 'toString', '__proto__', 'hasOwnProperty', 'valueOf'])(
    'with the error code %s is one of the unknown ones',
    (error) => {
      expect(read(400, JSON.stringify({ error }))).toEqual({ kind: 'refused', reason: 'other' });
    },
  );
});

describe('what says nothing about the grant', () => {
  it.each<[string, number, unknown]>([
    ['a 400 of HTML', 400, '<html>Bad Request</html>'],
    ['a 404', 404, '"Not found"'],
    ['a throttle (409)', 409, ''],
    ['a throttle (429)', 429, ''],
    ['a redirect', 302, ''],
    ['a 201', 201, { ...TOKENS, expires_in: 60 }],
    ['a 500', 500, { Message: 'An error has occurred.' }],
    ['a 500 with an error code', 500, { error: 'invalid_grant' }],
    ['a 502 of the edge', 502, '<html>Bad Gateway</html>'],
    ['a 503', 503, ''],
  ])('is %s: not a refusal', (_, status, body) => {
    expect(read(status, body)).toEqual({
      kind: 'unavailable',
      retryAfterMs: undefined,
      detail: `status ${status}`,
    });
  });

  it('is a truncated answer, even where what came is whole', () => {
    for (const body of [{ ...TOKENS, expires_in: 60 }, { error: 'invalid_grant' }]) {
      expect(read(400, body, { cutOffBy: 'connection' }).kind).toBe('unavailable');
      expect(read(401, body, { cutOffBy: 'connection' }).kind).toBe('unavailable');
      expect(read(200, body, { cutOffBy: 'connection' }).kind).toBe('unavailable');
    }
  });

  it.each(['not-sent', 'no-answer'] as const)('is no answer at all (%s)', (kind) => {
    for (const reason of ['timeout', 'connection'] as const) {
      const answered = readTokenAnswer({ kind, reason, cause: new Error('secret') }, NOW);
      expect(answered).toEqual({
        kind: 'unavailable',
        retryAfterMs: undefined,
        detail: `no answer (${reason})`,
      });
    }
  });

  it.each([409, 429, 503, 200])('says when to come again (status %d)', (status) => {
    const headers = { 'retry-after': '7' };
    expect(read(status, '', { headers })).toMatchObject({ kind: 'unavailable', retryAfterMs: 7_000 });
    expect(read(status, '', { headers, cutOffBy: 'connection' })).toMatchObject({ retryAfterMs: 7_000 });
  });
});

describe('a block', () => {
  it.each<[string, unknown, Partial<WireAnswer>]>([
    ['a page of the edge', '<html>Forbidden</html>', {}],
    ['a text', 'Forbidden', {}],
    ['an error code', { error: 'invalid_grant' }, {}],
    ['half a page', '<html>', { cutOffBy: 'connection' }],
  ])('is a 403 with %s: no refusal of the grant', (_, body, extra) => {
    expect(read(403, body, extra)).toEqual({ kind: 'blocked', retryAfterMs: undefined });
    expect(read(403, body, { ...extra, headers: { 'retry-after': '7' } })).toEqual({
      kind: 'blocked',
      retryAfterMs: 7_000,
    });
  });
});

describe('readTokenAnswer', () => {
  const field = fc.option(
    fc.oneof(fc.string(), fc.double(), fc.constantFrom('invalid_grant', 'constructor')),
  );
  const body = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.json(),
    fc
      .record(
        { access_token: field, refresh_token: field, expires_in: field, error: field },
        { requiredKeys: [] },
      )
      .map((value) => JSON.stringify(value)),
  );

  it('makes sense of any status and any body, and never issues what a header cannot carry', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(100, 200, 204, 302, 400, 401, 403, 429, 500),
        body,
        fc.boolean(),
        (status, text, complete) => {
          const told = read(status, text, { cutOffBy: complete ? undefined : 'connection' });
          switch (told.kind) {
            case 'issued':
              expect([status, complete]).toEqual([200, true]);
              expect(told.accessToken).toMatch(/^[!-~]+$/);
              expect(told.lifetimeMs).toBeGreaterThan(0);
              break;
            case 'refused':
              expect([400, 401]).toContain(status);
              expect(told.reason).toMatch(/^(invalid-grant|two-factor|password-reset|other|unexplained)$/);
              break;
            case 'blocked':
              expect(status).toBe(403);
              break;
            case 'unavailable':
              expect(told.detail).toMatch(/^status \d{3}( with a broken body| without a usable token)?$/);
          }
        },
      ),
      { numRuns: 1_000 },
    );
  });
});
