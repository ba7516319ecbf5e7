import { type DynamicModule, Module, type Type } from '@nestjs/common';
import { ConfigModule, ConfigService } from '@nestjs/config';
import {
  type AppConfig,
  ChatMessagesConfig,
  ClientAuthConfig,
  DatabaseConfig,
  DeliveriesConfig,
  HttpConfig,
  IdempotencyConfig,
  NexudusConfig,
  ObservabilityConfig,
  ProblemsConfig,
} from './sections.js';

const SECTIONS = {
  http: HttpConfig,
  chatMessages: ChatMessagesConfig,
  nexudus: NexudusConfig,
  clientAuth: ClientAuthConfig,
  idempotency: IdempotencyConfig,
  problems: ProblemsConfig,
  observability: ObservabilityConfig,
  deliveries: DeliveriesConfig,
  database: DatabaseConfig,
} satisfies Record<keyof AppConfig, unknown>;

/** Makes every section of an already loaded configuration injectable by its class. */
@Module({})
export class AppConfigModule {
  static register(config: AppConfig): DynamicModule {
    const providers = Object.entries(SECTIONS).map(([name, section]) => ({
      provide: section as unknown as Type,
      useFactory: (settings: ConfigService) => settings.get<object>(name),
      inject: [ConfigService],
    }));
    return {
      module: AppConfigModule,
      global: true,
      // process.env and .env files are read by main.ts alone: here the configuration is a value.
      imports: [
        ConfigModule.forRoot({ ignoreEnvFile: true, skipProcessEnv: true, load: [() => ({ ...config })] }),
      ],
      providers,
      exports: providers.map(({ provide }) => provide),
    };
  }
}
