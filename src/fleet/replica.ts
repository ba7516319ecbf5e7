import { randomUUID } from 'node:crypto';
import type { Clock } from '../clock/clock.js';
import type { Queries } from '../database/database.js';
import { PRESENT_MS } from './gate.js';

/** This replica gives itself up by such a share of its lease earlier than the others do. */
const MARGIN_SHARE = 1 / 5;

/**
 * One life of this process among the replicas, as long as it renews its lease. Its id is a fencing token: after a
 * freeze it lives on under another, and whatever it held before belongs to nobody.
 */
export class Replica {
  #id = '';
  #sureUntilMs = -Infinity;

  /** @param keepsMs how long an event may count in one of its windows */
  constructor(
    private readonly queries: Queries,
    private readonly clock: Clock,
    private readonly leaseMs: number,
    private readonly keepsMs: number,
  ) {}

  /** Empty before the first life. */
  get id(): string {
    return this.#id;
  }

  /** Whether nobody can have taken that life for over, by this process's own clock. */
  isSureOf(id: string): boolean {
    return id === this.#id && this.clock.nowMs() < this.#sureUntilMs;
  }

  /** False when this life is over: the others have ended it. */
  async renew(): Promise<boolean> {
    const id = this.#id;
    const begunAtMs = this.clock.nowMs();
    const rows = await this.queries.query(
      `update bff.replica set lease_until_ms = ${PRESENT_MS} + $2, keeps_ms = $3 where id = $1 returning id`,
      [id, this.leaseMs, this.keepsMs],
    );
    if (id !== this.#id) return true;
    this.#sureUntilMs = rows.length === 0 ? -Infinity : this.#sureAfter(begunAtMs);
    return rows.length > 0;
  }

  /** Begins another life. */
  async register(): Promise<void> {
    const id = randomUUID();
    const begunAtMs = this.clock.nowMs();
    await this.queries.query(
      `insert into bff.replica (id, lease_until_ms, keeps_ms) values ($1, ${PRESENT_MS} + $2, $3)`,
      [id, this.leaseMs, this.keepsMs],
    );
    this.#id = id;
    this.#sureUntilMs = this.#sureAfter(begunAtMs);
  }

  /** Nothing of this life is sent any more. */
  giveUp(): void {
    this.#sureUntilMs = -Infinity;
  }

  #sureAfter(renewedAtMs: number): number {
    return renewedAtMs + this.leaseMs * (1 - MARGIN_SHARE);
  }
}
