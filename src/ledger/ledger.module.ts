import {
  type BeforeApplicationShutdown,
  type DynamicModule,
  Inject,
  Module,
  type ModuleMetadata,
  type OnApplicationShutdown,
} from '@nestjs/common';
import { Clock } from '../clock/clock.js';
import { DeliveriesConfig, IdempotencyConfig } from '../config/sections.js';
import { Announcements } from '../database/announcements.js';
import { Database } from '../database/database.js';
import { Sealer } from '../database/sealer.js';
import { SHARED_IDEMPOTENCY_STORE } from '../idempotency/idempotency.store.js';
import { AccessTokenSource } from '../nexudus/access-token.source.js';
import { Circuit } from '../nexudus/circuit.js';
import { DELIVERY_LINE, DeliveryLine } from '../nexudus/delivery.line.js';
import { NexudusModule } from '../nexudus/nexudus.module.js';
import { Passages } from '../nexudus/passages.js';
import { AppLogger } from '../observability/app-logger.js';
import { Lifecycle } from '../observability/lifecycle.js';
import { Metrics } from '../observability/metrics.js';
import { Background } from './background.js';
import { BlockedDeliveries } from './blocked-deliveries.js';
import { Deliveries } from './deliveries.js';
import { DeliveryPerformer } from './delivery.performer.js';
import { DeliveryRunner } from './delivery.runner.js';
import { Followers } from './followers.js';
import { Ledger } from './ledger.js';
import { Orphans } from './orphans.js';
import { PgDeliveries } from './pg.deliveries.js';
import { PgIdempotencyStore } from './pg.idempotency.store.js';
import { Settlements } from './settlements.js';
import { Sweeper } from './sweeper.js';
import { UnknownDeliveries } from './unknown.deliveries.js';

/** What became of each write, for all replicas, and the writes that were handed over. Loaded only where there is a database. */
@Module({})
export class LedgerModule implements BeforeApplicationShutdown, OnApplicationShutdown {
  constructor(
    private readonly background: Background,
    private readonly runner: DeliveryRunner,
    private readonly sweeper: Sweeper,
    @Inject(DELIVERY_LINE) private readonly line: DeliveryLine,
  ) {}

  /** @param imports where the `DeliveryPerformer` comes from */
  static register(imports: NonNullable<ModuleMetadata['imports']>): DynamicModule {
    return {
      module: LedgerModule,
      global: true,
      imports: [NexudusModule, ...imports],
      providers: [
        {
          provide: Background,
          inject: [Clock, AppLogger],
          useFactory: (...parts: ConstructorParameters<typeof Background>) => new Background(...parts),
        },
        {
          provide: Settlements,
          inject: [Database, Announcements],
          useFactory: (...parts: ConstructorParameters<typeof Settlements>) => new Settlements(...parts),
        },
        {
          provide: Ledger,
          inject: [Database, Sealer, Settlements, Clock, IdempotencyConfig, DeliveriesConfig, AppLogger],
          useFactory: (...parts: ConstructorParameters<typeof Ledger>) => new Ledger(...parts),
        },
        {
          provide: SHARED_IDEMPOTENCY_STORE,
          inject: [Ledger, UnknownDeliveries, Background, Clock],
          useFactory: (...parts: ConstructorParameters<typeof PgIdempotencyStore>) =>
            new PgIdempotencyStore(...parts),
        },
        {
          provide: Deliveries,
          inject: [
            Ledger,
            Followers,
            DELIVERY_LINE,
            Settlements,
            DeliveryPerformer,
            DeliveriesConfig,
            Clock,
            Metrics,
          ],
          useFactory: (...parts: ConstructorParameters<typeof PgDeliveries>) => new PgDeliveries(...parts),
        },
        {
          provide: UnknownDeliveries,
          inject: [Ledger, DELIVERY_LINE, DeliveryPerformer, Settlements],
          useFactory: (...parts: ConstructorParameters<typeof UnknownDeliveries>) =>
            new UnknownDeliveries(...parts),
        },
        {
          provide: Followers,
          inject: [Ledger, DELIVERY_LINE, DeliveryPerformer, Metrics],
          useFactory: (...parts: ConstructorParameters<typeof Followers>) => new Followers(...parts),
        },
        {
          provide: Orphans,
          inject: [Ledger, Followers, DeliveryPerformer, DeliveriesConfig, Clock, Metrics],
          useFactory: (...parts: ConstructorParameters<typeof Orphans>) => new Orphans(...parts),
        },
        {
          provide: BlockedDeliveries,
          inject: [Passages],
          useFactory: (passages: Passages) => new BlockedDeliveries(passages),
        },
        {
          provide: DeliveryRunner,
          inject: [
            Ledger,
            Orphans,
            Followers,
            UnknownDeliveries,
            BlockedDeliveries,
            DeliveryPerformer,
            Settlements,
            Background,
            AccessTokenSource,
            Circuit,
            DeliveriesConfig,
            Lifecycle,
            Clock,
            AppLogger,
            Metrics,
          ],
          useFactory: (...parts: ConstructorParameters<typeof DeliveryRunner>) =>
            new DeliveryRunner(...parts),
        },
        {
          provide: Sweeper,
          inject: [Ledger, Orphans, DELIVERY_LINE, Settlements, Clock, AppLogger, Metrics],
          useFactory: (...parts: ConstructorParameters<typeof Sweeper>) => new Sweeper(...parts),
        },
      ],
      exports: [Ledger, Settlements, Deliveries, UnknownDeliveries, SHARED_IDEMPOTENCY_STORE],
    };
  }

  /** When the database has started. */
  start(): void {
    this.sweeper.start();
    this.line.serve(this.runner);
  }

  /** What is sent is finished, while there is all that it takes. */
  async beforeApplicationShutdown(): Promise<void> {
    await this.sweeper.stop();
    await this.runner.idle();
  }

  async onApplicationShutdown(): Promise<void> {
    await this.background.stop();
  }
}
