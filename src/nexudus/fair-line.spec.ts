import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { FairLine, type InLine } from './fair-line.js';

const anyone = (): boolean => true;

/** A line of these callers, in order of arrival. */
function lineOf(callers: string): { line: FairLine<InLine>; items: InLine[] } {
  const line = new FairLine<InLine>();
  const items = Array.from(callers, (caller, seq) => ({ caller, seq }));
  for (const item of items) line.add(item);
  return { line, items };
}

function takeAll(line: FairLine<InLine>): InLine[] {
  const taken: InLine[] = [];
  for (let item = line.take(anyone); item; item = line.take(anyone)) taken.push(item);
  return taken;
}

const names = (items: Iterable<InLine>): string =>
  [...items].map(({ caller, seq }) => `${caller}${seq}`).join(' ');

/** A line with a past: some came, some were served, some left. */
const storyArb = fc.array(
  fc.oneof(
    {
      weight: 3,
      arbitrary: fc.record({
        does: fc.constant('add' as const),
        caller: fc.constantFrom('a', 'b', 'c', 'd'),
      }),
    },
    { weight: 1, arbitrary: fc.record({ does: fc.constant('take' as const), caller: fc.constant('') }) },
    {
      weight: 1,
      arbitrary: fc.record({
        does: fc.constant('remove' as const),
        caller: fc.constantFrom('a', 'b', 'c', 'd'),
      }),
    },
  ),
  { maxLength: 40 },
);

function play(story: readonly { does: 'add' | 'take' | 'remove'; caller: string }[]): FairLine<InLine> {
  const line = new FairLine<InLine>();
  for (const [seq, { does, caller }] of story.entries()) {
    if (does === 'add') line.add({ caller, seq });
    else if (does === 'take') line.take(anyone);
    else {
      const own = [...line.inOrder()].filter((item) => item.caller === caller);
      const middle = own[own.length >> 1];
      if (middle) line.remove(middle);
    }
  }
  return line;
}

describe('FairLine', () => {
  it.each([
    ['nobody', '', ''],
    ['one caller, in order of arrival', 'aaa', 'a0 a1 a2'],
    ['one of each in every round', 'aaabbc', 'a0 b3 c5 a1 b4 a2'],
    ['a newcomer after one of each', 'aaaab', 'a0 b4 a1 a2 a3'],
  ])('serves %s', (_, callers, order) => {
    const { line } = lineOf(callers);
    expect(names(line.inOrder())).toBe(order);
    expect(names(takeAll(line))).toBe(order);
    expect(line.size).toBe(0);
  });

  it('puts one that comes back before those of its caller that came later', () => {
    const { line, items } = lineOf('aaab');
    const first = line.take(anyone);
    expect(first).toBe(items[0]);
    if (first) line.add(first);
    expect(names(takeAll(line))).toBe('b3 a0 a1 a2');
  });

  it('passes over who may not be served, and keeps its turn for it', () => {
    const { line } = lineOf('abcb');
    expect(line.take(({ caller }) => caller === 'c')?.caller).toBe('c');
    expect(line.take(({ caller }) => caller === 'b')?.seq).toBe(1);
    expect(names(takeAll(line))).toBe('a0 b3');
  });

  it('takes a later one of a caller whose first has to wait', () => {
    const { line } = lineOf('aab');
    expect(line.take(({ seq }) => seq > 0)?.seq).toBe(1);
    expect(names(line.inOrder())).toBe('b2 a0');
  });

  it('asks once for each caller whether it may draw, and for none of its messages if not', () => {
    const { line } = lineOf('aaaaab');
    const asked: string[] = [];
    const offered: string[] = [];
    const taken = line.take(
      ({ caller }) => offered.push(caller) > 0,
      (caller) => asked.push(caller) > 1,
    );
    expect(taken?.caller).toBe('b');
    expect(asked).toEqual(['a', 'b']);
    expect(offered).toEqual(['b']);
  });

  it('finds nobody where nobody may be served, and loses nobody by it', () => {
    const { line } = lineOf('ab');
    expect(line.take(() => false)).toBeUndefined();
    expect(line.size).toBe(2);
  });

  it('removes what is in it, once', () => {
    const { line, items } = lineOf('aab');
    const [first, second] = items as [InLine, InLine];
    expect(line.has(second)).toBe(true);
    expect(line.remove(second)).toBe(true);
    expect(line.has(second)).toBe(false);
    expect(line.remove(second)).toBe(false);
    expect(line.remove({ caller: 'a', seq: first.seq })).toBe(false);
    expect(line.remove({ caller: 'z', seq: 9 })).toBe(false);
    expect([line.size, line.sizeOf('a'), line.sizeOf('b'), line.sizeOf('z')]).toEqual([2, 1, 1, 0]);
  });

  it('says of any line in which order it will be served', () => {
    fc.assert(
      fc.property(storyArb, (story) => {
        const line = play(story);
        const size = line.size;
        const order = names(line.inOrder());
        expect(line.size).toBe(size);
        const taken = takeAll(line);
        expect(taken.length).toBe(size);
        expect(names(taken)).toBe(order);
      }),
      { seed: 1, numRuns: 1_000 },
    );
  });

  it('says of any line how many go before a newcomer', () => {
    fc.assert(
      fc.property(storyArb, fc.constantFrom('a', 'b', 'c', 'd', 'e'), (story, caller) => {
        const line = play(story);
        const ahead = line.ahead(caller);
        const newcomer = { caller, seq: 1_000 };
        line.add(newcomer);
        expect(takeAll(line).indexOf(newcomer)).toBe(ahead);
      }),
      { seed: 2, numRuns: 1_000 },
    );
  });
});
