import { Injectable, type OnApplicationShutdown } from '@nestjs/common';
import { Clock } from '../clock/clock.js';
import { NexudusConfig } from '../config/sections.js';
import { AppLogger } from '../observability/app-logger.js';
import { type Credentials, readCredentials } from './credentials.js';
import type { Deadline } from './deadline.js';
import { AccessDenied, type AccessDeniedReason, UpstreamUnavailable } from './nexudus.errors.js';
import { backoffMs } from './retry.policy.js';
import type { TokenAnswer, TokenRefusal } from './token.answer.js';
import { TokenEndpoint } from './token.endpoint.js';

/** A token that Nexudus issued, with the times that matter on the clock's monotonic scale. */
interface LiveToken {
  readonly value: string;
  readonly expiresAtMs: number;
}

/** A time before which the token endpoint is left alone, and what to tell callers until then. */
interface Standstill {
  readonly untilMs: number;
  readonly error: (retryAfterMs: number) => AccessDenied | UpstreamUnavailable;
}

const ACCOUNT_REFUSED_FOR_MS = 60_000;
const LOGIN_AGAIN_AFTER_MS = 5 * 60_000;
const LOGIN_AGAIN_CAP_MS = 60 * 60_000;
/** A refresh token lives 15 days: however long the access token does, it is renewed well before. */
const RENEW_AT_LATEST_MS = 7 * 24 * 3_600_000;
/** Callers wait through this many failed calls of the token endpoint before they are refused at once. */
const PATIENT_FAILURES = 3;

const DENIALS: Readonly<Record<TokenRefusal, AccessDeniedReason>> = {
  'invalid-grant': 'invalid-credentials',
  'two-factor': 'two-factor',
  'password-reset': 'password-reset',
  other: 'invalid-credentials',
};

/**
 * Holds the one access token of this process. Renewed in the background at a share of its lifetime, so that a
 * caller waits only when there is no usable token at all; however many wait, one call is under way.
 */
@Injectable()
export class AccessTokenSource implements OnApplicationShutdown {
  #credentials: Credentials | undefined;
  #live: LiveToken | undefined;
  #refreshToken: string | undefined;
  #flight: Promise<void> | undefined;
  #standstill: Standstill | undefined;
  #failures = 0;
  #refusals = 0;
  #accountRefusedUntilMs = 0;
  #cancelRenewal: (() => void) | undefined;

  constructor(
    private readonly endpoint: TokenEndpoint,
    private readonly config: NexudusConfig,
    private readonly clock: Clock,
    private readonly log: AppLogger,
  ) {}

  /**
   * Reads the credentials and asks for the first token in the background, before a caller has to wait for it.
   *
   * @throws CredentialsUnusable
   */
  async start(): Promise<void> {
    this.#credentials = await readCredentials(this.config.credentials, this.config.clientId);
    void this.#renew();
  }

  onApplicationShutdown(): void {
    this.#cancelRenewal?.();
  }

