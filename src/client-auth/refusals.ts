import { Problem } from '../problem-details/problem.js';

/** What a JWT must be good for (RFC 6749 section 3.3). */
export const WRITE_SCOPE = 'chat-messages:write';

const BEARER = 'Bearer realm="nexudus-bff"';
const CREDENTIAL_NEEDED = 'A valid credential is needed: "Authorization: Bearer ...".';

/** No bearer token came, nothing at all or something of another scheme: a challenge without an error code (RFC 6750 section 3.1). */
export function noCredential(): Problem {
  return new Problem('unauthenticated', {
    detail: CREDENTIAL_NEEDED,
    headers: { 'www-authenticate': BEARER },
  });
}

/** @param claim of a token that the issuer did sign; nothing is said about any other credential */
export function invalidToken(claim?: string): Problem {
  return new Problem('unauthenticated', {
    detail: claim === undefined ? CREDENTIAL_NEEDED : `The token is refused for its claim "${claim}".`,
    headers: { 'www-authenticate': `${BEARER}, error="invalid_token"` },
  });
}

/** The token is good, but not for writing (RFC 6750 section 3.1). */
export function insufficientScope(): Problem {
  return new Problem('forbidden', {
    detail: `The token lacks the scope ${WRITE_SCOPE}.`,
    headers: { 'www-authenticate': `${BEARER}, error="insufficient_scope", scope="${WRITE_SCOPE}"` },
  });
}

/** Nothing can be said about the token for want of usable keys: never a 401, at which callers throw tokens away. */
export function issuerUnavailable(retryAfterMs: number): Problem {
  return new Problem('upstream-unavailable', {
    detail: "The keys of the token's issuer cannot be fetched at present. The message was not sent.",
    retryAfterMs,
  });
}
