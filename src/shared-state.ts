import type { DynamicModule, INestApplication } from '@nestjs/common';
import { ChatMessagesModule } from './chat-messages/chat-messages.module.js';
import type { AppConfig } from './config/sections.js';

/** What replicas share, where there is a database. */
export interface SharedState {
  readonly modules: readonly DynamicModule[];
  /** Once the modules are built, before anybody can call. */
  start(app: INestApplication): Promise<void>;
}

const NOTHING: SharedState = { modules: [], start: () => Promise.resolve() };

/** Loads what it takes to share a database only where there is one: the others start without it. */
export async function sharedState({ database }: AppConfig): Promise<SharedState> {
  if (database === undefined) return NOTHING;
  const { DatabaseModule } = await import('./database/database.module.js');
  const { FleetModule } = await import('./fleet/fleet.module.js');
  const { TokenVaultModule } = await import('./fleet/token-vault.module.js');
  const { LedgerModule } = await import('./ledger/ledger.module.js');
  const { FindingModule } = await import('./ledger/finding.module.js');
  const { DeliveriesModule } = await import('./deliveries/deliveries.module.js');
  return {
    modules: [
      DatabaseModule.register(database),
      FleetModule.register(),
      TokenVaultModule.register(),
      LedgerModule.register([ChatMessagesModule]),
      { module: FindingModule },
      { module: DeliveriesModule },
    ],
    start: async (app) => {
      await app.get(DatabaseModule).start(database);
      await app.get(FleetModule).start();
      app.get(LedgerModule).start();
    },
  };
}
