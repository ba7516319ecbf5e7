import { type DynamicModule, Module } from '@nestjs/common';
import { Clock, SystemClock } from '../clock/clock.js';
import { AppLogger } from './app-logger.js';
import { Lifecycle } from './lifecycle.js';
import { Metrics } from './metrics.js';
import { ManagementServer } from './management.server.js';

/** What every part may use to be seen, and the clock. */
@Module({})
export class ObservabilityModule {
  static register(logger: AppLogger): DynamicModule {
    return {
      module: ObservabilityModule,
      global: true,
      providers: [
        Lifecycle,
        ManagementServer,
        Metrics,
        { provide: AppLogger, useValue: logger },
        { provide: Clock, useClass: SystemClock },
      ],
      exports: [AppLogger, Clock, Lifecycle, Metrics],
    };
  }
}
