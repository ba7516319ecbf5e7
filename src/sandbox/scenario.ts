import { type FieldError } from './answers.js';

/**
 * What the fake does to a call instead of telling the truth. "Runs" means: the true checks are made and, if they
 * pass, the record is changed; the true answer is then what gets lost, cut, delayed or altered.
 */
export type Scenario =
  /** Too fast: an empty 409 or 429 with Retry-After, both as in the options unless given. Not run. */
  | { kind: 'throttle'; status?: 409 | 429; retryAfter?: string | null }
  /** An HTTP 400 envelope with `Errors` (null is possible) and, if given, an inner `Status`. Not run. */
  | { kind: 'reject'; errors?: FieldError[] | null; message?: string; innerStatus?: number }
  /** The same inside an HTTP 200: only `WasSuccessful: false` tells. Not run. */
  | { kind: 'reject-in-200'; errors?: FieldError[] | null; message?: string; innerStatus?: number }
  /** A 200 with `WasSuccessful: true` and a `Value.Id`, but an inner `Status` (default 500). Not run unless told. */
  | { kind: 'inner-status'; status?: number; executed?: boolean }
  /** Runs, then the connection ends without an answer; `reset` sends a TCP reset instead of a clean end. */
  | { kind: 'lost'; reset?: boolean }
  /** Reads the request, does not run it, and ends the connection without an answer. */
  | { kind: 'dropped'; reset?: boolean }
  /** Runs; sends the whole body, announces a longer one, then ends the connection. */
  | { kind: 'truncated' }
  /** Runs; sends the head and half of the body, and the rest only at release(). */
  | { kind: 'stalled' }
  /** Runs at once, answers after so many real milliseconds. */
  | { kind: 'slow'; ms: number }
  /** Runs only when release() is called, and answers then. */
  | { kind: 'hold' }
  /** Runs at once, answers only at release(). */
  | { kind: 'hang' }
  /** A page of the edge with this status (default 502). Not run unless told: a 504 may hide a finished write. */
  | { kind: 'html'; status?: number; executed?: boolean }
  /** `{"Message":"An error has occurred."}` with 500. Not run unless told. */
  | { kind: 'error-500'; executed?: boolean }
  /** This status and no body. A 2xx runs unless told otherwise, anything else does not. */
  | { kind: 'empty'; status: number; executed?: boolean }
  /** A 200 with text that is not JSON. Runs unless told otherwise. */
  | { kind: 'not-json'; executed?: boolean }
  /** Any JSON value, verbatim. Not run unless told. */
  | { kind: 'json'; status: number; body: unknown; executed?: boolean }
  /** Runs; a valid answer with a `Message` of about so many bytes, streamed. */
  | { kind: 'too-large'; bytes: number }
  /** Sends the caller elsewhere (default status 302). Not run. */
  | { kind: 'redirect'; location: string; status?: number }
  /** The 403 page of the firewall in front. Not run. */
  | { kind: 'edge-403' }
  /** A 403 with the text "Forbidden". Not run. */
  | { kind: 'forbidden' }
  /** Runs; the envelope says success, but `Value` is this (default null). */
  | { kind: 'success-without-id'; value?: unknown }
  /** Runs; the true JSON object with these properties replaced and those removed. Fits token answers, too. */
  | { kind: 'altered'; change?: Record<string, unknown>; remove?: string[] }
  /** Runs; the true answer behind a byte order mark. */
  | { kind: 'bom' }
  /** The token endpoint's error (default status 400). No token is issued. */
  | { kind: 'token-error'; error: string; description?: string; status?: number }
  /** Runs and answers truly, then ends the kept-alive connection without having announced it. */
  | { kind: 'close-after-answer' }
  /** Runs; answers with bytes that are not HTTP. */
  | { kind: 'garbage' };

/** The name of a scenario. */
export type ScenarioKind = Scenario['kind'];

/** Which calls a scenario is for: 'write' is create and update, 'read' is one record or a list. */
export type ScenarioTarget = 'write' | 'create' | 'update' | 'read' | 'token' | 'me' | 'any';

/** Every target, for checking what a person sends. */
export const scenarioTargets: readonly ScenarioTarget[] = [
  'write',
  'create',
  'update',
  'read',
  'token',
  'me',
  'any',
];
