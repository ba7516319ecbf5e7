import { isObject, parseJson } from './json.js';
import { parseRetryAfterMs } from './retry-after.js';
import type { WireResult } from './wire.js';

/** What the token endpoint said. */
export type TokenAnswer =
  | {
      readonly kind: 'issued';
      readonly accessToken: string;
      /** Single use. */
      readonly refreshToken: string | undefined;
      readonly lifetimeMs: number;
    }
  /** It decided against this grant; the same one again would be refused again, and can lock the account. */
  | { readonly kind: 'refused'; readonly reason: TokenRefusal }
  /** Something in front of it let nothing through: no verdict on the grant, but a person must act. */
  | { readonly kind: 'blocked'; readonly retryAfterMs: number | undefined }
  /** It said nothing about the grant: down, throttled, slow or not understandable. */
  | { readonly kind: 'unavailable'; readonly retryAfterMs: number | undefined; readonly detail: string };

/** `invalid_grant`, `two_factor_auth_check`, `must_reset_password`, anything else of its kind, or no reason at all. */
export type TokenRefusal = 'invalid-grant' | 'two-factor' | 'password-reset' | 'other' | 'unexplained';

const REFUSALS: Readonly<Record<string, TokenRefusal>> = {
  invalid_grant: 'invalid-grant',
  two_factor_auth_check: 'two-factor',
  must_reset_password: 'password-reset',
};

/** Opaque, but it goes into a header as it is. */
const TOKEN = /^[\x21-\x7e]{1,8192}$/;

/**
 * Makes sense of an answer of `POST /api/token`. Pure, total.
 *
 * @param epochMs the present, in milliseconds since the Unix epoch
 */
export function readTokenAnswer(result: WireResult, epochMs: number): TokenAnswer {
  if (result.kind !== 'answer') return unavailable(`no answer (${result.reason})`);
  const retryAfterMs = parseRetryAfterMs(result.headers['retry-after'], epochMs);
  // The status says it all, as it does of a write.
  if (result.status === 403) return { kind: 'blocked', retryAfterMs };
  if (result.cutOffBy !== undefined)
    return unavailable(`status ${result.status} with a broken body`, retryAfterMs);
  const parsed = parseJson(result.body);
  const json = isObject(parsed) ? parsed : {};
  if (result.status === 200) {
    return readIssued(json) ?? unavailable('status 200 without a usable token', retryAfterMs);
  }
  // 400 by the documents, 401 by one page for a bad password, and Nexudus leaves bodies out; a 400 of HTML is a page of
  // the edge. Anything else says nothing about the grant.
  const isOfNexudus = parsed !== undefined || result.body.trim() === '';
  if (result.status === 401 || (result.status === 400 && isOfNexudus)) {
    return { kind: 'refused', reason: reasonOf(json['error'] ?? json['Error']) };
  }
  return unavailable(`status ${result.status}`, retryAfterMs);
}

function reasonOf(error: unknown): TokenRefusal {
  if (typeof error !== 'string') return 'unexplained';
  return (Object.hasOwn(REFUSALS, error) ? REFUSALS[error] : undefined) ?? 'other';
}

function readIssued(json: Record<string, unknown>): TokenAnswer | undefined {
  const { access_token: accessToken, refresh_token: refreshToken, expires_in: expiresIn } = json;
  const lifetimeSeconds = typeof expiresIn === 'string' ? Number(expiresIn) : expiresIn;
  if (typeof accessToken !== 'string' || !TOKEN.test(accessToken)) return undefined;
  // A token that lives less than a second cannot be used before it ends.
  if (typeof lifetimeSeconds !== 'number' || !(lifetimeSeconds >= 1)) return undefined;
  return {
    kind: 'issued',
    accessToken,
    refreshToken: typeof refreshToken === 'string' && refreshToken !== '' ? refreshToken : undefined,
    lifetimeMs: lifetimeSeconds * 1000,
  };
}

function unavailable(detail: string, retryAfterMs?: number): TokenAnswer {
  return { kind: 'unavailable', retryAfterMs, detail };
}
