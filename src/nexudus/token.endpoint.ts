import { Injectable } from '@nestjs/common';
import { TOTP } from 'otpauth';
import { Clock } from '../clock/clock.js';
import { NexudusConfig } from '../config/sections.js';
import { DatabaseUnavailable } from '../database/database.errors.js';
import { Metrics } from '../observability/metrics.js';
import type { Credentials } from './credentials.js';
import { Deadline } from './deadline.js';
import { QuotaExhausted } from './nexudus.errors.js';
import { PacedCalls } from './paced-call.js';
import { readTokenAnswer, type TokenAnswer } from './token.answer.js';

const PATH = '/api/token';
/** Of a one-time code (RFC 6238 section 4). */
const TOTP_PERIOD_MS = 30_000;
/** How long a token call may wait for its turn: every write waits for it. */
const TURN_WITHIN_MS = 60_000;

/** An answer, and when the call that it answers was sent: a lifetime counts from there. */
export interface TokenReply {
  readonly answer: TokenAnswer;
  /** On the clock's monotonic scale. */
  readonly sentAtMs: number;
}

/** The two grants of `POST /api/token`, form-encoded: a JSON body gets `unsupported_grant_type`. */
@Injectable()
export class TokenEndpoint {
  /** The last 30 seconds for which a code was sent, by secret: a code is good for once (RFC 6238 section 5.2). */
  readonly #spentSteps = new Map<string, number>();
  /** Logins with a code go one after the other, so that two never take the same one. */
  #lastCoded: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly calls: PacedCalls,
    private readonly config: NexudusConfig,
    private readonly clock: Clock,
    private readonly metrics: Metrics,
  ) {}

  /**
   * Password login, with the current two-factor code where the account has one. Never rejects.
   *
   * @param isWanted asked before anything is sent: credentials that were replaced meanwhile are not tried
   * @param othersUntilMs when another process may last have sent a code, on the clock's monotonic scale
   */
  async login(
    { username, password, totpSecret, clientId }: Credentials,
    isWanted: () => boolean,
    othersUntilMs = -Infinity,
  ): Promise<TokenReply> {
    const form = (totp?: string): URLSearchParams =>
      new URLSearchParams({
        grant_type: 'password',
        username,
        password,
        ...(totp !== undefined && { totp }),
      });
    if (totpSecret === undefined) return this.#request(form, clientId, isWanted);
    const login = this.#lastCoded.then(async () => {
      await this.#untilUnspent(totpSecret, isWanted, othersUntilMs);
      return this.#request(() => form(this.#spendCode(totpSecret)), clientId, isWanted);
    });
    // One that failed in a way that never should must not keep all others from logging in.
    this.#lastCoded = login.catch(() => undefined);
    return login;
  }

  /** Spends the refresh token: it is single use, and bound to the `client_id` of its login. Never rejects. */
  async refresh(
    refreshToken: string,
    { clientId }: Pick<Credentials, 'clientId'>,
    isWanted: () => boolean,
  ): Promise<TokenReply> {
    const form = new URLSearchParams({ grant_type: 'refresh_token', refresh_token: refreshToken });
    return this.#request(() => form, clientId, isWanted);
  }

  /** @param makeForm made when the call's turn has come: a code is good for seconds, and a turn may take as long */
  async #request(
    makeForm: () => URLSearchParams,
    clientId: string,
    isWanted: () => boolean,
  ): Promise<TokenReply> {
    let sentAtMs = this.clock.nowMs();
    let grant = 'none';
    let answer: TokenAnswer;
    try {
      const result = await this.calls.perform(
        () => {
          sentAtMs = this.clock.nowMs();
          const form = isWanted() ? makeForm() : new URLSearchParams();
          grant = form.get('grant_type') ?? grant;
          return {
            method: 'POST',
            path: PATH,
            headers: {
              'content-type': 'application/x-www-form-urlencoded',
              accept: 'application/json',
              client_id: clientId,
            },
            body: form.toString(),
            timeoutMs: this.config.attemptTimeoutMs,
            isWanted,
          };
        },
        new Deadline(this.clock, TURN_WITHIN_MS),
      );
      answer = readTokenAnswer(result, this.clock.epochMs());
    } catch (error) {
      const reason = withoutTurn(error);
      if (reason === undefined) throw error;
      answer = { kind: 'unavailable', ...reason };
    }
    this.metrics.tokenRequests.inc({ grant, result: answer.kind });
    return { answer, sentAtMs };
  }

  /** Waits for the next 30 seconds, where the code of these was sent already. */
  async #untilUnspent(secret: string, isWanted: () => boolean, othersUntilMs: number): Promise<void> {
    const othersStep = stepOf(this.clock.epochMs() - this.clock.nowMs() + othersUntilMs);
    const nextMs = (Math.max(this.#spentSteps.get(secret) ?? -1, othersStep) + 1) * TOTP_PERIOD_MS;
    // Never longer than one period, though the machine's clock may have been set back.
    const waitMs = Math.min(nextMs - this.clock.epochMs(), TOTP_PERIOD_MS);
    if (waitMs > 0 && isWanted()) await this.clock.sleep(waitMs);
  }

  /** The code of these 30 seconds. */
  #spendCode(secret: string): string {
    const now = stepOf(this.clock.epochMs());
    // Secrets that were in use before are forgotten when none of their codes is good any more, not sooner.
    for (const [other, step] of this.#spentSteps) if (step < now) this.#spentSteps.delete(other);
    this.#spentSteps.set(secret, now);
    return new TOTP({ secret }).generate({ timestamp: this.clock.epochMs() });
  }
}

/** Why a call did not get its turn, and nothing was sent; `undefined` for a fault of ours. */
function withoutTurn(error: unknown): { retryAfterMs: number | undefined; detail: string } | undefined {
  if (error instanceof QuotaExhausted) {
    return { retryAfterMs: error.retryAfterMs, detail: 'the quota of calls is spent' };
  }
  return error instanceof DatabaseUnavailable
    ? { retryAfterMs: undefined, detail: 'the database is away' }
    : undefined;
}

/** Which 30 seconds since the Unix epoch (RFC 6238 section 4.2). */
function stepOf(epochMs: number): number {
  return Math.floor(epochMs / TOTP_PERIOD_MS);
}