  /**
   * A usable token: at once where there is one.
   *
   * @throws AccessDenied when Nexudus refuses the account
   * @throws UpstreamUnavailable when no token could be had within the deadline
   */
  async get(deadline: Deadline): Promise<string> {
    while (!this.#isUsable(this.#live)) {
      const waitMs = this.#standstillMs();
      if (waitMs > 0) await this.#sitOut(waitMs, deadline);
      else if (!(await settlesWithin(this.#renew(), deadline, this.clock))) {
        throw new UpstreamUnavailable('no-token', 1_000);
      }
    }
    return this.#live.value;
  }

  /** After a 401: this token is not used again, unless a newer one has replaced it already. */
  discard(token: string): void {
    if (this.#live?.value === token) this.#live = undefined;
  }

  /** Whether a fresh token was answered with a 401 a short while ago, so that another would be of no use. */
  isAccountRefused(): boolean {
    return this.clock.nowMs() < this.#accountRefusedUntilMs;
  }

  /** After a 401 with a fresh token: for a minute, no 401 renews a token. */
  refuseAccount(): AccessDenied {
    if (!this.isAccountRefused()) {
      this.#accountRefusedUntilMs = this.clock.nowMs() + ACCOUNT_REFUSED_FOR_MS;
      this.log.error(
        { reason: 'token-refused', retryAfterSeconds: ACCOUNT_REFUSED_FOR_MS / 1000 },
        'Nexudus answers 401 to a fresh token: check the roles of its account (OpenAiChatMessage-Create and -Edit)',
      );
    }
    return new AccessDenied('token-refused', this.#accountRefusedUntilMs - this.clock.nowMs());
  }

  #isUsable(token: LiveToken | undefined): token is LiveToken {
    return token !== undefined && this.clock.nowMs() < token.expiresAtMs;
  }

  #standstillMs(): number {
    return this.#standstill ? this.#standstill.untilMs - this.clock.nowMs() : 0;
  }

  async #sitOut(waitMs: number, deadline: Deadline): Promise<void> {
    const patient =
      this.#refusals === 0 && this.#failures < PATIENT_FAILURES && deadline.allowsAttempt(waitMs);
    if (!patient && this.#standstill) throw this.#standstill.error(waitMs);
    await new Promise<void>((resolve) => this.clock.after(waitMs, resolve));
  }

  /** One flight for all who want a token. Never rejects: what came of it is in the fields. */
  #renew(): Promise<void> {
    this.#flight ??= this.#requestToken().finally(() => {
      this.#flight = undefined;
    });
    return this.#flight;
  }

  async #requestToken(): Promise<void> {
    const credentials = this.#credentials;
    if (credentials === undefined) throw new Error('AccessTokenSource.start() was not awaited');
    const startedAtMs = this.clock.nowMs();
    let answer = this.#refreshToken
      ? await this.endpoint.refresh(this.#refreshToken, credentials)
      : undefined;
    if (answer === undefined || answer.kind === 'refused') {
      // Used up, expired, or pushed out by a login with our client_id: worth one login, and only that.
      this.#refreshToken = undefined;
      answer = await this.endpoint.login(credentials);
    }
    this.#take(answer, startedAtMs);
  }

  #take(answer: TokenAnswer, startedAtMs: number): void {
    switch (answer.kind) {
      case 'issued': {
        // Counted from before the call, and a little short of it: it must not expire on the way.
        const usableMs = answer.lifetimeMs - Math.min(2_000, answer.lifetimeMs / 20);
        this.#live = { value: answer.accessToken, expiresAtMs: startedAtMs + usableMs };
        this.#refreshToken = answer.refreshToken;
        this.#standstill = undefined;
        this.#failures = this.#refusals = 0;
        this.log.info({ lifetimeSeconds: answer.lifetimeMs / 1000 }, 'Nexudus issued an access token');
        const share = 0.7 + 0.15 * Math.random();
        this.#renewAfter(Math.min(answer.lifetimeMs * share, RENEW_AT_LATEST_MS));
        return;
      }
      case 'refused': {
        this.#refusals += 1;
        const reason = DENIALS[answer.reason];
        const waitMs = Math.min(LOGIN_AGAIN_AFTER_MS * 2 ** (this.#refusals - 1), LOGIN_AGAIN_CAP_MS);
        this.#standStill(waitMs, (retryAfterMs) => new AccessDenied(reason, retryAfterMs));
        this.log.error(
          { reason, retryAfterSeconds: waitMs / 1000 },
          'Nexudus refused the login: no more tries with these credentials for a while, an operator must act',
        );
        return;
      }
      case 'unavailable': {
        this.#failures += 1;
        const waitMs = Math.max(answer.retryAfterMs ?? 0, 100 + backoffMs(this.#failures, Math.random()));
        this.#standStill(waitMs, (retryAfterMs) => new UpstreamUnavailable('no-token', retryAfterMs));
        this.log.warn(
          { detail: answer.detail, failures: this.#failures, retryAfterSeconds: waitMs / 1000 },
          'The token endpoint of Nexudus gave no token',
        );
        return;
      }
    }
  }

  #standStill(waitMs: number, error: Standstill['error']): void {
    this.#standstill = { untilMs: this.clock.nowMs() + waitMs, error };
    this.#renewAfter(waitMs);
  }

  #renewAfter(delayMs: number): void {
    this.#cancelRenewal?.();
    this.#cancelRenewal = this.clock.after(delayMs, () => void this.#renew());
  }
}

/** Whether the work ended before the deadline did; the work itself goes on. */
async function settlesWithin(work: Promise<void>, deadline: Deadline, clock: Clock): Promise<boolean> {
  let cancel: (() => void) | undefined;
  const timeout = new Promise<boolean>((resolve) => {
    cancel = clock.after(deadline.remainingMs() - deadline.minimumAttemptMs, () => {
      resolve(false);
    });
  });
  try {
    return await Promise.race([work.then(() => true), timeout]);
  } finally {
    cancel?.();
  }
}
