import { type DynamicModule, Module } from '@nestjs/common';
import { APP_PIPE } from '@nestjs/core';
import { ApiDocsModule } from './api-docs/api-docs.module.js';
import { ChatMessagesModule } from './chat-messages/chat-messages.module.js';
import { ClientAuthModule } from './client-auth/client-auth.module.js';
import { AppConfigModule } from './config/config.module.js';
import type { AppConfig } from './config/sections.js';
import { NexudusModule } from './nexudus/nexudus.module.js';
import type { AppLogger } from './observability/app-logger.js';
import { ObservabilityModule } from './observability/observability.module.js';
import { ProblemDetailsModule } from './problem-details/problem-details.module.js';
import { ValidateBodyPipe } from './request-body/validate-body.pipe.js';
import type { SharedState } from './shared-state.js';

/** The map of the service. */
@Module({})
export class AppModule {
  static register(config: AppConfig, logger: AppLogger, shared: SharedState): DynamicModule {
    return {
      module: AppModule,
      imports: [
        AppConfigModule.register(config),
        ObservabilityModule.register(logger),
        ...shared.modules,
        ProblemDetailsModule,
        ClientAuthModule,
        NexudusModule,
        ChatMessagesModule,
        ApiDocsModule,
      ],
      providers: [{ provide: APP_PIPE, useClass: ValidateBodyPipe }],
    };
  }
}
