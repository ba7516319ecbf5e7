import type { JWTPayload } from 'jose';
import type { Caller } from './caller.js';
import { insufficientScope, invalidToken, WRITE_SCOPE } from './refusals.js';

/** It goes into log lines and keys of stores. */
const CALLER_ID = /^[\x21-\x7e]{1,255}$/;

/**
 * The caller that a verified token speaks of. Businesses that are missing or malformed are none: a token that was
 * meant for fewer must not become one for all.
 *
 * @throws Problem `unauthenticated` where nobody is named, `forbidden` where the scope is lacking
 */
export function callerOf(claims: JWTPayload): Caller {
  const { businesses } = claims;
  const naming = ['client_id', 'azp'].find((name) => claims[name] !== undefined) ?? 'sub';
  const id = claims[naming];
  if (typeof id !== 'string' || !CALLER_ID.test(id)) throw invalidToken(naming);
  if (!scopesOf(claims).includes(WRITE_SCOPE)) throw insufficientScope();
  if (businesses === '*') return { kind: 'jwt', id, businesses };
  const isList = Array.isArray(businesses) && businesses.every((item) => Number.isInteger(item));
  return { kind: 'jwt', id, businesses: new Set(isList ? (businesses as number[]) : []) };
}

/** `scope` is a text with spaces between (RFC 8693 section 4.2), `scp` that or a list, as issuers have it. */
function scopesOf({ scope, scp }: JWTPayload): string[] {
  return [scope, scp]
    .flat()
    .filter((item) => typeof item === 'string')
    .flatMap((item) => item.split(' '));
}
