import { Injectable, type OnApplicationShutdown } from '@nestjs/common';
import { Clock } from '../clock/clock.js';
import type { Interruption } from '../clock/interruption.js';
import { NexudusConfig } from '../config/sections.js';
import { FileWatch } from '../files/file-watch.js';
import { AppLogger } from '../observability/app-logger.js';
import { Metrics } from '../observability/metrics.js';
import { Redactor } from '../observability/redactor.js';
import { AccountRefusals } from './account.refusals.js';
import { type Credentials, CredentialsUnusable, readCredentials } from './credentials.js';
import type { Deadline } from './deadline.js';
import type { AccessDeniedReason } from './nexudus.errors.js';
import { TokenEndpoint } from './token.endpoint.js';
import { type SessionObserver, TokenSession } from './token.session.js';
import { TokenVault } from './token.vault.js';

/** Callers wait through this many failed calls of the token endpoint before they are refused at once. */
const PATIENT_FAILURES = 3;
/** Between the first and the last replica that sees changed credentials: the login of one of them proves them for all. */
const SPREAD_MS = 5 * 60_000;

/** What came of asking for a token: one, or the reason why there is none. */
export type RenewalResult = 'issued' | 'unavailable' | AccessDeniedReason;

/** How things stand, for operators. */
export interface TokenStatus {
  /** Of the token in use; 0 when there is none. */
  readonly ageMs: number;
  readonly expiresInMs: number;
  /** Counts the credentials that were proven and taken into use. */
  readonly generation: number;
  readonly lastRenewal: { readonly atEpochMs: number; readonly result: RenewalResult } | undefined;
  /** Why the newest credentials are not in use: Nexudus refuses them, or the files do not hold any. */
  readonly rejected: AccessDeniedReason | 'unusable-files' | undefined;
}

/**
 * Holds the access token of this process, which may be that of all replicas. A caller waits only when there is no
 * usable token at all; however many wait, one call is under way. Changed credentials are proven by a login in the background before they replace
 * the old ones, whose token serves on until then.
 */
@Injectable()
export class AccessTokenSource implements OnApplicationShutdown {
  #session: TokenSession | undefined;
  /** Changed credentials that have yet to be proven. */
  #candidate: TokenSession | undefined;
  #watch: FileWatch<Credentials> | undefined;
  /** Those that stand in the files, in use or not. */
  #newest: Credentials | undefined;
  /** Callers that wait, to be woken when there is a token, or other credentials are turned down. */
  readonly #waiting = new Set<() => void>();
  #generation = 0;
  #lastRenewal: TokenStatus['lastRenewal'];
  /** Why Nexudus refuses the newest credentials. */
  #rejected: AccessDeniedReason | undefined;

  constructor(
    private readonly endpoint: TokenEndpoint,
    private readonly vault: TokenVault,
    private readonly refusals: AccountRefusals,
    private readonly config: NexudusConfig,
    private readonly clock: Clock,
    private readonly log: AppLogger,
    private readonly metrics: Metrics,
    private readonly redactor: Redactor,
  ) {}

