import type { Clock } from '../clock/clock.js';
import type { AppLogger } from '../observability/app-logger.js';
import { seconds } from '../observability/operator-info.js';
import type { Redactor } from '../observability/redactor.js';
import type { Credentials } from './credentials.js';
import { AccessDenied, type AccessDeniedReason, UpstreamUnavailable } from './nexudus.errors.js';
import { backoffMs } from './retry.policy.js';
import type { TokenRefusal } from './token.answer.js';
import type { TokenEndpoint, TokenReply } from './token.endpoint.js';
import type {
  KeptToken,
  LoginRefusal,
  TokenBox,
  TokenLease,
  TokenOutcome,
  TokenPair,
  TokenVault,
} from './token.vault.js';

/** Who wants to know what becomes of the credentials of a session. */
export interface SessionObserver {
  issued(): void;
  refused(reason: AccessDeniedReason): void;
  /** A firewall let no call for a token through. */
  blocked(): void;
  /** Nothing was said about the credentials. */
  unavailable(): void;
}

/** A time before which the token endpoint is left alone, and what to tell callers until then. */
interface Standstill {
  readonly untilMs: number;
  readonly error: (retryAfterMs: number) => AccessDenied | UpstreamUnavailable;
}

/** Refused credentials are tried again no sooner; doubled with each refusal, so that no account is locked by us. */
const LOGIN_AGAIN_AFTER_MS = 5 * 60_000;
const LOGIN_AGAIN_CAP_MS = 60 * 60_000;
/** An outage: from a tenth of a second up to a minute between the calls. */
const OUTAGE_CAP_MS = 60_000;
const LONGEST_STANDSTILL_MS = 5 * 60_000;
/** What a caller is told to wait while a call is under way. */
const ASKED_AGAIN_MS = 1_000;
/** A refresh token lives 15 days: however long the access token does, it is renewed well before. */
const RENEW_AT_LATEST_MS = 7 * 24 * 3_600_000;
/** The share of its lifetime after which a token is renewed in the background, with jitter. */
const RENEW_AT_SHARE = 0.7;
const RENEW_JITTER_SHARE = 0.15;

const DENIALS: Readonly<Record<TokenRefusal, AccessDeniedReason>> = {
  'invalid-grant': 'invalid-credentials',
  'two-factor': 'two-factor',
  'password-reset': 'password-reset',
  other: 'invalid-credentials',
  unexplained: 'invalid-credentials',
};

/** What an operator has to do. */
const REMEDIES: Readonly<Partial<Record<AccessDeniedReason, string>>> = {
  'invalid-credentials': 'put a username and password that Nexudus accepts into the credentials',
  'two-factor': 'put the right totp-secret into the credentials, and check the clock of this machine',
  'password-reset': 'set a new password at Nexudus, and put it into the credentials',
  'token-blocked': 'ask Nexudus to let the egress address of this service through its firewall',
};

/**
 * One set of credentials and the tokens that were issued for it. Renews in the background before the access token
 * ends; remembers a refused login until it may be tried again; backs off from an endpoint that is out of order.
 * What it was told it keeps in a vault, and uses what others put there.
 */
export class TokenSession {
  readonly #box: TokenBox;
  #value: string | undefined;
  #generation = 0;
  #issuedAtMs = 0;
  #expiresAtMs = 0;
  /** The refresh token that Nexudus last said is dead. */
  #spent: string | undefined;
  #flight: Promise<void> | undefined;
  #standstill: Standstill | undefined;
  #failures = 0;
  #refusals = 0;
  #stopped = false;
  #cancelRenewal: (() => void) | undefined;
  /** Of the secrets that are kept out of the log: those in use, and those before. */
  readonly #releases: (() => void)[] = [];

  /** @param loginSinceMs a token whose login is older does not prove these credentials */
  constructor(
    private readonly credentials: Credentials,
    vault: TokenVault,
    private readonly endpoint: TokenEndpoint,
    private readonly clock: Clock,
    private readonly log: AppLogger,
    private readonly redactor: Redactor,
    private readonly observer: SessionObserver,
    private readonly loginSinceMs = -Infinity,
  ) {
    this.#box = vault.open(credentials, () => void this.#adopt());
    this.#holdSecrets();
  }

  get accountName(): string {
    return this.credentials.username;
  }

  /** The access token, as long as it can be used. */
  get token(): string | undefined {
    return this.clock.nowMs() < this.#expiresAtMs ? this.#value : undefined;
  }

  /** Until the token ends; 0 when there is none. */
  get expiresInMs(): number {
    return this.token === undefined ? 0 : this.#expiresAtMs - this.clock.nowMs();
  }

  /** Since the token was issued; 0 when there is none. */
  get ageMs(): number {
    return this.token === undefined ? 0 : this.clock.nowMs() - this.#issuedAtMs;
  }

  /** How long the token endpoint is to be left alone; 0 when it may be asked. */
  get standstillMs(): number {
    return this.#standstill ? Math.max(0, this.#standstill.untilMs - this.clock.nowMs()) : 0;
  }

