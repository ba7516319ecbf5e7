import { Injectable, type OnApplicationShutdown } from '@nestjs/common';
import { Clock } from '../clock/clock.js';
import { NexudusConfig } from '../config/sections.js';
import { AppLogger } from '../observability/app-logger.js';
import { Metrics } from '../observability/metrics.js';
import { type Credentials, readCredentials } from './credentials.js';
import { CredentialsWatch } from './credentials.watch.js';
import type { Deadline } from './deadline.js';
import type { WriteOperation } from './envelope.js';
import { AccessDenied, type AccessDeniedReason, UpstreamUnavailable } from './nexudus.errors.js';
import { TokenEndpoint } from './token.endpoint.js';
import { TokenSession } from './token.session.js';

const ACCOUNT_REFUSED_FOR_MS = 60_000;
/** Callers wait through this many failed calls of the token endpoint before they are refused at once. */
const PATIENT_FAILURES = 3;

/**
 * Holds the access token of this process. A caller waits only when there is no usable token at all; however many
 * wait, one call is under way. Changed credentials are proven by a login in the background before they replace
 * the old ones, whose token serves on until then.
 */
@Injectable()
export class AccessTokenSource implements OnApplicationShutdown {
  #session: TokenSession | undefined;
  /** Changed credentials that have yet to be proven. */
  #candidate: TokenSession | undefined;
  #watch: CredentialsWatch | undefined;
  #generation = 0;
  readonly #accountRefusals = new Map<
    WriteOperation,
    { readonly reason: AccessDeniedReason; readonly untilMs: number }
  >();

  constructor(
    private readonly endpoint: TokenEndpoint,
    private readonly config: NexudusConfig,
    private readonly clock: Clock,
    private readonly log: AppLogger,
    private readonly metrics: Metrics,
  ) {
    metrics.beforeRead(() => {
      metrics.tokenExpiresSeconds.set((this.#session?.expiresInMs ?? 0) / 1000);
      metrics.credentialsGeneration.set(this.#generation);
    });
  }

  /**
   * Reads the credentials and asks for the first token in the background, before a caller has to wait for it.
   *
   * @throws CredentialsUnusable
   */
  async start(): Promise<void> {
    const { credentials: origin, clientId } = this.config;
    const credentials = await readCredentials(origin, clientId);
    this.#session = this.#sessionFor(credentials);
    void this.#session.renew();
    if (origin.kind === 'directory') {
      const read = (): Promise<Credentials> => readCredentials(origin, clientId);
      this.#watch = new CredentialsWatch(read, credentials, this.clock, this.log, (changed) => {
        this.#prove(changed);
      });
    }
  }

  onApplicationShutdown(): void {
    this.#watch?.stop();
    this.#candidate?.stop();
    this.#session?.stop();
  }

  /** The username of the account in use: never to be shown to a caller. */
  get accountName(): string | undefined {
    return this.#session?.accountName;
  }

  /** The token in use, where there is a usable one. */
  get current(): string | undefined {
    return this.#session?.token;
  }

  /**
   * Resolves when there is a usable token.
   *
   * @throws AccessDenied when Nexudus refuses the account
   * @throws UpstreamUnavailable when no token could be had within the deadline
   */
  async ready(deadline: Deadline): Promise<void> {
    for (;;) {
      // Looked up anew each time: a session that has proven itself may have taken over.
      const session = this.#session;
      if (session === undefined) throw new Error('AccessTokenSource.start() was not awaited');
      if (session.token !== undefined) return;
      const waitMs = session.standstillMs;
      if (waitMs > 0) {
        const patient =
          !session.isRefused && session.failures < PATIENT_FAILURES && deadline.allowsAttempt(waitMs);
        if (!patient) throw session.standstillError();
        await this.clock.sleep(waitMs);
      } else if (!(await this.#settlesWithin(session.renew(), deadline))) {
        throw new UpstreamUnavailable('no-token', 1_000);
      }
    }
  }

  /** After a 401: this token is not used again, unless a newer one has replaced it already. */
  discard(token: string): void {
    this.#session?.discard(token);
  }

  /** Whether a fresh token was answered with a 401 a short while ago, so that another would be of no use. */
  isAccountRefused(operation: WriteOperation): boolean {
    return this.accountRefusal(operation) !== undefined;
  }

  /** What to tell a caller as long as that is so. `Retry-After` is when a 401 renews a token again. */
  accountRefusal(operation: WriteOperation): AccessDenied | undefined {
    const refusal = this.#accountRefusals.get(operation);
    const leftMs = (refusal?.untilMs ?? 0) - this.clock.nowMs();
    return refusal && leftMs > 0 ? new AccessDenied(refusal.reason, leftMs) : undefined;
  }

  /** After a 401 with a fresh token: for a minute, no 401 to this operation renews a token. */
  refuseAccount(operation: WriteOperation, reason: AccessDeniedReason): AccessDenied {
    this.#accountRefusals.set(operation, { reason, untilMs: this.clock.nowMs() + ACCOUNT_REFUSED_FOR_MS });
    return new AccessDenied(reason, ACCOUNT_REFUSED_FOR_MS);
  }

  /** A login in the background; what it says decides whether the new credentials take over. */
  #prove(credentials: Credentials): void {
    this.#candidate?.stop();
    this.log.info({}, 'The credentials have changed: they are tried before they replace the old ones');
    this.#candidate = this.#sessionFor(credentials);
    void this.#candidate.renew();
  }

  #sessionFor(credentials: Credentials): TokenSession {
    const session = new TokenSession(credentials, this.endpoint, this.clock, this.log, {
      issued: () => {
        this.metrics.credentialsRejected.reset();
        if (session === this.#candidate) this.#takeOver(session);
        else if (this.#generation === 0) this.#generation = 1;
      },
      refused: (reason) => {
        this.metrics.credentialsRejected.reset();
        this.metrics.credentialsRejected.set({ reason }, 1);
        if (session === this.#candidate) this.#turnDown(session, reason);
      },
    });
    return session;
  }

  #takeOver(session: TokenSession): void {
    this.#session?.stop();
    this.#session = session;
    this.#candidate = undefined;
    this.#generation += 1;
    this.#accountRefusals.clear();
    this.log.info({ generation: this.#generation }, 'The new credentials are proven and in use');
  }

  /** One try per change: not again before the files change again. */
  #turnDown(session: TokenSession, reason: AccessDeniedReason): void {
    session.stop();
    this.#candidate = undefined;
    this.log.error(
      { reason },
      'The new credentials are rejected and not used; the old ones serve on: correct the files, the next change is tried',
    );
  }

  /** Whether the work ended before the deadline did; the work itself goes on. */
  async #settlesWithin(work: Promise<void>, deadline: Deadline): Promise<boolean> {
    const giveUp = new AbortController();
    const limit = this.clock
      .sleep(deadline.remainingMs() - deadline.minimumAttemptMs, giveUp.signal)
      .then(() => giveUp.signal.aborted);
    const ended = await Promise.race([work.then(() => true), limit]);
    giveUp.abort();
    return ended;
  }
}
