import { isoDate } from '../clock/iso-date.js';
import type { StandingDelivery } from '../ledger/deliveries.js';
import type { DeliveryState } from '../ledger/delivery.js';

/** What became of the message, where that is decided. */
const OUTCOMES: Readonly<Record<DeliveryState, 'done' | 'rejected' | 'unknown' | 'not-sent' | null>> = {
  accepted: null,
  sending: null,
  done: 'done',
  rejected: 'rejected',
  unknown: 'unknown',
  expired: 'not-sent',
  cancelled: 'not-sent',
};

/** A delivery as its caller gets it. */
export function toRepresentation({ delivery, standing, answer }: StandingDelivery): object {
  const { id, operation, state, attempts, acceptedAtMs, expiresAtMs, settledAtMs, readAtMs } = delivery;
  const result = answer && (JSON.parse(answer.body) as object);
  return {
    id,
    operation,
    state,
    outcome: OUTCOMES[state],
    attempts,
    ...(standing && {
      position: standing.position,
      estimatedAt: isoDate(readAtMs + standing.estimatedInMs),
    }),
    expiresAt: isoDate(expiresAtMs ?? acceptedAtMs),
    acceptedAt: isoDate(acceptedAtMs),
    ...(settledAtMs !== undefined && { settledAt: isoDate(settledAtMs) }),
    ...(result && (answer.problem === undefined ? { message: result } : { problem: result })),
  };
}