  /** How many calls in a row said nothing about the credentials. */
  get failures(): number {
    return this.#failures;
  }

  get isRefused(): boolean {
    return this.#refusals > 0;
  }

  /** What a caller hears while there is no token: what the endpoint last said, also while it is asked again. */
  standstillError(): AccessDenied | UpstreamUnavailable {
    const waitMs = this.standstillMs || ASKED_AGAIN_MS;
    return this.#standstill?.error(waitMs) ?? new UpstreamUnavailable('no-token', waitMs);
  }

  /** After a 401: this token is not used again, unless a newer one has replaced it already. */
  discard(token: string): void {
    if (this.#value === token) this.#value = undefined;
  }

  /** One flight for all who want a token. What came of it is in the fields. */
  renew(): Promise<void> {
    this.#flight ??= this.#request().finally(() => {
      this.#flight = undefined;
    });
    return this.#flight;
  }

  /** No more calls: somebody else took over, or the process stops. The token itself stays usable. */
  stop(): void {
    this.#stopped = true;
    this.#cancelRenewal?.();
    this.#box.close();
  }

  /** Those that were replaced last stay: an access token is good to its end, though a newer one is in use. */
  #holdSecrets(pair?: TokenPair): void {
    const { password, totpSecret } = this.credentials;
    this.#releases.push(this.redactor.hold(password, totpSecret, pair?.accessToken, pair?.refreshToken));
    if (this.#releases.length > 2) this.#releases.shift()?.();
  }

  async #request(): Promise<void> {
    const outcome = await this.#box.settle(
      (kept) => this.#known(kept),
      (lease) => this.#ask(lease),
    );
    if (!this.#stopped) this.#take(outcome);
  }

  /** Uses what another replica was issued, as soon as there is word of it. */
  async #adopt(): Promise<void> {
    const kept = await this.#box.look();
    // A renewal that is under way finds it, too; were it taken here, it would be renewed there at once.
    if (this.#flight !== undefined || this.#stopped) return;
    const known = this.#known(kept);
    if (known?.kind === 'issued') this.#take(known);
  }

  /** What is kept says enough where it holds a newer token, or says that nobody is to try now. */
  #known({ pair, refusal }: KeptToken): TokenOutcome | undefined {
    const isNewer = pair !== undefined && pair.generation > this.#generation && this.#isProof(pair);
    if (isNewer && this.clock.nowMs() < usableUntilMs(pair)) return { kind: 'issued', pair };
    if (refusal !== undefined && this.clock.nowMs() < refusal.untilMs) return { kind: 'refused', refusal };
    return undefined;
  }

  #isProof({ loggedInAtMs }: TokenPair): boolean {
    return loggedInAtMs >= this.loginSinceMs;
  }

  /**
   * Spends the refresh token; where there is none, or it is dead, the password. One whose answer was lost is presented
   * once more: that tells whether it is spent, while a login may be refused, spends a code, and may end the token in use.
   */
  async #ask(lease: TokenLease): Promise<TokenOutcome> {
    const isWanted = (): boolean => !this.#stopped && lease.isHeld;
    const { pair } = lease.kept;
    const refreshToken = pair && this.#isProof(pair) ? pair.refreshToken : undefined;
    if (pair !== undefined && refreshToken !== undefined && refreshToken !== this.#spent) {
      if (pair.generation !== this.#generation) this.#holdSecrets(pair);
      const reply = await this.endpoint.refresh(refreshToken, pair, isWanted);
      const { answer } = reply;
      const isSpent =
        answer.kind === 'refused' && (answer.reason === 'invalid-grant' || answer.reason === 'unexplained');
      if (!isSpent) return this.#outcome(reply, lease, pair);
      // Used up, expired, or pushed out by a login with our client_id, as far as anybody says: worth one login, and only
      // that; and none where somebody else has used it up, who has got another for it.
      this.#spent = refreshToken;
      if (!isWanted() || !(await lease.confirm()))
        return { kind: 'unavailable', detail: 'no longer asked for' };
    }
    const reply = await this.endpoint.login(this.credentials, isWanted, lease.formerEndedAtMs);
    return this.#outcome(reply, lease);
  }

  /** @param refreshed the token whose refresh token was spent; without, the password was */
  #outcome({ answer, sentAtMs }: TokenReply, { kept }: TokenLease, refreshed?: TokenPair): TokenOutcome {
    switch (answer.kind) {
      case 'issued': {
        const { accessToken, refreshToken, lifetimeMs } = answer;
        const { clientId, loggedInAtMs } = refreshed ?? { ...this.credentials, loggedInAtMs: sentAtMs };
        const generation = Math.max(kept.pair?.generation ?? 0, this.#generation) + 1;
        const pair = { generation, accessToken, refreshToken, clientId, sentAtMs, lifetimeMs, loggedInAtMs };
        return usableUntilMs(pair) <= this.clock.nowMs()
          ? { kind: 'unavailable', detail: 'a token that ended on the way' }
          : { kind: 'issued', pair };
      }
      case 'refused': {
        const count = (kept.refusal?.count ?? 0) + 1;
        const waitMs = Math.min(LOGIN_AGAIN_AFTER_MS * 2 ** (count - 1), LOGIN_AGAIN_CAP_MS);
        const untilMs = this.clock.nowMs() + waitMs;
        return { kind: 'refused', refusal: { reason: DENIALS[answer.reason], count, untilMs } };
      }
      case 'blocked':
      case 'unavailable':
        return answer;
    }
  }

  #take(outcome: TokenOutcome): void {
    switch (outcome.kind) {
      case 'issued':
        this.#issued(outcome.pair);
        return;
      case 'refused':
        this.#refused(outcome.refusal);
        return;
      case 'blocked':
        this.#blocked(outcome);
        return;
      case 'unavailable':
        this.#unavailable(outcome);
        return;
    }
  }

  #issued(pair: TokenPair): void {
    const { sentAtMs, lifetimeMs } = pair;
    this.#value = pair.accessToken;
    this.#generation = pair.generation;
    this.#issuedAtMs = sentAtMs;
    this.#expiresAtMs = usableUntilMs(pair);
    this.#holdSecrets(pair);
    this.#standstill = undefined;
    this.#failures = this.#refusals = 0;
    this.log.info({ lifetimeSeconds: lifetimeMs / 1000 }, 'Nexudus issued an access token');
    const share = RENEW_AT_SHARE + RENEW_JITTER_SHARE * Math.random();
    const renewAtMs = sentAtMs + Math.min(lifetimeMs * share, RENEW_AT_LATEST_MS);
    this.#renewAfter(Math.max(0, renewAtMs - this.clock.nowMs()));
    this.observer.issued();
  }

  #refused({ reason, count, untilMs }: LoginRefusal): void {
    const isNews = count !== this.#refusals;
    this.#refusals = count;
    const waitMs = Math.max(0, untilMs - this.clock.nowMs());
    this.#standStill(waitMs, (retryAfterMs) => new AccessDenied(reason, retryAfterMs));
    if (!isNews) return;
    this.log.error(
      { reason, retryAfterSeconds: seconds(waitMs), operator: REMEDIES[reason] },
      'Nexudus refused the login: an operator must act; until the credentials change it is tried ever more seldom',
    );
    this.observer.refused(reason);
  }

  #unavailable({ retryAfterMs, detail, againWithinMs }: TokenOutcome & { kind: 'unavailable' }): void {
    const error: Standstill['error'] = (afterMs) => new UpstreamUnavailable('no-token', afterMs);
    const waitMs = this.#backOff(error, retryAfterMs, againWithinMs);
    const fields = { detail, failures: this.#failures, retryAfterSeconds: seconds(waitMs) };
    if (againWithinMs === undefined) this.log.warn(fields, 'The token endpoint of Nexudus gave no token');
    // Nexudus was not asked, and what kept it from being asked has been said.
    else this.log.debug(fields, 'No access token can be had');
    this.observer.unavailable();
  }

  /** A block may end by itself, and costs no login: it is tried again as an outage is. */
  #blocked({ retryAfterMs }: TokenOutcome & { kind: 'blocked' }): void {
    const reason = 'token-blocked';
    const waitMs = this.#backOff((afterMs) => new AccessDenied(reason, afterMs), retryAfterMs);
    this.log.error(
      {
        reason,
        failures: this.#failures,
        retryAfterSeconds: seconds(waitMs),
        operator: REMEDIES[reason],
      },
      'The firewall in front of Nexudus blocks the calls for an access token: an operator must act; it is tried again',
    );
    this.observer.blocked();
  }

  /** @returns how long it stands still */
  #backOff(
    error: Standstill['error'],
    retryAfterMs: number | undefined,
    againWithinMs = OUTAGE_CAP_MS,
  ): number {
    this.#failures += 1;
    const backoff = 100 + backoffMs(this.#failures, Math.random(), againWithinMs);
    // A Retry-After of a day would be a day without a token: it is tried again before.
    const waitMs = Math.max(Math.min(retryAfterMs ?? 0, LONGEST_STANDSTILL_MS), backoff);
    this.#standStill(waitMs, error);
    return waitMs;
  }

  #standStill(waitMs: number, error: Standstill['error']): void {
    this.#standstill = { untilMs: this.clock.nowMs() + waitMs, error };
    this.#renewAfter(waitMs);
  }

  #renewAfter(delayMs: number): void {
    this.#cancelRenewal?.();
    this.#cancelRenewal = this.clock.after(delayMs, () => void this.renew());
  }
}

/** Counted from before the call, and a little short of it: it must not expire on the way. */
function usableUntilMs({ sentAtMs, lifetimeMs }: TokenPair): number {
  return sentAtMs + lifetimeMs - Math.min(2_000, lifetimeMs / 20);
}
