import type { Verdict, WriteOperation } from './envelope.js';
import {
  AccessDenied,
  MessageNotFound,
  MessageRejected,
  OutcomeUnknown,
  UpstreamUnavailable,
  type NexudusError,
} from './nexudus.errors.js';

/** What the policy needs to know of the write so far: plain values, so that every row is a test without timers. */
export interface Situation {
  readonly operation: WriteOperation;
  /** How many attempts failed in a way that backs off, this one included; 1 after the first. */
  readonly failures: number;
  /** Whether a 401 has already been answered with a new token: by this write, or by another a short while ago. */
  readonly tokenRenewed: boolean;
  /** What is left of the caller's wait. */
  readonly remainingMs: number;
  /** No attempt begins with less than this left: a late answer makes an unknown. */
  readonly minimumAttemptMs: number;
  /** 0 up to but not 1. */
  readonly random: number;
}

/** What to do after an attempt that was not the last word. */
export type Decision =
  | { readonly action: 'retry'; readonly afterMs: number }
  /** Throttled: it is the pacer that says when, to this write as to all the others. */
  | { readonly action: 'wait-for-turn' }
  | { readonly action: 'renew-token' }
  /** A 401 to a fresh token: it is the account that is refused. */
  | { readonly action: 'refuse-account' }
  | { readonly action: 'stop'; readonly error: NexudusError };

/** Attempts of one write that may fail before it is given up, throttled ones not counted. */
export const MAX_FAILURES = 5;
/**
 * A block at the edge may be meant for us, or for this one message: the next call is simply tried. A second is the
 * least that `Retry-After` can say.
 */
const BLOCKED_FOR_MS = 1_000;
const BACKOFF_BASE_MS = 200;
const BACKOFF_CAP_MS = 5_000;
/**
 * Decides what follows a failed attempt, by one question: *could Nexudus have run it?*
 * Pure. A create is sent again only where it provably was not run.
 */
export function decide(verdict: Exclude<Verdict, { kind: 'done' }>, situation: Situation): Decision {
  switch (verdict.kind) {
    case 'rejected':
      return stop(new MessageRejected(verdict.faults));
    case 'not-found':
      return stop(new MessageNotFound());
    case 'forbidden':
      return stop(new AccessDenied('edge-blocked', BLOCKED_FOR_MS));
    case 'unauthorized':
      return { action: situation.tokenRenewed ? 'refuse-account' : 'renew-token' };
    case 'throttled':
      return { action: 'wait-for-turn' };
    case 'not-sent':
      return again(
        situation,
        new UpstreamUnavailable('no-connection', BACKOFF_CAP_MS, { cause: verdict.cause }),
      );
    case 'unknown': {
      const repeatable = situation.operation === 'replace';
      const error = new OutcomeUnknown(verdict.reason, repeatable);
      return repeatable ? again(situation, error) : stop(error);
    }
  }
}

/** Exponential back-off with full jitter, the cap applied after the jitter. */
export function backoffMs(failures: number, random: number, capMs = BACKOFF_CAP_MS): number {
  return Math.min(capMs, random * BACKOFF_BASE_MS * 2 ** Math.min(failures, 30));
}

function again(situation: Situation, error: NexudusError): Decision {
  const afterMs = backoffMs(situation.failures, situation.random);
  const fits = afterMs + situation.minimumAttemptMs <= situation.remainingMs;
  return situation.failures < MAX_FAILURES && fits ? { action: 'retry', afterMs } : stop(error);
}

function stop(error: NexudusError): Decision {
  return { action: 'stop', error };
}
