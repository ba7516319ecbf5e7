import type { components } from './schema.js';

type Problem = components['schemas']['Problem'];

const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 10_000;

/** Whether an answer's body is a problem of this service, and not what something on the way put there. */
export function isProblem(body: unknown): body is Problem {
  return (
    typeof body === 'object' && body !== null && 'outcome' in body && 'retryable' in body && 'type' in body
  );
}

/** @throws Error where something on the way answered, and not the service */
export function problemIn(error: unknown, { status, statusText }: Response): Problem {
  if (isProblem(error)) return error;
  throw new Error(`${status} ${statusText}, and not by the service`);
}

/** What `Retry-After` says, where it says something. */
export function retryAfterMs({ headers }: Response): number | undefined {
  const seconds = Number(headers.get('Retry-After') ?? NaN);
  return Number.isFinite(seconds) ? seconds * 1000 : undefined;
}

/** Exponential, with full jitter: many that failed together do not come back together. */
export function backOffMs(attempt: number): number {
  return Math.random() * Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (attempt - 1));
}

/** @throws the reason of `signal` when it is aborted */
export async function pause(ms: number, signal?: AbortSignal): Promise<void> {
  signal?.throwIfAborted();
  await new Promise<void>((resolve, reject) => {
    const timer = setTimeout(done, ms);
    signal?.addEventListener('abort', done);
    function done(): void {
      clearTimeout(timer);
      signal?.removeEventListener('abort', done);
      if (signal?.aborted) reject(signal.reason as Error);
      else resolve();
    }
  });
}
