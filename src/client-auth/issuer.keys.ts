import { createLocalJWKSet, errors, type JSONWebKeySet, type JWTVerifyGetKey } from 'jose';
import type { Clock } from '../clock/clock.js';
import type { AppLogger } from '../observability/app-logger.js';
import { seconds } from '../observability/operator-info.js';
import type { Problem } from '../problem-details/problem.js';
import { IssuerUnusable } from './issuer.endpoint.js';
import { issuerUnavailable } from './refusals.js';

/** Finds the key that a token was signed with, among those of one fetch. */
export type KeySet = ReturnType<typeof createLocalJWKSet>;

/** How long a key that the issuer has withdrawn may still be accepted. */
const REFRESH_MS = 10 * 60_000;
/**
 * How long keys serve while the issuer cannot be asked: about as long as the tokens that it issued before live.
 * Longer would be to trust what nobody has confirmed.
 */
const TRUSTED_MS = 60 * 60_000;
/**
 * A token with a key that is not known costs nobody anything to make: it has us ask at most this often. For as long, a
 * stranger's may keep the first token with a new key from being known.
 */
const UNKNOWN_KEY_COOLDOWN_MS = 5_000;
/** After a failed fetch, doubled with each in a row. */
const RETRY_MS = 1_000;
const RETRY_CAP_MS = 60_000;
/** Of the whole fetch, discovery included: callers may wait for it. */
const FETCH_TIMEOUT_MS = 3_000;

/**
 * Holds the keys of the issuer. Refreshes them in the background, so that a caller waits for a fetch only when there
 * are no keys, or for one that is not known yet; however many wait, one fetch is under way.
 */
export class IssuerKeys {
  #set: KeySet | undefined;
  /** The text of the keys in the set. */
  #source: string | undefined;
  #trustedUntilMs = 0;
  #flight: Promise<void> | undefined;
  #abort = new AbortController();
  #failures = 0;
  /** Until then no token makes us ask. */
  #quietUntilMs = 0;
  #nextFetchAtMs = 0;
  #cancelNext: () => void = () => undefined;
  #stopped = false;

  constructor(
    private readonly fetchKeys: (signal: AbortSignal) => Promise<JSONWebKeySet>,
    private readonly clock: Clock,
    private readonly log: AppLogger,
  ) {}

  /** Fetches in the background, before a caller has to wait for it. An issuer that is down must not keep us down. */
  start(): void {
    void this.#fetch();
  }

  stop(): void {
    this.#stopped = true;
    this.#cancelNext();
    this.#abort.abort();
  }

  /** The keys that can be relied on at present. */
  get current(): KeySet | undefined {
    return this.clock.nowMs() < this.#trustedUntilMs ? this.#set : undefined;
  }

  /**
   * For `jwtVerify`.
   *
   * @throws JWKSNoMatchingKey when the issuer does not have the key
   * @throws Problem `upstream-unavailable` when that cannot be told
   */
  readonly find: JWTVerifyGetKey = async (header, token) => {
    if (this.current === undefined) await this.#ask();
    try {
      return await this.#relied(header, token);
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey)) throw error;
    }
    // Perhaps a key that is newer than those that are known.
    if (await this.#ask()) this.#quiet(UNKNOWN_KEY_COOLDOWN_MS);
    if (this.#failures > 0) throw this.unusable();
    return this.#relied(header, token);
  };

  /** What a caller hears whose token cannot be judged before the keys are fetched again. */
  unusable(): Problem {
    return issuerUnavailable(this.#nextFetchAtMs - this.clock.nowMs());
  }

  readonly #relied: JWTVerifyGetKey = (header, token) => {
    if (this.current === undefined) throw this.unusable();
    return this.current(header, token);
  };

  /** Fetches for the sake of a token, or joins who does; false when it is too early for that. */
  async #ask(): Promise<boolean> {
    if (this.#flight === undefined && this.clock.nowMs() < this.#quietUntilMs) return false;
    await this.#fetch();
    return true;
  }

  /** One flight for all. Never rejects: what came of it is in the fields. */
  #fetch(): Promise<void> {
    this.#flight ??= this.#request().finally(() => {
      this.#flight = undefined;
    });
    return this.#flight;
  }

  async #request(): Promise<void> {
    this.#cancelNext();
    this.#abort = new AbortController();
    const cancelTimeout = this.clock.after(FETCH_TIMEOUT_MS, () => {
      this.#abort.abort();
    });
    let waitMs = REFRESH_MS;
    try {
      const keys = await this.fetchKeys(this.#abort.signal);
      const source = JSON.stringify(keys);
      // The same keys stay the same set, so that what they have verified stays known.
      if (source !== this.#source) this.#set = createLocalJWKSet(keys);
      this.#source = source;
      this.#trustedUntilMs = this.clock.nowMs() + TRUSTED_MS;
      this.#failures = 0;
      this.log.info({ keys: keys.keys.length }, 'The keys of the issuer were fetched');
    } catch (error) {
      waitMs = Math.min(RETRY_MS * 2 ** this.#failures, RETRY_CAP_MS);
      this.#failures += 1;
      this.#quiet(waitMs);
      if (!this.#stopped) this.#warn(error, waitMs);
    } finally {
      cancelTimeout();
    }
    this.#nextFetchAtMs = this.clock.nowMs() + waitMs;
    if (!this.#stopped) this.#cancelNext = this.clock.after(waitMs, () => void this.#fetch());
  }

  #quiet(ms: number): void {
    this.#quietUntilMs = Math.max(this.#quietUntilMs, this.clock.nowMs() + ms);
  }

  #warn(error: unknown, waitMs: number): void {
    this.log.warn(
      {
        reason: error instanceof IssuerUnusable ? error.message : 'the keys are not a JSON Web Key Set',
        failures: this.#failures,
        retryAfterSeconds: seconds(waitMs),
        keysInUse: this.current !== undefined,
      },
      'The keys of the issuer cannot be fetched',
    );
  }
}
