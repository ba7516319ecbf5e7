import type { Clock } from '../clock/clock.js';
import type { AppLogger } from '../observability/app-logger.js';
import { type Credentials, CredentialsUnusable } from './credentials.js';

const EVERY_MS = 1_000;

/**
 * Notices when the credentials change. It reads the few small files every second and compares, rather than ask the
 * kernel to be told: that sees every way in which they change (the `..data` link of a Kubernetes volume, a file
 * written in place, a directory mounted anew) on every file system. What it reads must be the same twice in a row
 * before it counts, so that a set that is half-written is not tried.
 */
export class CredentialsWatch {
  /** The set that was reported last. */
  #known: string;
  /** A set that differs from it, seen once. */
  #seen: string | undefined;
  #complaint: string | undefined;
  #cancel: () => void;
  #stopped = false;

  constructor(
    private readonly read: () => Promise<Credentials>,
    current: Credentials,
    private readonly clock: Clock,
    private readonly log: AppLogger,
    private readonly changed: (credentials: Credentials) => void,
  ) {
    this.#known = fingerprint(current);
    this.#cancel = this.#again();
  }

  stop(): void {
    this.#stopped = true;
    this.#cancel();
  }

  #again(): () => void {
    return this.clock.after(EVERY_MS, () => {
      void this.#look().then(() => {
        if (!this.#stopped) this.#cancel = this.#again();
      });
    });
  }

  async #look(): Promise<void> {
    const credentials = await this.read().catch((error: unknown) => {
      this.#complain(error);
      return undefined;
    });
    if (credentials === undefined || this.#stopped) return;
    this.#complaint = undefined;
    const found = fingerprint(credentials);
    if (found === this.#known) {
      this.#seen = undefined;
    } else if (found === this.#seen) {
      this.#known = found;
      this.#seen = undefined;
      this.changed(credentials);
    } else {
      this.#seen = found;
    }
  }

  /** Once for each thing that is wrong, not every second. */
  #complain(error: unknown): void {
    this.#seen = undefined;
    const reason = error instanceof CredentialsUnusable ? error.message : 'cannot be read';
    if (reason === this.#complaint) return;
    this.#complaint = reason;
    this.log.error({ reason }, 'The credentials cannot be used as they are now; the old ones serve on');
  }
}

function fingerprint({ username, password, totpSecret, clientId }: Credentials): string {
  return JSON.stringify([username, password, totpSecret, clientId]);
}
