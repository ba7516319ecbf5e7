import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { parsePreferWaitSeconds, prefersRespondAsync } from './prefer.js';

describe('the wait of a Prefer header', () => {
  it.each<[string, number]>([
    ['wait=1', 1],
    ['wait=10', 10],
    ['WAIT=10', 10],
    ['wait = 10', 10],
    [' wait=10 ', 10],
    ['wait="10"', 10],
    ['wait=010', 10],
    ['wait=10; foo=bar', 10],
    ['respond-async, wait=10', 10],
    ['respond-async;wait=5, wait=10', 10],
    ['wait=10, respond-async', 10],
    ['wait=10, wait=20', 10],
    ['foo="bar", wait=10', 10],
    ['return=minimal,wait=999999999', 999_999_999],
  ])('is read from %j', (header, seconds) => {
    expect(parsePreferWaitSeconds(header)).toBe(seconds);
  });

  it.each<[string, string | undefined]>([
    ['there is no header', undefined],
    ['the header is empty', ''],
    ['another thing is preferred', 'respond-async'],
    ['the name is another', 'await=10'],
    ['the name is longer', 'wait-for=10'],
    ['the name stands in a parameter', 'foo; wait=10'],
    ['there is no value', 'wait'],
    ['the value is empty', 'wait='],
    ['the value is an empty text', 'wait=""'],
    ['it is 0', 'wait=0'],
    ['it is 0 and comes first', 'wait=0, wait=10'],
    ['it is unreadable and comes first', 'wait=soon, wait=10'],
    ['it is negative', 'wait=-1'],
    ['it is a fraction', 'wait=1.5'],
    ['it is in another notation', 'wait=1e3'],
    ['it has a unit', 'wait=10s'],
    ['it is more than anybody waits', 'wait=99999999999999999999'],
    ['the quotation mark is not closed', 'wait="10'],
    ['the quotation mark is not opened', 'wait=10"'],
    ['it only stands in a quoted text', 'foo="a, wait=10"'],
    ['it is in digits of another script', 'wait=١٠'],
  ])('is ignored when %s', (_, header) => {
    expect(parsePreferWaitSeconds(header)).toBeUndefined();
  });

  it('is found wherever it stands among other preferences', () => {
    const other = fc.constantFrom('respond-async', 'return=minimal', 'handling="lenient"', 'foo; bar=1');
    fc.assert(
      fc.property(
        fc.array(other),
        fc.integer({ min: 1, max: 999_999_999 }),
        fc.array(other),
        (before, n, after) => {
          expect(parsePreferWaitSeconds([...before, `wait=${n}`, ...after].join(', '))).toBe(n);
        },
      ),
    );
  });

  it('is whole seconds of 1 or more, or nothing, whatever the header', () => {
    const text = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.string({ unit: fc.constantFrom(...Array.from('wait=019-.e",; ')) }),
    );
    fc.assert(
      fc.property(text, fc.boolean(), (noise, named) => {
        const seconds = parsePreferWaitSeconds(named ? `wait=${noise}` : noise);
        expect(seconds === undefined || (Number.isSafeInteger(seconds) && seconds >= 1)).toBe(true);
      }),
      { numRuns: 500 },
    );
  });
});

describe('the wish not to wait', () => {
  it.each([
    'respond-async',
    'Respond-Async',
    ' respond-async ',
    'respond-async, wait=10',
    'wait=10,respond-async',
    'respond-async; foo=bar',
    'respond-async=""',
    'respond-async=',
    'foo="a, b", respond-async',
  ])('is read from %j', (header) => {
    expect(prefersRespondAsync(header)).toBe(true);
  });

  it.each([
    undefined,
    '',
    'wait=10',
    'respond-asynchronously',
    'no-respond-async',
    'respond-async=1',
    'foo; respond-async',
    'foo="respond-async"',
    'foo="a, respond-async"',
    'respond-async, foo="',
  ])('is not in %j', (header) => {
    expect(prefersRespondAsync(header)).toBe(false);
  });
});
