import { Injectable } from '@nestjs/common';
import { TOTP } from 'otpauth';
import { Clock } from '../clock/clock.js';
import { NexudusConfig } from '../config/sections.js';
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

/** The two grants of `POST /api/token`, form-encoded: a JSON body gets `unsupported_grant_type`. */
@Injectable()
export class TokenEndpoint {
  /** The 30 seconds for which a code was sent last, by secret. */
  readonly #spentCodes = new Map<string, number>();

  constructor(
    private readonly calls: PacedCalls,
    private readonly config: NexudusConfig,
    private readonly clock: Clock,
    private readonly metrics: Metrics,
  ) {}

  /** Password login, with the current two-factor code where the account has one. Never rejects. */
  async login({ username, password, totpSecret, clientId }: Credentials): Promise<TokenAnswer> {
    const form = new URLSearchParams({ grant_type: 'password', username, password });
    if (totpSecret !== undefined) {
      const code = await this.#unspentCode(totpSecret);
      // Without a code Nexudus would only say the same, and count it as a failed login.
      if (code === undefined) return { kind: 'refused', reason: 'two-factor' };
      form.set('totp', code);
    }
    return this.#request(form, clientId);
  }

  /** Spends the refresh token: it is single use, and bound to the `client_id` of its login. Never rejects. */
  async refresh(refreshToken: string, { clientId }: Credentials): Promise<TokenAnswer> {
    return this.#request(
      new URLSearchParams({ grant_type: 'refresh_token', refresh_token: refreshToken }),
      clientId,
    );
  }

  async #request(form: URLSearchParams, clientId: string): Promise<TokenAnswer> {
    const answer = await this.#send(form, clientId);
    this.metrics.tokenRequests.inc({ grant: form.get('grant_type') ?? '', result: answer.kind });
    return answer;
  }

  async #send(form: URLSearchParams, clientId: string): Promise<TokenAnswer> {
    try {
      const headers = {
        'content-type': 'application/x-www-form-urlencoded',
        accept: 'application/json',
        client_id: clientId,
      };
      const result = await this.calls.perform(
        {
          method: 'POST',
          path: PATH,
          headers,
          body: form.toString(),
          timeoutMs: this.config.attemptTimeoutMs,
        },
        new Deadline(this.clock, TURN_WITHIN_MS),
      );
      return readTokenAnswer(result, this.clock.epochMs());
    } catch (error) {
      if (!(error instanceof QuotaExhausted)) throw error;
      return { kind: 'unavailable', retryAfterMs: error.retryAfterMs, detail: 'the quota of calls is spent' };
    }
  }

  /**
   * The code of these 30 seconds, or of the next where that was sent already: a code is good for once (RFC 6238
   * section 5.2). `undefined` when the secret is not base32.
   */
  async #unspentCode(secret: string): Promise<string | undefined> {
    let step = Math.floor(this.clock.epochMs() / TOTP_PERIOD_MS);
    if (step <= (this.#spentCodes.get(secret) ?? -1)) {
      step = (this.#spentCodes.get(secret) ?? step) + 1;
      await this.clock.sleep(step * TOTP_PERIOD_MS - this.clock.epochMs());
    }
    this.#spentCodes.set(secret, step);
    try {
      return new TOTP({ secret }).generate({ timestamp: step * TOTP_PERIOD_MS });
    } catch {
      return undefined;
    }
  }
}
