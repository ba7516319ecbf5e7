import { LATENCY_MS, SEED } from './setting.js';

/**
 * What becomes of the writes, in order of arrival, as the fake's scenarios. A write that the windows refuse uses one
 * up, too, but never runs.
 */
export function* fates({ lost, failed }) {
  const random = mulberry32(SEED);
  for (;;) {
    // Two draws each, so that the latencies are the same with faults and without.
    const [luck, share] = [random(), random()];
    if (luck < lost) yield { kind: 'lost', reset: true };
    // A 504 hides a finished write, a 500 does not: nobody can tell from outside.
    else if (luck < lost + failed / 2) yield { kind: 'html', status: 504, executed: true };
    else if (luck < lost + failed) yield { kind: 'error-500' };
    else yield { kind: 'slow', ms: Math.round(LATENCY_MS.from + share * (LATENCY_MS.to - LATENCY_MS.from)) };
  }
}

/** How many of the first writes lose their answer, and how many get a 5xx. */
export function countFaults(faults, writes) {
  const count = { lost: 0, failed: 0 };
  const drawn = fates(faults);
  for (let write = 0; write < writes; write += 1) {
    const { kind } = drawn.next().value;
    if (kind === 'lost') count.lost += 1;
    else if (kind !== 'slow') count.failed += 1;
  }
  return count;
}

/** A small seeded generator: 0 up to but not 1. */
function mulberry32(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
