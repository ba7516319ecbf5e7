/** What every run is put before. One place, so that the report says what was run. */

export const REPLICAS = [1, 2, 4];
/** How many replicas stand before a backlog. */
export const BACKLOG_REPLICAS = 2;
/** Requests under way at once, over all replicas; the quiet figures are of one. */
export const CONNECTIONS = 32;
export const CALLERS = 8;
/** Of those that write to sessions: messages of one are sent one after the other. */
export const SESSIONS = 1_000;

/** Nothing more is sent: what is accepted stays. */
export const CLOSED = '1/1h';
export const OPEN = 'off';
/** A week: what is accepted while the windows are closed would wait long. */
export const DELIVERY_TTL_S = 604_800;
/** Above anything that is put there. */
export const BACKLOG_LIMIT = 10_000_000;

export const ACCOUNT = { username: 'service@example.com', password: 'bench-password' };
export const LEDGER_KEY_ID = 'bench';

/** Seconds of a load and of the drain, deliveries for the drain, and what stands behind the last runs. */
export const FULL = {
  warmUpS: 1,
  loadS: 3,
  drainS: 8,
  deliveries: 2_000,
  settled: 900_000,
  waiting: 100_000,
};
export const QUICK = { warmUpS: 0.5, loadS: 1, drainS: 3, deliveries: 200, settled: 9_000, waiting: 1_000 };

/** About 200 bytes; every content is unique: a second record with the same one is a duplicate. */
export function message(name) {
  return {
    businessId: 1,
    content: `Good morning! The meeting room on the second floor is ready for you from nine, coffee is in the kitchen next to it. (${name})`,
    userId: 77,
  };
}
