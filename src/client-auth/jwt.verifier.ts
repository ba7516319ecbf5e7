import { hash } from 'node:crypto';
import { errors, type JWTPayload, jwtVerify } from 'jose';
import { LRUCache } from 'lru-cache';
import type { Clock } from '../clock/clock.js';
import type { JwtConfig } from '../config/sections.js';
import type { Caller } from './caller.js';
import type { IssuerKeys, KeySet } from './issuer.keys.js';
import { callerOf } from './jwt.claims.js';
import { invalidToken } from './refusals.js';

/** Asymmetric alone: with HS256 the issuer's public key would be a secret that everybody knows (RFC 8725 section 2.1). */
const ALGORITHMS = ['RS', 'PS', 'ES'].flatMap((family) => [256, 384, 512].map((bits) => `${family}${bits}`));
const CLOCK_SKEW_SECONDS = 30;
const LONGEST_TOKEN = 8_192;
/** JWS compact serialization (RFC 7515 section 7.1), signed: a JWE has five parts, `alg: none` an empty third. */
const SIGNED = /^[\w-]+\.[\w-]+\.[\w-]+$/;
/** Callers use a token many times: a look-up takes 1.3 µs, a signature 60 (RS256) to 140 µs (ES256). */
const VERIFIED_TOKENS = 2_000;

/** Whether it is worth a closer look. */
export function mayBeJwt(token: string): boolean {
  return token.length <= LONGEST_TOKEN && SIGNED.test(token);
}

interface Verified {
  readonly caller: Caller;
  /** Milliseconds since the Unix epoch. */
  readonly expiresAtMs: number;
}

/** Verifies JWTs of one issuer for one audience (RFC 7519, RFC 8725). */
export class JwtVerifier {
  /** By SHA-256, so that no token lies in memory for longer than its request. */
  readonly #verified = new LRUCache<string, Verified>({ max: VERIFIED_TOKENS });
  #verifiedBy: KeySet | undefined;

  constructor(
    private readonly config: JwtConfig,
    private readonly keys: IssuerKeys,
    private readonly clock: Clock,
  ) {}

  /** @throws Problem `unauthenticated`, `forbidden` for want of the scope, `upstream-unavailable` without keys */
  async verify(token: string): Promise<Caller> {
    const keySet = this.keys.current;
    if (keySet !== this.#verifiedBy) {
      // What a key that may be gone has signed is looked at again.
      this.#verified.clear();
      this.#verifiedBy = keySet;
    }
    const digest = hash('sha256', token, 'base64');
    const known = this.#verified.get(digest);
    if (known && this.clock.epochMs() < known.expiresAtMs) return known.caller;
    const claims = await this.#claimsOf(token);
    const caller = callerOf(claims);
    if (keySet !== undefined && keySet === this.keys.current) {
      this.#verified.set(digest, { caller, expiresAtMs: (claims.exp ?? 0) * 1000 });
    }
    return caller;
  }

  async #claimsOf(token: string): Promise<JWTPayload> {
    const { issuer, audience } = this.config;
    try {
      const { payload } = await jwtVerify(token, this.keys.find, {
        issuer,
        audience,
        algorithms: [...ALGORITHMS, 'EdDSA', 'Ed25519'],
        clockTolerance: CLOCK_SKEW_SECONDS,
        currentDate: new Date(this.clock.epochMs()),
        requiredClaims: ['exp'],
      });
      return payload;
    } catch (error) {
      if (error instanceof errors.JWTClaimValidationFailed || error instanceof errors.JWTExpired)
        throw invalidToken(error.claim);
      if (error instanceof errors.JOSEError && !(error instanceof errors.JWKSInvalid)) throw invalidToken();
      // There are no keys, or this one is not one.
      throw this.keys.unusable();
    }
  }
}
