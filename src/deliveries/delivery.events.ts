import { PassThrough, type Readable } from 'node:stream';
import type { Clock } from '../clock/clock.js';
import type { Interruption } from '../clock/interruption.js';
import { OneAtATime } from '../clock/one-at-a-time.js';
import type { Deliveries, StandingDelivery } from '../ledger/deliveries.js';
import { isOpen } from '../ledger/delivery.js';
import type { AppLogger } from '../observability/app-logger.js';
import { toRepresentation } from './delivery.representation.js';

/** Shorter than any proxy's time-out for a silent connection. */
const HEARTBEAT_EVERY_MS = 15_000;

/** What a stream of events needs to know of its surroundings. */
export interface EventsContext {
  readonly deliveries: Deliveries;
  readonly clock: Clock;
  readonly log: AppLogger;
  /** Nobody reads any more, or the process stops. */
  readonly over: Interruption;
}

/**
 * The states of a delivery as server-sent events (HTML Standard section 9.2), from the present one to the one in which
 * it is settled.
 */
export function eventsOf(present: StandingDelivery, context: EventsContext): Readable {
  const { deliveries, clock, log, over } = context;
  const { id, caller } = present.delivery;
  const stream = new PassThrough();
  let shown: string | undefined;
  let stopBeating: () => void = () => undefined;

  const end = (): void => {
    stopWatching();
    stopBeating();
    over.removeEventListener('abort', end);
    stream.end();
  };
  const show = (found: StandingDelivery): void => {
    const { state, attempts } = found.delivery;
    if (shown !== `${state} ${attempts}`) {
      stream.write(`event: state\ndata: ${JSON.stringify(toRepresentation(found))}\n\n`);
    }
    shown = `${state} ${attempts}`;
    if (!isOpen(found.delivery)) end();
  };
  const looking = new OneAtATime(async () => {
    const found = await deliveries.find(caller, id);
    if (stream.writableEnded) return;
    if (found === undefined) end();
    else show(found);
  });
  const beat = (): void => {
    stopBeating = clock.after(HEARTBEAT_EVERY_MS, () => {
      stream.write(':\n\n');
      beat();
    });
  };
  const look = (): void => {
    looking.run().catch((error: unknown) => {
      // Whoever follows it asks again, and begins with how it stands then.
      log.warn({ delivery: id, err: error }, 'A delivery cannot be followed any further');
      end();
    });
  };
  const stopWatching = deliveries.watch(id, look);
  over.addEventListener('abort', end);
  beat();
  if (over.aborted) end();
  else {
    show(present);
    // What happened since it was read, and before it was watched.
    if (isOpen(present.delivery)) look();
  }
  return stream;
}
