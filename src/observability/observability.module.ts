import { type DynamicModule, Module } from '@nestjs/common';
import { Clock, SystemClock } from '../clock/clock.js';
import { ObservabilityConfig } from '../config/sections.js';
import { AppLogger } from './app-logger.js';
import { Lifecycle } from './lifecycle.js';
import { Metrics } from './metrics.js';
import { ManagementServer } from './management.server.js';
import { OperatorInfo } from './operator-info.js';
import { processRedactor, Redactor } from './redactor.js';
import { PassingTracer, Tracer } from './tracer.js';

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
        OperatorInfo,
        { provide: AppLogger, useValue: logger },
        { provide: Clock, useClass: SystemClock },
        { provide: Redactor, useValue: processRedactor },
        {
          provide: Tracer,
          inject: [ObservabilityConfig, Clock, AppLogger],
          useFactory: async ({ otlpEndpoint }: ObservabilityConfig, clock: Clock, log: AppLogger) => {
            if (otlpEndpoint === undefined) return new PassingTracer();
            // Whoever has no collector does not load what it takes to speak to one.
            const { OtlpTracer } = await import('./otlp.tracer.js');
            return new OtlpTracer(otlpEndpoint, clock, log);
          },
        },
      ],
      exports: [AppLogger, Clock, Lifecycle, ManagementServer, Metrics, OperatorInfo, Redactor, Tracer],
    };
  }
}
