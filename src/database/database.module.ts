import { type DynamicModule, Module, type OnApplicationShutdown } from '@nestjs/common';
import { Clock } from '../clock/clock.js';
import type { DatabaseConfig } from '../config/sections.js';
import { FileWatch } from '../files/file-watch.js';
import { AppLogger } from '../observability/app-logger.js';
import { Lifecycle } from '../observability/lifecycle.js';
import { Announcements } from './announcements.js';
import { Database } from './database.js';
import { readDatabaseUrl, readLedgerKeys } from './database.settings.js';
import { migrate } from './migrate.js';
import { Sealer } from './sealer.js';

/** The database that all replicas share. Loaded only where there is one. */
@Module({})
export class DatabaseModule implements OnApplicationShutdown {
  #watch: FileWatch<ReturnType<typeof readLedgerKeys>> | undefined;

  constructor(
    private readonly database: Database,
    private readonly announcements: Announcements,
    private readonly sealer: Sealer,
    private readonly clock: Clock,
    private readonly log: AppLogger,
  ) {}

  static register(config: DatabaseConfig): DynamicModule {
    return {
      module: DatabaseModule,
      global: true,
      providers: [
        {
          provide: Database,
          inject: [Clock, AppLogger, Lifecycle],
          useFactory: (clock: Clock, log: AppLogger, lifecycle: Lifecycle) => {
            // So that a file that holds none ends the start, and not the first call.
            readDatabaseUrl(config);
            const database = new Database(() => readDatabaseUrl(config), migrate, clock, log);
            lifecycle.require(() => database.isReachable);
            return database;
          },
        },
        {
          provide: Announcements,
          inject: [Database, Clock],
          useFactory: (database: Database, clock: Clock) =>
            new Announcements(database, config.backend, clock),
        },
        { provide: Sealer, useFactory: () => new Sealer(readLedgerKeys(config)) },
      ],
      exports: [Database, Announcements, Sealer],
    };
  }

  /** When everybody who listens has said so. */
  async start(config: DatabaseConfig): Promise<void> {
    await this.database.start();
    this.announcements.start();
    if (config.keys.kind === 'value') return;
    const files = {
      read: () => Promise.resolve(readLedgerKeys(config)),
      fingerprint: (keys: ReturnType<typeof readLedgerKeys>) =>
        keys.map(({ id, secret }) => `${id}:${secret.toString('base64')}`).join(),
      changed: (keys: ReturnType<typeof readLedgerKeys>) => {
        this.sealer.replace(keys);
        this.log.info({ keys: keys.map(({ id }) => id) }, 'The ledger keys have changed');
      },
      unusable: () => {
        this.log.error({}, 'The ledger keys cannot be used as they are now; the old ones serve on');
      },
    };
    this.#watch = new FileWatch(files, readLedgerKeys(config), this.clock);
  }

  async onApplicationShutdown(): Promise<void> {
    this.#watch?.stop();
    await this.announcements.stop();
    await this.database.stop();
  }
}
