import type { Clock } from '../clock/clock.js';

const EVERY_MS = 1_000;

/** Some small files, what they mean, and who wants to know when that changes. */
export interface WatchedFiles<T> {
  /** Rejects when they are not usable as they are. */
  read(): Promise<T>;
  /** Tells two contents apart. */
  fingerprint(content: T): string;
  /** They hold something else than was known. */
  changed(content: T): void;
  /** They are not usable; called once for each thing that is wrong, with what `read` rejected with. */
  unusable(error: unknown): void;
}

/**
 * Notices when files change. It reads them every second and compares, rather than ask the kernel to be told: that
 * sees every way in which they change (the `..data` link of a Kubernetes volume, a file written in place, a directory
 * mounted anew) on every file system. Whatever it finds, a fault too, must be the same twice in a row before it
 * counts, so that files that are half-written are neither tried nor complained about.
 */
export class FileWatch<T> {
  /** The content that was reported last. */
  #known: string;
  /** What the last look found, and what was found twice last: a content or a fault. */
  #seen: string | undefined;
  #settled: string | undefined;
  #isUsable = true;
  #cancel: () => void;
  #stopped = false;

  constructor(
    private readonly files: WatchedFiles<T>,
    current: T,
    private readonly clock: Clock,
  ) {
    this.#known = files.fingerprint(current);
    this.#cancel = this.#again();
  }

  /** Whether the files can be used as they are now. */
  get isUsable(): boolean {
    return this.#isUsable;
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
    let found: string;
    let settle: () => void;
    try {
      const content = await this.files.read();
      const fingerprint = this.files.fingerprint(content);
      found = `content ${fingerprint}`;
      settle = () => {
        this.#isUsable = true;
        if (fingerprint === this.#known) return;
        this.#known = fingerprint;
        this.files.changed(content);
      };
    } catch (error) {
      found = `fault ${(error as Error).message}`;
      settle = () => {
        this.#isUsable = false;
        this.files.unusable(error);
      };
    }
    if (this.#stopped) return;
    const isSecondTime = found === this.#seen;
    this.#seen = found;
    if (!isSecondTime || found === this.#settled) return;
    this.#settled = found;
    settle();
  }
}
