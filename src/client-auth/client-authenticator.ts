import { Injectable, type OnApplicationShutdown } from '@nestjs/common';
import { Clock } from '../clock/clock.js';
import { ClientAuthConfig } from '../config/sections.js';
import { AppLogger } from '../observability/app-logger.js';
import { Metrics } from '../observability/metrics.js';
import { ApiKeysFile } from './api-keys.file.js';
import type { Caller } from './caller.js';
import { fetchIssuerKeys } from './issuer.endpoint.js';
import { IssuerKeys } from './issuer.keys.js';
import { JwtVerifier, mayBeJwt } from './jwt.verifier.js';
import { invalidToken, noCredential } from './refusals.js';

const ANONYMOUS: Caller = { kind: 'anonymous', id: 'anonymous', businesses: '*' };
/** The scheme's name has no case (RFC 9110 section 11.1). */
const OF_SCHEME = /^bearer +./i;
/** RFC 6750 section 2.1. */
const BEARER = /^bearer +([\x21-\x7e]+) *$/i;

/**
 * Tells who calls, from the `Authorization` header alone, so that it can be asked before the body is read.
 * Each mode of `AUTH_MODES` is one way to recognise a bearer token.
 */
@Injectable()
export class ClientAuthenticator implements OnApplicationShutdown {
  #apiKeys: ApiKeysFile | undefined;
  #issuerKeys: IssuerKeys | undefined;
  #jwts: JwtVerifier | undefined;

  constructor(
    private readonly config: ClientAuthConfig,
    private readonly clock: Clock,
    private readonly log: AppLogger,
    private readonly metrics: Metrics,
  ) {}

  /** @throws ApiKeysUnusable */
  async start(): Promise<void> {
    const { apiKeysFile, jwt } = this.config;
    if (apiKeysFile !== undefined) {
      this.#apiKeys = await ApiKeysFile.open(apiKeysFile, this.clock, this.log, this.metrics);
    }
    if (jwt !== undefined) {
      this.#issuerKeys = new IssuerKeys((signal) => fetchIssuerKeys(jwt, signal), this.clock, this.log);
      this.#jwts = new JwtVerifier(jwt, this.#issuerKeys, this.clock);
      this.#issuerKeys.start();
    }
  }

  onApplicationShutdown(): void {
    this.#apiKeys?.stop();
    this.#issuerKeys?.stop();
  }

  /**
   * A promise, since a key set may have to be fetched for it.
   *
   * @throws Problem `unauthenticated`, with the challenge of RFC 6750 section 3, which does not tell which keys exist;
   *   `forbidden` where a token lacks the scope; `upstream-unavailable` where the issuer's keys cannot be had
   */
  async authenticate(authorization: string | undefined): Promise<Caller> {
    if (this.config.modes.includes('none')) return ANONYMOUS;
    if (authorization === undefined) throw noCredential();
    const token = BEARER.exec(authorization)?.[1];
    if (token === undefined) throw OF_SCHEME.test(authorization) ? invalidToken() : noCredential();
    const caller = this.#apiKeys?.keys.find(token, this.clock.epochMs());
    if (caller !== undefined) return caller;
    if (this.#jwts === undefined || !mayBeJwt(token)) throw invalidToken();
    return this.#jwts.verify(token);
  }
}
