import { backOffMs, pause, problemIn, retryAfterMs } from './answers.js';
import type { ApiClient, Delivery, Problem } from './client.js';

/** The service does not tell about this delivery: it is not the caller's, say, or forgotten. */
export class NotTold extends Error {
  override readonly name = 'NotTold';

  constructor(readonly problem: Problem) {
    super(problem.detail);
  }
}

export interface FollowOptions {
  /** Ends the waiting, not the delivery. Without one it lasts as long as the delivery does. */
  readonly signal?: AbortSignal;
}

const SHORTEST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 30_000;

/**
 * Waits until a delivery is settled, by asking again when that is expected. Goes on where no answer comes: its
 * `outcome` is not null any more when this returns.
 *
 * @throws NotTold when the service refuses to tell
 * @throws the reason of `signal` when it is aborted
 */
export async function settled(
  client: ApiClient,
  id: string,
  { signal }: FollowOptions = {},
): Promise<Delivery> {
  for (let failures = 0; ;) {
    const told = await tell(async () => {
      const { data, error, response } = await client.GET('/v1/deliveries/{id}', {
        params: { path: { id } },
        ...(signal && { signal }),
      });
      return data ?? refusal(error, response);
    }, signal);
    if ('state' in told) {
      failures = 0;
      if (told.outcome !== null) return told;
      await pause(untilExpectedMs(told), signal);
    } else {
      failures += 1;
      await pause(told.retryAfterMs ?? backOffMs(failures), signal);
    }
  }
}

/**
 * Follows a delivery by its server-sent events: yields it as it stands now, and again with every change, until it is
 * settled. A connection that is cut is made anew.
 *
 * @throws what {@link settled} does
 */
export async function* follow(
  client: ApiClient,
  id: string,
  { signal }: FollowOptions = {},
): AsyncGenerator<Delivery, void, void> {
  for (let failures = 0; ; failures += 1) {
    const told = await tell(async () => {
      const { data, error, response } = await client.GET('/v1/deliveries/{id}/events', {
        params: { path: { id } },
        headers: { Accept: 'text/event-stream' },
        parseAs: 'stream',
        ...(signal && { signal }),
      });
      return data ? { events: deliveriesIn(data) } : refusal(error, response);
    }, signal);
    if ('events' in told) {
      try {
        for (;;) {
          const next = await tell(() => told.events.next(), signal);
          if (!('value' in next) || next.value === undefined) break;
          failures = 0;
          yield next.value;
          if (next.value.outcome !== null) return;
        }
      } finally {
        await told.events.return(undefined);
      }
    }
    const waitMs = 'retryAfterMs' in told ? told.retryAfterMs : undefined;
    await pause(waitMs ?? SHORTEST_PAUSE_MS + backOffMs(failures + 1), signal);
  }
}

/** The service tells nothing now, and may do so later. */
interface Silence {
  readonly retryAfterMs: number | undefined;
}

/** What is asked for, or that no answer came: whoever only asks can always ask again. */
async function tell<T>(ask: () => Promise<T>, signal: AbortSignal | undefined): Promise<T | Silence> {
  try {
    return await ask();
  } catch (failure) {
    signal?.throwIfAborted();
    if (failure instanceof NotTold) throw failure;
    return { retryAfterMs: undefined };
  }
}

/** @throws NotTold when asking again does not help */
function refusal(error: unknown, response: Response): Silence {
  const problem = problemIn(error, response);
  if (!problem.retryable && problem.status < 500) throw new NotTold(problem);
  return { retryAfterMs: retryAfterMs(response) };
}

/** By the clock here, which may be wrong: never long, and never at once. */
function untilExpectedMs({ estimatedAt }: Delivery): number {
  const expectedInMs = estimatedAt === undefined ? 0 : Date.parse(estimatedAt) - Date.now();
  return Math.min(LONGEST_PAUSE_MS, Math.max(SHORTEST_PAUSE_MS, expectedInMs));
}

/** The deliveries in a stream of server-sent events. The stream is ended when nobody wants more of them. */
async function* deliveriesIn(stream: ReadableStream<Uint8Array>): AsyncGenerator<Delivery, undefined, void> {
  const reader = stream.getReader();
  const decoder = new TextDecoder();
  let unread = '';
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const events = (unread + decoder.decode(value, { stream: true })).split(/\r?\n\r?\n/);
      unread = events.pop() ?? '';
      for (const event of events) {
        const data = /^data: ?(.*)$/m.exec(event)?.[1];
        if (data !== undefined) yield JSON.parse(data) as Delivery;
      }
    }
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}
