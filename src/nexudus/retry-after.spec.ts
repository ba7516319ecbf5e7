import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { parseRetryAfterMs } from './retry-after.js';

const NOW = Date.UTC(2025, 0, 15, 10, 30, 0);
const DAY_MS = 86_400_000;

describe('parseRetryAfterMs', () => {
  it.each<[string, string | string[] | undefined, number | undefined]>([
    ['seconds', '1', 1_000],
    ['no seconds', '0', 0],
    ['seconds with space around', ' 120 ', 120_000],
    ['leading zeros', '007', 7_000],
    ['the first of several', ['2', '5'], 2_000],
    ['a date', 'Wed, 15 Jan 2025 10:30:05 GMT', 5_000],
    ['a date of RFC 850', 'Wednesday, 15-Jan-25 10:30:05 GMT', 5_000],
    // Without a zone, and UTC all the same (RFC 9110 section 5.6.7): only a machine with another TZ can tell.
    ['a date of asctime', 'Wed Jan 15 10:30:05 2025', 5_000],
    ['a date that is over', 'Wed, 15 Jan 2025 10:29:00 GMT', 0],
    ['a day', '86400', DAY_MS],
    ['more than a day', '86401', DAY_MS],
    ['a typing error', '999999999999', DAY_MS],
    ['a date years ahead', 'Fri, 15 Jan 2100 10:30:00 GMT', DAY_MS],
    ['no header', undefined, undefined],
    ['an empty header', '', undefined],
    ['a blank header', '  ', undefined],
    ['no header in the list', [], undefined],
    ['a negative number', '-5', undefined],
    ['a signed number', '+5', undefined],
    ['a fraction', '1.5', undefined],
    ['a number with a unit', '5s', undefined],
    ['two numbers', '1, 2', undefined],
    ['a bare year', '2025', 2_025_000],
    ['an ISO date', '2025-01-15T10:30:05Z', undefined],
    ['words', 'soon', undefined],
    ['a day with nothing more', 'Wed', undefined],
    ['a day with a number', 'Mon 5', undefined],
    ['a word that begins like a day', 'Monkey 5', undefined],
  ])('reads %s', (_, value, ms) => {
    expect(parseRetryAfterMs(value, NOW)).toBe(ms);
  });

  it('agrees with the clock on every HTTP date of the coming day', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: DAY_MS / 1000 }), (seconds) => {
        expect(parseRetryAfterMs(new Date(NOW + seconds * 1000).toUTCString(), NOW)).toBe(seconds * 1000);
      }),
    );
  });

  it('never throws, and never asks for less than nothing or more than a day', () => {
    const text = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.nat().map(String),
      fc.date().map((date) => date.toUTCString()),
      fc.string().map((rest) => `Mon, ${rest}`),
    );
    fc.assert(
      fc.property(text, (value) => {
        const ms = parseRetryAfterMs(value, NOW);
        expect(ms === undefined || (ms >= 0 && ms <= DAY_MS)).toBe(true);
      }),
      { numRuns: 500 },
    );
  });
});
