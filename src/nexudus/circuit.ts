import type { Clock } from '../clock/clock.js';
import type { AppLogger } from '../observability/app-logger.js';
import { UpstreamUnavailable } from './nexudus.errors.js';

const FAILURES_TO_OPEN = 10;
const FIRST_OPEN_MS = 5_000;
const LONGEST_OPEN_MS = 60_000;

/**
 * Spares a dead upstream, and callers the wait for it. After ten failures in a row nothing is sent for a while;
 * then one harmless read probes, never somebody's message, and until it succeeds the while grows.
 *
 * Not one of the libraries: theirs let the next real call through as the probe, and that would be a message.
 */
export class Circuit {
  readonly #clock: Clock;
  readonly #log: AppLogger;
  readonly #probe: () => Promise<boolean>;
  #failures = 0;
  #openMs = 0;
  #openUntilMs = 0;

  /** @param probe whether the upstream is there; never rejects */
  constructor(clock: Clock, log: AppLogger, probe: () => Promise<boolean>) {
    this.#clock = clock;
    this.#log = log;
    this.#probe = probe;
  }

  get isOpen(): boolean {
    return this.#openMs > 0;
  }

  /** Until the next probe; 0 when the circuit is closed, or the probe is under way. */
  get probesInMs(): number {
    return this.isOpen ? Math.max(0, this.#openUntilMs - this.#clock.nowMs()) : 0;
  }

  /** @throws UpstreamUnavailable while nothing is to be sent, with the time of the next probe */
  check(): void {
    if (this.isOpen) throw new UpstreamUnavailable('circuit-open', this.probesInMs);
  }

  /** The upstream answered, whatever it said. */
  succeeded(): void {
    this.#failures = 0;
  }

  /** No connection, a 5xx, or no answer. */
  failed(): void {
    this.#failures += 1;
    if (this.#failures >= FAILURES_TO_OPEN && !this.isOpen) this.#open(FIRST_OPEN_MS);
  }

  #open(forMs: number): void {
    this.#openMs = forMs;
    this.#openUntilMs = this.#clock.nowMs() + forMs;
    this.#log.error(
      { retryAfterSeconds: forMs / 1000 },
      'Nexudus does not answer: nothing is sent until a probe succeeds',
    );
    this.#clock.after(forMs, () => void this.#tryAgain());
  }

  async #tryAgain(): Promise<void> {
    if (await this.#probe().catch(() => false)) {
      this.#openMs = 0;
      this.#failures = 0;
      this.#log.info({}, 'Nexudus answers again');
    } else {
      this.#open(Math.min(this.#openMs * 2, LONGEST_OPEN_MS));
    }
  }
}
