import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { parseDurationMs, parseWindows, type QuotaWindow } from './windows.js';

const UNITS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
const DAYS_31_MS = 31 * UNITS.d;

/** A window as an operator may write it, and what it means. */
const written = fc
  .record({
    limit: fc.integer({ min: 1, max: 999_999_999 }),
    amount: fc.integer({ min: 1, max: 999_999_999 }),
    unit: fc.constantFrom('ms', 's', 'm', 'h', 'd'),
  })
  .filter(({ amount, unit }) => amount * UNITS[unit] <= DAYS_31_MS)
  .map(({ limit, amount, unit }) => ({
    text: `${limit}/${amount}${unit}`,
    meaning: { limit, periodMs: amount * UNITS[unit] } satisfies QuotaWindow,
  }));
const list = fc.array(written, { minLength: 1, maxLength: 6 });

describe('parseDurationMs', () => {
  it.each([
    ['1ms', 1],
    ['100ms', 100],
    ['30s', 30_000],
    ['1m', 60_000],
    ['90m', 5_400_000],
    ['1h', 3_600_000],
    ['1d', 86_400_000],
  ])('reads %s as %d ms', (text, ms) => {
    expect(parseDurationMs(text)).toBe(ms);
  });

  it.each([
    '',
    '1',
    'm',
    '0s',
    '-1s',
    '+1s',
    '01s',
    '1.5s',
    '1e3s',
    '1 s',
    ' 1s',
    '1s ',
    '1S',
    '1w',
    '1sm',
    '1s1s',
    '1000000000ms',
  ])('does not take %j for a duration', (text) => {
    expect(parseDurationMs(text)).toBeUndefined();
  });
});

describe('parseWindows', () => {
  it.each<[string, QuotaWindow[]]>([
    [
      '60/1m,2500/1d',
      [
        { limit: 60, periodMs: 60_000 },
        { limit: 2500, periodMs: 86_400_000 },
      ],
    ],
    [
      '1/100ms,120/1m,5000/1h',
      [
        { limit: 1, periodMs: 100 },
        { limit: 120, periodMs: 60_000 },
        { limit: 5000, periodMs: 3_600_000 },
      ],
    ],
    ['1/31d', [{ limit: 1, periodMs: DAYS_31_MS }]],
    [' 60/1m , 2500/1d ', [60, 2500].map((limit, i) => ({ limit, periodMs: i ? UNITS.d : UNITS.m }))],
    ['off', []],
    [' off ', []],
  ])('reads %j', (text, windows) => {
    expect(parseWindows(text)).toEqual(windows);
  });

  it.each([
    ['nothing', ''],
    ['blank', '  '],
    ['an empty entry', '60/1m,'],
    ['an empty entry between', '60/1m,,1/1s'],
    ['another separator', '60/1m;1/1s'],
    ['a limit of none', '0/1m'],
    ['a period of nothing', '60/0m'],
    ['a negative limit', '-1/1m'],
    ['a fraction', '1.5/1m'],
    ['no unit', '60/1'],
    ['no amount', '60/m'],
    ['no limit', '/1m'],
    ['no period', '60/'],
    ['one number', '60'],
    ['an unknown unit', '60/1w'],
    ['a unit in capitals', '60/1M'],
    ['space inside', '60 / 1m'],
    ['two periods', '60/1m/1h'],
    ['a leading zero', '060/1m'],
    ['OFF in capitals', 'OFF'],
    ['off among windows', 'off,60/1m'],
    ['a period over 31 days', '1/32d'],
    ['a period one ms over 31 days', `1/${DAYS_31_MS + 1}ms`],
    ['a limit of more than nine digits', '1000000000/1m'],
    ['one bad window among good ones', '60/1m,nonsense,2500/1d'],
  ])('refuses the whole text for %s', (_, text) => {
    expect(parseWindows(text)).toBeUndefined();
  });

  it('reads back exactly the windows that were written, in their order', () => {
    fc.assert(
      fc.property(list, (windows) => {
        expect(parseWindows(windows.map(({ text }) => text).join(','))).toEqual(
          windows.map(({ meaning }) => meaning),
        );
      }),
    );
  });

  it('refuses a list with anything in it that the grammar has no place for', () => {
    const foreign = fc.string({ unit: 'binary', minLength: 1 }).filter((s) => /[^\dmshdof/,\s]/u.test(s));
    fc.assert(
      fc.property(list, foreign, fc.nat(), (windows, noise, at) => {
        const text = windows.map((window) => window.text).join(',');
        const cut = at % (text.length + 1);
        expect(parseWindows(text.slice(0, cut) + noise + text.slice(cut))).toBeUndefined();
      }),
    );
  });

  it('never throws, and gives windows of whole positive numbers up to 31 days or nothing', () => {
    const nearby = fc.string({ unit: fc.constantFrom(...Array.from('0129msdh/, off\n')) });
    fc.assert(
      fc.property(fc.oneof(nearby, fc.string({ unit: 'binary' })), (text) => {
        for (const { limit, periodMs } of parseWindows(text) ?? []) {
          expect(Number.isSafeInteger(limit) && limit >= 1).toBe(true);
          expect(Number.isSafeInteger(periodMs) && periodMs >= 1 && periodMs <= DAYS_31_MS).toBe(true);
        }
      }),
      { numRuns: 1_000 },
    );
  });
});
