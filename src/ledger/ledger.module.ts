import { type BeforeApplicationShutdown, type DynamicModule, Module } from '@nestjs/common';
import { Clock } from '../clock/clock.js';
import { DeliveriesConfig, IdempotencyConfig } from '../config/sections.js';
import { Announcements } from '../database/announcements.js';
import { Database } from '../database/database.js';
import { Sealer } from '../database/sealer.js';
import { SHARED_IDEMPOTENCY_STORE } from '../idempotency/idempotency.store.js';
import { AppLogger } from '../observability/app-logger.js';
import { Background } from './background.js';
import { Ledger } from './ledger.js';
import { PgIdempotencyStore } from './pg.idempotency.store.js';
import { Settlements } from './settlements.js';

/** What became of each write, for all replicas. Loaded only where there is a database. */
@Module({})
export class LedgerModule implements BeforeApplicationShutdown {
  constructor(private readonly background: Background) {}

  static register(): DynamicModule {
    return {
      module: LedgerModule,
      global: true,
      providers: [
        {
          provide: Background,
          inject: [Clock, AppLogger],
          useFactory: (clock: Clock, log: AppLogger) => new Background(clock, log),
        },
        {
          provide: Settlements,
          inject: [Database, Announcements],
          useFactory: (database: Database, announcements: Announcements) =>
            new Settlements(database, announcements),
        },
        {
          provide: Ledger,
          inject: [Database, Sealer, Settlements, Clock, IdempotencyConfig, DeliveriesConfig],
          useFactory: (
            database: Database,
            sealer: Sealer,
            settlements: Settlements,
            clock: Clock,
            idempotency: IdempotencyConfig,
            deliveries: DeliveriesConfig,
          ) => new Ledger(database, sealer, settlements, clock, idempotency, deliveries),
        },
        {
          provide: SHARED_IDEMPOTENCY_STORE,
          inject: [Ledger, Background, Clock],
          useFactory: (ledger: Ledger, background: Background, clock: Clock) =>
            new PgIdempotencyStore(ledger, background, clock),
        },
      ],
      exports: [Ledger, Settlements, SHARED_IDEMPOTENCY_STORE],
    };
  }

  async beforeApplicationShutdown(): Promise<void> {
    await this.background.stop();
  }
}
