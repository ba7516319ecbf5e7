import { MESSAGES, PERIOD_MS, WRITE_LIMIT } from './setting.js';

/**
 * What a run came to, from what the upstream saw and what the contestant said.
 *
 * @param outcomes by content: 'done', 'failed', 'unknown', or 'cut' for what was not finished
 */
export function measure({ scenario, writes, outcomes, beganAtMs, endedAtMs }) {
  const executed = writes.filter((write) => write.executed);
  const firstAtMs = new Map();
  for (const { content, receivedAtMs } of executed) {
    if (!firstAtMs.has(content)) firstAtMs.set(content, receivedAtMs);
  }
  const count = (accepts) =>
    [...outcomes].filter(([content, said]) => accepts(said, firstAtMs.has(content))).length;
  const elapsedMs = endedAtMs - beganAtMs;
  return {
    deliveredInMs: Math.max(0, ...firstAtMs.values()) - beganAtMs,
    elapsedMs,
    isCut: [...outcomes.values()].includes('cut'),
    attempts: writes.length,
    delivered: firstAtMs.size,
    throttled: writes.filter(({ status }) => status === 409).length,
    duplicates: executed.length - firstAtMs.size,
    lost: count((said, isThere) => !isThere && said !== 'unknown'),
    unknown: count((said) => said === 'unknown'),
    unknownAndThere: count((said, isThere) => said === 'unknown' && isThere),
    misreported: count((said, isThere) => (said === 'failed' && isThere) || (said === 'done' && !isThere)),
    budgetShare: executed.length / allowed(elapsedMs, scenario),
  };
}

/** The most writes that the upstream's windows let through in that time. */
export function allowed(elapsedMs, { phaseMs }) {
  return WRITE_LIMIT * (1 + Math.floor((phaseMs + elapsedMs) / PERIOD_MS));
}

/** How soon the last message can be there, if calls took no time. */
export function soonestMs({ phaseMs }) {
  const windows = Math.ceil(MESSAGES / WRITE_LIMIT);
  return (windows - 1) * PERIOD_MS - phaseMs;
}
