import { Injectable } from '@nestjs/common';
import { Clock } from '../clock/clock.js';
import { NexudusConfig } from '../config/sections.js';
import { DatabaseUnavailable } from '../database/database.errors.js';
import { Deadline } from './deadline.js';
import { QuotaExhausted } from './nexudus.errors.js';
import { PacedCalls } from './paced-call.js';

/** What Nexudus says to a token on a route that needs no role. */
export type AccountStatus = 'accepted' | 'refused' | 'other-answer' | 'no-answer';

/** Asks `GET /api/auth/me`: it changes nothing, and 200 there tells a missing role from a bad token. */
@Injectable()
export class AccountCheck {
  constructor(
    private readonly calls: PacedCalls,
    private readonly config: NexudusConfig,
    private readonly clock: Clock,
  ) {}

  /** Never rejects. Without a token the answer says only whether somebody is there. */
  async ask(token: string | undefined): Promise<AccountStatus> {
    const timeoutMs = this.config.attemptTimeoutMs;
    try {
      const headers = {
        accept: 'application/json',
        ...(token !== undefined && { authorization: `Bearer ${token}` }),
      };
      const result = await this.calls.perform(
        () => ({ method: 'GET', path: '/api/auth/me', headers, timeoutMs }),
        new Deadline(this.clock, timeoutMs),
      );
      if (result.kind !== 'answer' || result.status >= 500) return 'no-answer';
      if (result.status === 200) return 'accepted';
      return result.status === 401 ? 'refused' : 'other-answer';
    } catch (error) {
      if (error instanceof QuotaExhausted || error instanceof DatabaseUnavailable) return 'no-answer';
      throw error;
    }
  }
}
