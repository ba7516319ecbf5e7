import { type DynamicModule, Module } from '@nestjs/common';
import { Clock } from '../clock/clock.js';
import { NexudusConfig } from '../config/sections.js';
import { Announcements } from '../database/announcements.js';
import { Database } from '../database/database.js';
import { DELIVERY_LINE } from '../nexudus/delivery.line.js';
import { SHARED_PACER } from '../nexudus/pacer.js';
import { AppLogger } from '../observability/app-logger.js';
import { Fleet } from './fleet.js';
import { PgDeliveryLine } from './pg.delivery.line.js';
import { PgPacer } from './pg.pacer.js';

/** What makes one service of many replicas: who is alive, one line, one quota. Loaded only where there is a database. */
@Module({})
export class FleetModule {
  constructor(private readonly fleet: Fleet) {}

  static register(): DynamicModule {
    return {
      module: FleetModule,
      global: true,
      providers: [
        {
          provide: Fleet,
          inject: [NexudusConfig, Database, Announcements, Clock, AppLogger],
          useFactory: (
            { writeLimits, callLimits, reserveShare }: NexudusConfig,
            database: Database,
            announcements: Announcements,
            clock: Clock,
            log: AppLogger,
          ) => {
            const limits = { write: writeLimits, call: callLimits, reserveShare };
            const fleet = new Fleet(limits, database, announcements, clock, log);
            database.beforeStop(() => fleet.stop());
            return fleet;
          },
        },
        { provide: SHARED_PACER, inject: [Fleet], useFactory: ({ line }: Fleet) => new PgPacer(line) },
        {
          provide: DELIVERY_LINE,
          inject: [Fleet, Database],
          useFactory: ({ line }: Fleet, database: Database) => new PgDeliveryLine(line, database),
        },
      ],
      exports: [SHARED_PACER, DELIVERY_LINE],
    };
  }

  /** When the database has started. */
  async start(): Promise<void> {
    await this.fleet.start();
  }
}
