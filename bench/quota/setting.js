/** What every contestant is put before. One place, so that the report says what was run. */

export const MESSAGES = 300;
export const CALLERS = ['reception', 'community', 'billing'];

/** Nexudus' 60 writes and 120 calls a minute, in a tenth of the time. */
export const WRITE_LIMIT = 60;
export const PERIOD_MS = 6_000;
export const WRITE_LIMITS = `${WRITE_LIMIT}/6s`;
export const CALL_LIMITS = '120/6s';

/** A contestant that has not ended by then is cut off, and what it has left is lost. */
export const CUT_MS = 120_000;
/** How long one attempt may take, for everybody. */
export const ATTEMPT_TIMEOUT_MS = 10_000;

export const SEED = 20_261_122;
/** From the arrival of a call to its answer, drawn evenly. */
export const LATENCY_MS = { from: 30, to: 50 };

export const ACCOUNT = { username: 'service@example.com', password: 'sandbox-password' };

/**
 * @typedef {object} Scenario
 * @property {string} title
 * @property {'sliding' | 'fixed'} windowShape
 * @property {number} phaseMs how long the upstream's present window has been open when the messages are offered
 * @property {{ lost: number, failed: number }} faults shares of the writes, by order of arrival
 */

/** @type {readonly Scenario[]} */
export const SCENARIOS = [
  {
    title: 'Sliding windows',
    windowShape: 'sliding',
    phaseMs: 0,
    faults: { lost: 0, failed: 0 },
  },
  {
    title: 'Fixed windows, offered two thirds into one',
    windowShape: 'fixed',
    phaseMs: (PERIOD_MS * 2) / 3,
    faults: { lost: 0, failed: 0 },
  },
  {
    title: 'Sliding windows, 2 % of the answers lost, 1 % of the calls a 5xx',
    windowShape: 'sliding',
    phaseMs: 0,
    faults: { lost: 0.02, failed: 0.01 },
  },
];

/** Every content is unique: a second record with the same one is a duplicate. */
export const messages = Array.from({ length: MESSAGES }, (_, index) => ({
  caller: CALLERS[index % CALLERS.length],
  businessId: 1 + (index % CALLERS.length),
  content: `Message ${index + 1} of ${MESSAGES}`,
}));
