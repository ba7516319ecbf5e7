import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { parseIdempotencyKey } from './idempotency-key.js';

const visible = fc.string({
  unit: fc.integer({ min: 0x21, max: 0x7e }).map((code) => String.fromCharCode(code)),
  minLength: 1,
  maxLength: 255,
});
const quote = (key: string): string => `"${key.replace(/["\\]/g, '\\$&')}"`;

describe('an idempotency key', () => {
  it.each([
    ['"8e03978e-40d5-43dd-bc93-6894a57f9324"', '8e03978e-40d5-43dd-bc93-6894a57f9324'],
    ['8e03978e-40d5-43dd-bc93-6894a57f9324', '8e03978e-40d5-43dd-bc93-6894a57f9324'],
    ['"a"', 'a'],
    ['a', 'a'],
    ['"a\\"b\\\\c"', 'a"b\\c'],
    ['a"b', 'a"b'],
    ['a,b;c=d', 'a,b;c=d'],
    [`"${'x'.repeat(255)}"`, 'x'.repeat(255)],
  ])('is read from %s', (header, key) => {
    expect(parseIdempotencyKey(header)).toBe(key);
  });

  it.each([
    ['nothing', ''],
    ['an empty string', '""'],
    ['a quotation mark that is not closed', '"a'],
    ['a quotation mark that is not opened in front of a space', 'a "'],
    ['two strings', '"a", "b"'],
    ['two bare keys, as Node joins two headers', 'a, b'],
    ['a space inside', '"a b"'],
    ['a bare space', 'a b'],
    ['an escape that there is not', '"a\\n"'],
    ['a letter beyond ASCII', 'ä'],
    ['a control character', 'a\x7f'],
    ['256 characters', 'x'.repeat(256)],
    ['256 characters in quotes', `"${'x'.repeat(256)}"`],
    ['a string with something behind it', '"a"b'],
  ])('is not read from %s', (_, header) => {
    expect(parseIdempotencyKey(header)).toBeUndefined();
  });

  it('is the same in quotes and bare, whatever it is made of', () => {
    fc.assert(
      fc.property(visible, (key) => {
        expect(parseIdempotencyKey(quote(key))).toBe(key);
        if (!key.startsWith('"')) expect(parseIdempotencyKey(key)).toBe(key);
      }),
    );
  });

  it('is 1 to 255 visible ASCII characters or nothing, whatever the header', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.string({ unit: 'binary' }),
          visible.map((v) => `"${v}`),
        ),
        (header) => {
          const key = parseIdempotencyKey(header);
          expect(key === undefined || /^[\x21-\x7e]{1,255}$/.test(key)).toBe(true);
        },
      ),
      { numRuns: 500 },
    );
  });
});
