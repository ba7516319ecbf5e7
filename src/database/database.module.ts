import { type DynamicModule, Module, type OnApplicationShutdown } from '@nestjs/common';
import { Clock } from '../clock/clock.js';
import type { DatabaseConfig } from '../config/sections.js';
import { FileWatch } from '../files/file-watch.js';
import { AppLogger } from '../observability/app-logger.js';
import { Lifecycle } from '../observability/lifecycle.js';
import { Metrics } from '../observability/metrics.js';
import { OperatorInfo } from '../observability/operator-info.js';
import { Redactor } from '../observability/redactor.js';
import { Announcements } from './announcements.js';
import { Database } from './database.js';
import { DatabaseUrl, readLedgerKeys } from './database.settings.js';
import { migrate, type Migrated } from './migrate.js';
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
          inject: [Clock, AppLogger, Redactor, Lifecycle, Metrics, OperatorInfo],
          useFactory: (
            clock: Clock,
            log: AppLogger,
            redactor: Redactor,
            lifecycle: Lifecycle,
            metrics: Metrics,
            info: OperatorInfo,
          ) => {
            const url = new DatabaseUrl(config, redactor, log);
            let migrated: Migrated | undefined;
            const database = new Database(
              () => url.read(),
              async (inTransaction) => {
                migrated = await migrate(inTransaction);
                if (migrated.steps > 0) log.info(migrated, 'The tables in the database are up to date now');
              },
              clock,
              log,
            );
            lifecycle.require(() => database.isReachable);
            metrics.beforeRead(() => {
              metrics.databaseUp.set({ backend: config.backend }, database.isReachable ? 1 : 0);
            });
            info.add('database', () => ({
              reachable: database.isReachable,
              backend: config.backend,
              migration: migrated?.version ?? null,
            }));
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
      unusable: (error: unknown) => {
        this.log.error(
          { err: error },
          'The ledger keys cannot be used as they are now; the old ones serve on',
        );
      },
    };
    this.#watch = new FileWatch(files, readLedgerKeys(config), this.clock);
  }

  async onApplicationShutdown(): Promise<void> {
    this.#watch?.stop();
    this.announcements.stop();
    await this.database.stop();
  }
}
