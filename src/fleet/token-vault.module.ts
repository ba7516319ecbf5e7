import { type DynamicModule, Module } from '@nestjs/common';
import { Clock } from '../clock/clock.js';
import { NexudusConfig } from '../config/sections.js';
import { Announcements } from '../database/announcements.js';
import { Database } from '../database/database.js';
import { Sealer } from '../database/sealer.js';
import { SHARED_TOKEN_VAULT } from '../nexudus/token.vault.js';
import { AppLogger } from '../observability/app-logger.js';
import { PgTokenVault } from './pg.token.vault.js';

/** The token that all replicas use. Loaded only where there is a database. */
@Module({})
export class TokenVaultModule {
  static register(): DynamicModule {
    return {
      module: TokenVaultModule,
      global: true,
      providers: [
        {
          provide: SHARED_TOKEN_VAULT,
          inject: [Database, Announcements, Sealer, NexudusConfig, Clock, AppLogger],
          useFactory: (
            database: Database,
            announcements: Announcements,
            sealer: Sealer,
            config: NexudusConfig,
            clock: Clock,
            log: AppLogger,
          ) => new PgTokenVault(database, announcements, sealer, config, clock, log),
        },
      ],
      exports: [SHARED_TOKEN_VAULT],
    };
  }
}
