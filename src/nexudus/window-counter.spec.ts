import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { WindowCounter } from './window-counter.js';

/** 10 s, 5 ms for the drift of the clocks, 1 ms for their grain. */
const HOLD_MS = 10_006;

/** A call that began and was answered at once. */
function call(counter: WindowCounter, atMs: number, caller?: string): void {
  counter.begin(atMs, caller);
  counter.end(atMs, atMs, true, 0, caller);
}

function counterOf(limit: number, callsAtMs: readonly number[] = []): WindowCounter {
  const counter = new WindowCounter({ limit, periodMs: 10_000 });
  for (const atMs of callsAtMs) call(counter, atMs);
  return counter;
}

describe('WindowCounter', () => {
  it('counts a call from its beginning', () => {
    const counter = counterOf(2);
    counter.begin(0);
    expect([counter.used(0), counter.room(0)]).toEqual([1, 1]);
    expect(counter.used(1e9)).toBe(1);
  });

  it('counts it until its period after its answer has passed, and the margin of the clocks', () => {
    const counter = counterOf(2);
    counter.begin(0);
    counter.end(3_000, 0, true, 0);
    expect(counter.used(3_000 + HOLD_MS - 0.01)).toBe(1);
    expect(counter.used(3_000 + HOLD_MS)).toBe(0);
  });

  it('counts longer what was given up, and not at all what was not sent', () => {
    const counter = counterOf(3);
    counter.begin(0);
    counter.begin(0);
    counter.end(0, 0, true, 1_000);
    counter.end(0, 0, false, 0);
    expect(counter.used(0)).toBe(1);
    expect(counter.used(999 + HOLD_MS)).toBe(1);
    expect(counter.used(1_000 + HOLD_MS)).toBe(0);
  });

  it('holds an answer that follows a lost one as long as that', () => {
    const counter = counterOf(3);
    counter.begin(0);
    counter.begin(0);
    counter.end(0, 0, true, 1_000);
    counter.end(100, 0, true, 0);
    expect(counter.used(999 + HOLD_MS)).toBe(2);
    expect(counter.used(1_000 + HOLD_MS)).toBe(0);
  });

  it('knows whose the calls are, until they stop counting', () => {
    const counter = counterOf(5);
    call(counter, 0, 'a');
    call(counter, 10, 'a');
    counter.begin(20, 'b');
    counter.begin(20, 'c');
    counter.end(20, 20, false, 0, 'c');
    const of = (atMs: number): number[] => ['a', 'b', 'c'].map((caller) => counter.usedBy(caller, atMs));
    expect(of(20)).toEqual([2, 1, 0]);
    expect(of(HOLD_MS)).toEqual([1, 1, 0]);
    expect(of(HOLD_MS + 10)).toEqual([0, 1, 0]);
  });

  it.each<[string, number, number[], number, number, number]>([
    ['at once where nothing counts', 3, [], 0, 5, 5],
    ['at once up to the limit', 3, [0], 1, 5, 5],
    ['when the first stops counting', 3, [0], 2, 5, HOLD_MS],
    ['when the second stops counting', 3, [0, 50, 60], 1, 70, 50 + HOLD_MS],
    ['at once exactly at the end of the first', 2, [0, 50], 0, HOLD_MS, HOLD_MS],
    ['a round later behind as many as the limit', 2, [0, 50], 2, 70, HOLD_MS + 100 + HOLD_MS],
    ['a round later behind them where all is free', 2, [], 3, 7, 7 + 100 + HOLD_MS],
  ])('has room %s', (_, limit, callsAtMs, ahead, nowMs, roomAtMs) => {
    expect(counterOf(limit, callsAtMs).roomAtMs(ahead, nowMs, 100)).toBe(roomAtMs);
  });

  it('takes what is under way to end after the usual time, and now if that is over', () => {
    const counter = counterOf(1);
    counter.begin(0);
    expect(counter.roomAtMs(0, 40, 100)).toBe(100 + HOLD_MS);
    expect(counter.roomAtMs(0, 400, 100)).toBe(400 + HOLD_MS);
    expect(counter.nextReleaseAtMs(40)).toBeUndefined();
  });

  it('shrinks to nine tenths of what was used, by a quarter at most, and to one at least', () => {
    const full = counterOf(
      100,
      Array.from({ length: 90 }, () => 0),
    );
    full.shrink(1);
    expect([full.assumedLimit, full.room(1)]).toEqual([81, 0]);
    const idle = counterOf(100);
    idle.shrink(1);
    expect(idle.assumedLimit).toBe(75);
    const least = counterOf(2);
    for (let time = 0; time < 5; time += 1) least.shrink(1);
    expect(least.assumedLimit).toBe(1);
  });

  it('has room again under a shrunken limit only when enough have stopped counting', () => {
    const counter = counterOf(10, [0, 1, 2, 3, 4, 5, 6, 7]);
    counter.shrink(10);
    expect(counter.assumedLimit).toBe(7);
    expect(counter.nextReleaseAtMs(10)).toBe(1 + HOLD_MS);
    expect(counter.roomAtMs(0, 10, 100)).toBe(1 + HOLD_MS);
    expect(counter.room(HOLD_MS)).toBe(0);
    expect(counter.room(1 + HOLD_MS)).toBe(1);
  });

  it('grows back after a period without growth, in ten steps a period, up to the limit and not beyond', () => {
    const counter = counterOf(100);
    counter.shrink(0);
    const grown = [9_999, 10_000, 10_001, 11_000, 13_500, 14_000, 60_000, 60_001].map((atMs) => [
      counter.growBack(atMs),
      counter.assumedLimit,
    ]);
    expect(grown).toEqual([
      [false, 75],
      [true, 77],
      [false, 77],
      [true, 79],
      [true, 83],
      [true, 85],
      [true, 100],
      [false, 100],
    ]);
  });

  it('says when time alone brings room: by an end, or by growing', () => {
    const counter = counterOf(4, [0, 0, 0, 0]);
    expect(counter.nextRoomAtMs(500)).toBe(HOLD_MS);
    counter.shrink(500);
    expect(counter.nextRoomAtMs(500)).toBe(HOLD_MS);
    counter.begin(600);
    expect(counterOf(1).nextRoomAtMs(0)).toBeUndefined();
    const shrunken = counterOf(4);
    for (let time = 0; time < 4; time += 1) shrunken.begin(0);
    shrunken.shrink(500);
    expect(shrunken.nextRoomAtMs(500)).toBe(10_500);
  });

  it('keeps its order when the ring grows in the middle of a round', () => {
    const counter = new WindowCounter({ limit: 1_000, periodMs: 10_000 });
    for (let atMs = 0; atMs < 60; atMs += 1) call(counter, atMs, `caller ${atMs}`);
    expect(counter.used(HOLD_MS + 39)).toBe(20);
    for (let more = 0; more < 300; more += 1) call(counter, 11_000 + more, 'later');
    expect(counter.used(11_300)).toBe(300);
    expect(counter.usedBy('later', 11_300)).toBe(300);
    expect(counter.roomAtMs(700 + 99, 11_300, 0)).toBe(11_099 + HOLD_MS);
  });

  const storyArb = fc.record({
    limit: fc.integer({ min: 1, max: 150 }),
    steps: fc.array(
      fc.record({
        does: fc.constantFrom('begin', 'begin', 'answer', 'answer', 'not sent', 'shrink', 'nothing'),
        which: fc.nat(200),
        afterMs: fc.constantFrom(0, 0, 1, 90, 1_000, 4_000),
        times: fc.integer({ min: 1, max: 40 }),
      }),
      { maxLength: 30 },
    ),
    ahead: fc.nat(400),
    latencyMs: fc.constantFrom(0, 100, 3_000),
  });

  it('agrees with a list of all calls, however they began and ended', () => {
    fc.assert(
      fc.property(storyArb, ({ limit, steps, ahead, latencyMs }) => {
        const counter = counterOf(limit);
        const underWay: number[] = [];
        const freeAtMs: number[] = [];
        let nowMs = 0;
        for (const { does, which, afterMs, times } of steps) {
          nowMs += afterMs;
          for (let time = 0; time < times; time += 1) {
            if (does === 'begin' && counter.room(nowMs) > 0) {
              underWay.push(nowMs);
              counter.begin(nowMs);
            } else if (does === 'shrink') {
              counter.shrink(nowMs);
              break;
            } else if (underWay.length > 0 && (does === 'answer' || does === 'not sent')) {
              const [begunAtMs = 0] = underWay.splice(which % underWay.length, 1);
              counter.end(nowMs, begunAtMs, does === 'answer', 0);
              if (does === 'answer') freeAtMs.push(nowMs + HOLD_MS);
            }
          }
          const counting = freeAtMs.filter((atMs) => atMs > nowMs).length + underWay.length;
          expect(counter.used(nowMs)).toBe(counting);
          expect(counter.room(nowMs)).toBe(Math.max(0, counter.assumedLimit - counting));
        }
        // One after the other begins as soon as fewer than the limit count.
        const ends = [
          ...freeAtMs.filter((atMs) => atMs > nowMs),
          ...underWay.map((atMs) => Math.max(nowMs, atMs + latencyMs) + HOLD_MS),
        ];
        let beginsAtMs = nowMs;
        for (let place = 0; place <= ahead; place += 1) {
          ends.sort((a, b) => a - b);
          const tooMany = ends.length - counter.assumedLimit;
          if (tooMany >= 0) beginsAtMs = Math.max(beginsAtMs, ...ends.splice(0, tooMany + 1));
          ends.push(beginsAtMs + latencyMs + HOLD_MS);
        }
        expect(counter.roomAtMs(ahead, nowMs, latencyMs)).toBeCloseTo(beginsAtMs, 6);
      }),
      { seed: 3, numRuns: 1_000 },
    );
  });
});
