import { load } from './load.js';

/**
 * Starts every contestant and stops them all in the end. Those that are not loaded cost next to nothing.
 *
 * @template Result
 * @param {readonly import('./contestants.js').Contestant[]} contestants
 * @param {(entries: { contestant: object, running: object }[], missing: object[]) => Promise<Result>} use
 * @returns {Promise<Result>}
 */
export async function withAll(contestants, upstreamUrl, use) {
  const entries = [];
  const missing = [];
  try {
    for (const contestant of contestants) {
      const running = await contestant.start(upstreamUrl);
      if (running) entries.push({ contestant, running });
      else missing.push(contestant);
    }
    return await use(entries, missing);
  } finally {
    for (const { running } of entries) await running.stop();
  }
}

/** Rounds in turn, so that whatever else the machine does falls on all alike. Results by entry, in order of rounds. */
export async function inRounds(entries, rounds, measure) {
  const results = new Map(entries.map((entry) => [entry, []]));
  for (let round = 1; round <= rounds; round += 1) {
    for (const entry of entries) results.get(entry).push(await measure(entry, round));
  }
  return results;
}

/** So that what is measured was compiled before. */
export async function warmUp(entries, seconds) {
  for (const { running } of entries) await load(unique(running.target, 'warm-up'), seconds);
}

/** A target whose new keys are new in each round, too. */
export function unique(target, round) {
  return target.keysAreNew ? { ...target, idempotencyKey: `${target.idempotencyKey}-${round}` } : target;
}
