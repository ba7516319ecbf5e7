import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { Redactor } from './redactor.js';

const line = (fields: object): string => `${JSON.stringify(fields)}\n`;

describe('a secret that is held', () => {
  it('is taken out of every string of a JSON text, whatever it is made of, and the text stays JSON', () => {
    fc.assert(
      fc.property(
        fc.string({ minLength: 4, unit: 'binary' }),
        fc.string(),
        fc.integer(),
        (secret, around, count) => {
          const redactor = new Redactor();
          redactor.hold(secret);
          const clean = redactor.redactJson(
            line({ message: `${around}${secret}${around}`, deep: [{ detail: secret }], count }),
          );
          const { message, deep, count: left } = JSON.parse(clean) as Record<string, unknown>;
          // What stands around it may itself be made of the word for it.
          if (!'[redacted]'.includes(secret)) expect(message).not.toContain(secret);
          expect(deep).toEqual([{ detail: '[redacted]' }]);
          expect(left).toBe(count);
          expect(clean.endsWith('}\n')).toBe(true);
        },
      ),
    );
  });

  it('leaves the numbers alone that look like it', () => {
    const redactor = new Redactor();
    redactor.hold('1234');
    expect(redactor.redactJson('{"durationMs":1234.5,"detail":"1234"}')).toBe(
      '{"durationMs":1234.5,"detail":"[redacted]"}',
    );
  });

  it.each([
    ['p&ss w/rd', 'password of p%26ss+w%2Frd'],
    ['p&ss w/rd', 'password of p%26ss%20w%2Frd'],
  ])('is known as a form encodes it: %s in %s', (secret, text) => {
    const redactor = new Redactor();
    redactor.hold(secret);
    expect(redactor.redact(text)).toBe('password of [redacted]');
  });

  it('leaves nothing behind where another one begins like it', () => {
    const redactor = new Redactor();
    redactor.hold('abcd', 'abcd-efgh');
    expect(redactor.redact('abcd-efgh')).toBe('[redacted]');
  });

  it('is forgotten when the last who holds it lets go', () => {
    const redactor = new Redactor();
    const releases = [redactor.hold('the secret'), redactor.hold('the secret')];
    releases[0]?.();
    releases[0]?.();
    expect(redactor.redact('the secret')).toBe('[redacted]');
    releases[1]?.();
    expect(redactor.redact('the secret')).toBe('the secret');
  });

  it('is one of at most 256, the newest', () => {
    const redactor = new Redactor();
    const values = Array.from({ length: 300 }, (_, n) => `value-${n}-`);
    for (const value of values) redactor.hold(value);
    expect(values.filter((value) => redactor.redact(value) === '[redacted]')).toEqual(values.slice(-256));
  });

  it('of ours is not pushed out by those of callers, however many they are', () => {
    const redactor = new Redactor();
    redactor.hold('the secret');
    for (let n = 0; n < 1_000; n += 1) redactor.holdForeign(`key-${n}-`);
    expect(redactor.redact('the secret, key-0-, key-999-')).toBe('[redacted], [redacted], key-999-');
  });

  it('of less than four characters is not looked for: it stands in too many words', () => {
    const redactor = new Redactor();
    redactor.hold('abc', '', undefined);
    expect(redactor.redact('abc abcd')).toBe('abc abcd');
  });
});

describe('what looks like a secret', () => {
  const JWT = 'eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl';
  it.each([
    ['authorization: Bearer abcdefgh.123', 'authorization: Bearer [redacted]'],
    [`token ${JWT} refused`, 'token [redacted] refused'],
    ['grant_type=password&password=hunter2&x=1', 'grant_type=password&password=[redacted]&x=1'],
    ['refresh_token=abc%2Fdef', 'refresh_token=[redacted]'],
  ])('is taken out, whoever it belongs to: %s', (text, clean) => {
    expect(new Redactor().redact(text)).toBe(clean);
    expect(new Redactor().redactJson(line({ text }))).toBe(line({ text: clean }));
  });

  it.each(['authorization', 'Authorization', 'password', 'refresh_token', 'cookie'])(
    'by the name of its field is taken out, however deep: %s',
    (name) => {
      const text = line({ request: { headers: [{ [name]: 'something' }] } });
      expect(new Redactor().redactJson(text)).not.toContain('something');
    },
  );

  it.each([
    'A valid credential is needed: "Authorization: Bearer ...".',
    'set a new password at Nexudus, and put it into the credentials',
  ])('to a machine only is left alone: %s', (text) => {
    expect(new Redactor().redactJson(line({ text }))).toBe(line({ text }));
  });
});