  /**
   * Reads the credentials and asks for the first token in the background, before a caller has to wait for it.
   *
   * @throws CredentialsUnusable
   */
  async start(): Promise<void> {
    const { credentials: origin, clientId } = this.config;
    const credentials = await readCredentials(origin, clientId);
    this.#newest = credentials;
    this.#session = this.#sessionFor(credentials);
    void this.#session.renew();
    if (origin.kind === 'directory') {
      const files = {
        read: () => readCredentials(origin, clientId),
        fingerprint: (found: Credentials) => JSON.stringify(found),
        changed: (found: Credentials) => {
          this.#prove(found);
        },
        unusable: (error: unknown) => {
          const reason = error instanceof CredentialsUnusable ? error.message : 'cannot be read';
          this.log.error({ reason }, 'The credentials cannot be used as they are now; the old ones serve on');
        },
      };
      this.#watch = new FileWatch(files, credentials, this.clock);
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

  get status(): TokenStatus {
    return {
      ageMs: this.#session?.ageMs ?? 0,
      expiresInMs: this.#session?.expiresInMs ?? 0,
      generation: this.#generation,
      lastRenewal: this.#lastRenewal,
      rejected: this.#watch?.isUsable === false ? 'unusable-files' : this.#rejected,
    };
  }

  /**
   * Resolves when there is a usable token, or when the signal aborts.
   *
   * @throws AccessDenied when Nexudus refuses the account, or what is in front of it blocks the calls for a token
   * @throws UpstreamUnavailable when no token could be had within the deadline
   */
  async ready(deadline: Deadline, abandoned: Interruption): Promise<void> {
    while (!abandoned.aborted) {
      // Looked up anew each time: a session that has proven itself may have taken over.
      const session = this.#session;
      if (session === undefined) throw new Error('AccessTokenSource.start() was not awaited');
      if (session.token !== undefined) return;
      const waitMs = session.standstillMs;
      if (waitMs > 0) {
        const isPatient = session.isRefused
          ? this.#candidate !== undefined
          : session.failures < PATIENT_FAILURES && deadline.allowsAttempt(waitMs);
        if (!isPatient || !deadline.allowsAttempt()) throw session.standstillError();
        await this.#orTakenOver(this.clock.sleep(waitMs), deadline, abandoned);
      } else {
        if (!deadline.allowsAttempt()) throw session.standstillError();
        await this.#orTakenOver(session.renew(), deadline, abandoned);
      }
    }
  }

  /** After a 401: this token is not used again, unless a newer one has replaced it already. */
  discard(token: string): void {
    this.#session?.discard(token);
  }

  /** A login in the background; what it says decides whether the new credentials take over. */
  #prove(credentials: Credentials): void {
    this.#candidate?.stop();
    this.#newest = credentials;
    this.log.info({}, 'The credentials have changed: they are tried before they replace the old ones');
    this.#candidate = this.#sessionFor(credentials, this.clock.nowMs() - SPREAD_MS);
    void this.#candidate.renew();
  }

  #sessionFor(credentials: Credentials, loginSinceMs?: number): TokenSession {
    const observer: SessionObserver = {
      issued: () => {
        this.#note('issued');
        if (session === this.#candidate) this.#takeOver(session);
        else if (this.#generation === 0) this.#generation = 1;
        if (credentials === this.#newest) this.#rejected = undefined;
        this.#wakeWaiting();
      },
      refused: (reason) => {
        this.#note(reason);
        if (credentials === this.#newest) this.#rejected = reason;
        if (session === this.#candidate) this.#turnDown(session, reason);
        // Those in use are refused now: perhaps the newest were written before Nexudus knew of them.
        else if (this.#newest !== undefined && credentials !== this.#newest) this.#prove(this.#newest);
      },
      blocked: () => {
        this.#note('token-blocked');
      },
      unavailable: () => {
        this.#note('unavailable');
      },
    };
    const { vault, endpoint, clock, log, redactor } = this;
    const session = new TokenSession(
      credentials,
      vault,
      endpoint,
      clock,
      log,
      redactor,
      observer,
      loginSinceMs,
    );
    return session;
  }

  #note(result: RenewalResult): void {
    const atEpochMs = this.clock.epochMs();
    this.#lastRenewal = { atEpochMs, result };
    if (result === 'issued') this.metrics.tokenLastSuccess.set(atEpochMs / 1000);
    else this.metrics.tokenFailures.inc({ reason: result });
  }

  #takeOver(session: TokenSession): void {
    this.#session?.stop();
    this.#session = session;
    this.#candidate = undefined;
    this.#generation += 1;
    this.refusals.clear();
    this.log.info({ generation: this.#generation }, 'The new credentials are proven and in use');
  }

  /** One try per change, as long as the old ones serve. */
  #turnDown(session: TokenSession, reason: AccessDeniedReason): void {
    session.stop();
    this.#candidate = undefined;
    this.log.error(
      { reason },
      'The new credentials are rejected and not used; the old ones serve on: correct the files, the next change is tried',
    );
    this.#wakeWaiting();
  }

  /** Waits for the work, for other credentials, for the deadline or for the signal: whichever comes first. */
  async #orTakenOver(work: Promise<void>, deadline: Deadline, abandoned: Interruption): Promise<void> {
    let wake: () => void = () => undefined;
    const woken = new Promise<void>((resolve) => {
      wake = resolve;
    });
    this.#waiting.add(wake);
    await deadline.orLate(Promise.race([work, woken]), abandoned);
    this.#waiting.delete(wake);
  }

  #wakeWaiting(): void {
    for (const wake of this.#waiting) wake();
  }
}
