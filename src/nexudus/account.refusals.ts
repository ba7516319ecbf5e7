import { Injectable } from '@nestjs/common';
import { Clock } from '../clock/clock.js';
import type { Interruption } from '../clock/interruption.js';
import { AppLogger } from '../observability/app-logger.js';
import { AccountCheck, type AccountStatus } from './account.check.js';
import type { Deadline } from './deadline.js';
import type { WriteOperation } from './envelope.js';
import { AccessDenied, type AccessDeniedReason } from './nexudus.errors.js';

const REFUSED_FOR_MS = 60_000;
const ROLES = {
  create: 'OpenAiChatMessage-Create',
  replace: 'OpenAiChatMessage-Edit',
  read: 'OpenAiChatMessage-Read',
  list: 'OpenAiChatMessage-List',
} as const;

/** A call that needs a role of its own. */
export type RoledOperation = WriteOperation | 'read' | 'list';

/**
 * Remembers that Nexudus answered 401 to a fresh token: for a minute, no 401 to that operation renews a token again.
 * A 401 says the same of a bad token and of a missing role; one harmless read tells the two apart.
 */
@Injectable()
export class AccountRefusals {
  readonly #refusals = new Map<
    RoledOperation,
    { readonly reason: AccessDeniedReason; readonly untilMs: number }
  >();
  /** However many meet the second 401 together, one asks why. */
  readonly #flights = new Map<RoledOperation, Promise<void>>();

  #generation = 0;

  constructor(
    private readonly account: AccountCheck,
    private readonly clock: Clock,
    private readonly log: AppLogger,
  ) {}

  /** What to tell a caller while the account is refused. `Retry-After` is when a 401 renews a token again. */
  of(operation: RoledOperation): AccessDenied | undefined {
    const { reason, untilMs } = this.#refusals.get(operation) ?? {};
    const leftMs = (untilMs ?? 0) - this.clock.nowMs();
    return reason !== undefined && leftMs > 0 ? new AccessDenied(reason, leftMs) : undefined;
  }

  /**
   * After the second 401 in a row: finds out why, once for all, and remembers it. A caller waits for that no longer
   * than it waits at all.
   */
  async findOut(
    operation: RoledOperation,
    token: string,
    deadline: Deadline,
    abandoned: Interruption,
  ): Promise<AccessDenied> {
    const known = this.of(operation);
    if (known) return known;
    let flight = this.#flights.get(operation);
    if (flight === undefined) {
      flight = this.#ask(operation, token).finally(() => this.#flights.delete(operation));
      this.#flights.set(operation, flight);
    }
    await deadline.orLate(flight, abandoned);
    return this.of(operation) ?? new AccessDenied('unauthorized', REFUSED_FOR_MS);
  }

  /** What is refused now, and until a 401 to it renews a token again. */
  all(): { operation: RoledOperation; reason: AccessDeniedReason; retryAfterMs: number }[] {
    return [...this.#refusals.keys()].flatMap((operation) => {
      const { reason, retryAfterMs } = this.of(operation) ?? {};
      return reason !== undefined && retryAfterMs !== undefined ? [{ operation, reason, retryAfterMs }] : [];
    });
  }

  /** Other credentials are in use: what the old ones lacked says nothing about them. */
  clear(): void {
    this.#refusals.clear();
    this.#generation += 1;
  }

  async #ask(operation: RoledOperation, token: string): Promise<void> {
    const generation = this.#generation;
    const status = await this.account.ask(token);
    if (generation !== this.#generation) return;
    const reason = REASONS[status];
    this.log.error(
      { reason, role: ROLES[operation], retryAfterSeconds: REFUSED_FOR_MS / 1000 },
      REMEDIES[reason](ROLES[operation]),
    );
    this.#refusals.set(operation, { reason, untilMs: this.clock.nowMs() + REFUSED_FOR_MS });
  }
}

const REASONS = {
  accepted: 'missing-role',
  refused: 'token-refused',
  'other-answer': 'unauthorized',
  'no-answer': 'unauthorized',
} as const satisfies Record<AccountStatus, AccessDeniedReason>;

const REMEDIES = {
  'missing-role': (role: string) =>
    `Nexudus accepts the account, but not this call: give it the role ${role}`,
  'token-refused': () => 'Nexudus refuses a token that it has just issued: look at the account there',
  unauthorized: (role: string) =>
    `Nexudus answers 401 to a fresh token, and did not say why: look at the account there, and at its role ${role}`,
} as const;
