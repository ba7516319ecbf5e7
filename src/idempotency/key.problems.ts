import { Problem } from '../problem-details/problem.js';

/** The first request may end at any moment. */
const TRY_AGAIN_MS = 1_000;

/** The first request with this key has no answer yet. */
export function keyInUse(): Problem {
  return new Problem('idempotency-key-in-use', {
    detail: 'A request with this Idempotency-Key is still running: its answer is not known yet.',
    retryAfterMs: TRY_AGAIN_MS,
  });
}

/** The first request with this key had another body. */
export function keyReused(): Problem {
  return new Problem('idempotency-key-reused', {
    detail: 'This Idempotency-Key was used with another body.',
  });
}
