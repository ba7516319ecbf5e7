import type { Clock } from '../clock/clock.js';
import type { KeptToken, TokenLease } from '../nexudus/token.vault.js';
import type { Fence } from './token.row.js';

/** How long the others wait for one that was killed: longer than the database may be slow. */
export const LEASE_MS = 15_000;
const EXTEND_EVERY_MS = 4_000;

/** What the database gave out. */
export interface TakenLease extends Pick<TokenLease, 'kept' | 'formerEndedAtMs'> {
  readonly fence: Fence;
}

/** The right to ask for a token, which lasts as long as its holder is alive and the database knows it. */
export class PgTokenLease implements TokenLease {
  readonly kept: KeptToken;
  readonly formerEndedAtMs: number | undefined;
  readonly fence: Fence;
  #endsAtMs: number;
  #stopped = false;
  #cancel: () => void = () => undefined;

  /**
   * @param askedAtMs before the database was asked for it: there it ends no sooner than here
   * @param extend false when it has ended, nothing when that could not be told
   */
  constructor(
    { kept, formerEndedAtMs, fence }: TakenLease,
    askedAtMs: number,
    private readonly extend: () => Promise<boolean | undefined>,
    private readonly clock: Clock,
  ) {
    this.kept = kept;
    this.formerEndedAtMs = formerEndedAtMs;
    this.fence = fence;
    this.#endsAtMs = askedAtMs + LEASE_MS;
    this.#extendLater();
  }

  get isHeld(): boolean {
    return this.clock.nowMs() < this.#endsAtMs;
  }

  async confirm(): Promise<boolean> {
    const askedAtMs = this.clock.nowMs();
    const isHeld = await this.extend();
    if (isHeld !== undefined) this.#endsAtMs = isHeld ? askedAtMs + LEASE_MS : -Infinity;
    return isHeld ?? false;
  }

  stopExtending(): void {
    this.#stopped = true;
    this.#cancel();
  }

  #extendLater(): void {
    this.#cancel = this.clock.after(EXTEND_EVERY_MS, () => {
      void this.confirm().then(() => {
        if (!this.#stopped && this.isHeld) this.#extendLater();
      });
    });
  }
}
