import type { Clock } from '../clock/clock.js';
import { FileWatch } from '../files/file-watch.js';
import type { AppLogger } from '../observability/app-logger.js';
import type { Metrics } from '../observability/metrics.js';
import { ApiKeys, ApiKeysUnusable } from './api-keys.js';

/** The file of API keys: a change is taken up without a restart, one that is broken keeps the last good keys. */
export class ApiKeysFile {
  readonly #watch: FileWatch<ApiKeys>;

  private constructor(
    path: string,
    public keys: ApiKeys,
    clock: Clock,
    log: AppLogger,
    metrics: Metrics,
  ) {
    const files = {
      read: () => ApiKeys.read(path),
      fingerprint: ({ source }: ApiKeys) => source,
      changed: (found: ApiKeys) => {
        this.keys = found;
        log.info({ keys: found.size }, 'The API keys have changed: the new ones are in use');
      },
      unusable: (error: unknown) => {
        const reason = error instanceof ApiKeysUnusable ? error.message : 'cannot be read';
        log.error({ reason }, 'The file of API keys cannot be used as it is now; the old keys serve on');
      },
    };
    this.#watch = new FileWatch(files, keys, clock);
    metrics.beforeRead(() => {
      metrics.clientApiKeysRejected.set(this.#watch.isUsable ? 0 : 1);
    });
  }

  /** @throws ApiKeysUnusable when it is not usable to begin with */
  static async open(path: string, clock: Clock, log: AppLogger, metrics: Metrics): Promise<ApiKeysFile> {
    return new ApiKeysFile(path, await ApiKeys.read(path), clock, log, metrics);
  }

  stop(): void {
    this.#watch.stop();
  }
}
