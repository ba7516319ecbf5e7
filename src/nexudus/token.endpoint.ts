import { Injectable } from '@nestjs/common';
import { TOTP } from 'otpauth';
import { Clock } from '../clock/clock.js';
import { NexudusConfig } from '../config/sections.js';
import type { Credentials } from './credentials.js';
import { readTokenAnswer, type TokenAnswer } from './token.answer.js';
import { UpstreamTransport } from './upstream.transport.js';

const PATH = '/api/token';

/** The two grants of `POST /api/token`, form-encoded: a JSON body gets `unsupported_grant_type`. */
@Injectable()
export class TokenEndpoint {
  constructor(
    private readonly transport: UpstreamTransport,
    private readonly config: NexudusConfig,
    private readonly clock: Clock,
  ) {}

  /** Password login, with the current two-factor code (RFC 6238) where the account has one. */
  async login({ username, password, totpSecret, clientId }: Credentials): Promise<TokenAnswer> {
    const form = new URLSearchParams({ grant_type: 'password', username, password });
    if (totpSecret !== undefined) {
      const code = totpCode(totpSecret, this.clock.epochMs());
      // Without a code Nexudus would only say the same, and count it as a failed login.
      if (code === undefined) return { kind: 'refused', reason: 'two-factor' };
      form.set('totp', code);
    }
    return this.#request(form, clientId);
  }

  /** Spends the refresh token: it is single use, and bound to the `client_id` of its login. */
  async refresh(refreshToken: string, { clientId }: Credentials): Promise<TokenAnswer> {
    return this.#request(
      new URLSearchParams({ grant_type: 'refresh_token', refresh_token: refreshToken }),
      clientId,
    );
  }

  async #request(form: URLSearchParams, clientId: string): Promise<TokenAnswer> {
    const result = await this.transport.send({
      method: 'POST',
      path: PATH,
      headers: {
        'content-type': 'application/x-www-form-urlencoded',
        accept: 'application/json',
        client_id: clientId,
      },
      body: form.toString(),
      timeoutMs: this.config.attemptTimeoutMs,
    });
    return readTokenAnswer(result, this.clock.epochMs());
  }
}

/** `undefined` when the secret is not base32. */
function totpCode(secret: string, epochMs: number): string | undefined {
  try {
    return new TOTP({ secret }).generate({ timestamp: epochMs });
  } catch {
    return undefined;
  }
}
