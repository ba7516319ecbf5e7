import { Injectable } from '@nestjs/common';
import { Clock } from '../clock/clock.js';
import { ClientAuthConfig } from '../config/sections.js';
import { Problem } from '../problem-details/problem.js';
import { ApiKeys } from './api-keys.js';
import type { Caller } from './caller.js';

const ANONYMOUS: Caller = { kind: 'anonymous', id: 'anonymous', businesses: '*' };
/** RFC 6750 section 2.1; the scheme's name has no case (RFC 9110 section 11.1). */
const BEARER = /^bearer +([\x21-\x7e]+) *$/i;

/**
 * Tells who calls, from the `Authorization` header alone, so that it can be asked before the body is read.
 * Each mode of `AUTH_MODES` is one way to recognise a bearer token.
 */
@Injectable()
export class ClientAuthenticator {
  #apiKeys: ApiKeys | undefined;

  constructor(
    private readonly config: ClientAuthConfig,
    private readonly clock: Clock,
  ) {}

  /** @throws ApiKeysUnusable */
  async start(): Promise<void> {
    if (this.config.apiKeysFile !== undefined) this.#apiKeys = await ApiKeys.read(this.config.apiKeysFile);
  }

  /**
   * A promise, since a key set may have to be fetched for it.
   *
   * @throws Problem `unauthenticated`, with the challenge of RFC 6750 section 3; it does not tell which keys exist
   */
  async authenticate(authorization: string | undefined): Promise<Caller> {
    if (this.config.modes.includes('none')) return ANONYMOUS;
    // No error code where no credential came at all (RFC 6750 section 3.1).
    if (authorization === undefined) throw unauthenticated('Bearer realm="nexudus-bff"');
    const token = BEARER.exec(authorization)?.[1];
    const caller = token === undefined ? undefined : this.#apiKeys?.find(token, this.clock.epochMs());
    if (caller === undefined) throw unauthenticated('Bearer realm="nexudus-bff", error="invalid_token"');
    return caller;
  }
}

function unauthenticated(challenge: string): Problem {
  return new Problem('unauthenticated', {
    detail: 'A valid credential is needed: "Authorization: Bearer ...".',
    headers: { 'www-authenticate': challenge },
  });
}
