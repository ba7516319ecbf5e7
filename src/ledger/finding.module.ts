import { type BeforeApplicationShutdown, Module } from '@nestjs/common';
import { Announcements } from '../database/announcements.js';
import { MessageFinder } from '../nexudus/message.finder.js';
import { NexudusModule } from '../nexudus/nexudus.module.js';
import { SystemIdTag } from '../nexudus/system-id.tag.js';
import { AppLogger } from '../observability/app-logger.js';
import { ManagementServer } from '../observability/management.server.js';
import { Metrics } from '../observability/metrics.js';
import { OperatorInfo } from '../observability/operator-info.js';
import { OperatorRoutes } from './operator.routes.js';
import { OutcomeFinder } from './outcome.finder.js';
import { UnknownDeliveries } from './unknown.deliveries.js';

/** Finds out unknown outcomes, by looking and by asking operators. */
@Module({
  imports: [NexudusModule],
  providers: [
    {
      provide: OutcomeFinder,
      inject: [
        UnknownDeliveries,
        MessageFinder,
        SystemIdTag,
        Announcements,
        AppLogger,
        Metrics,
        OperatorInfo,
      ],
      useFactory: (...parts: ConstructorParameters<typeof OutcomeFinder>) => new OutcomeFinder(...parts),
    },
    {
      provide: OperatorRoutes,
      inject: [ManagementServer, UnknownDeliveries, AppLogger],
      useFactory: (...parts: ConstructorParameters<typeof OperatorRoutes>) => new OperatorRoutes(...parts),
    },
  ],
})
export class FindingModule implements BeforeApplicationShutdown {
  constructor(
    private readonly finder: OutcomeFinder,
    // Made, so that its routes are there.
    readonly routes: OperatorRoutes,
  ) {}

  async beforeApplicationShutdown(): Promise<void> {
    await this.finder.stop();
  }
}
