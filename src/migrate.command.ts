import { setTimeout as delay } from 'node:timers/promises';
import { SystemClock } from './clock/clock.js';
import { ConfigError } from './config/load-config.js';
import type { AppConfig } from './config/sections.js';
import { Database } from './database/database.js';
import { DatabaseUnavailable } from './database/database.errors.js';
import { DatabaseUrl } from './database/database.settings.js';
import { migrate, type Migrated } from './database/migrate.js';
import type { AppLogger } from './observability/app-logger.js';
import { processRedactor } from './observability/redactor.js';

/** For a server that is being started, or another one who migrates. */
const WAIT_MS = 60_000;
const LOOK_EVERY_MS = 50;

/**
 * Brings the tables in the database to what this version needs, and ends: for whoever wants that done before a roll,
 * or by a role that the service does not have.
 *
 * @throws ConfigError where no database is configured
 * @throws DatabaseUnavailable when it is not there in time
 * @throws whatever the server says against the tables
 */
export async function migrateDatabase({ database: settings }: AppConfig, log: AppLogger): Promise<void> {
  if (settings === undefined) {
    const expected = 'must be set (or DATABASE_URL_FILE): without a database there is nothing to migrate';
    throw new ConfigError([{ variable: 'DATABASE_URL', expected }]);
  }
  const clock = new SystemClock();
  const url = new DatabaseUrl(settings, processRedactor, log);
  let migrated: Migrated | undefined;
  const database = new Database(
    () => url.read(),
    async (inTransaction) => {
      migrated = await migrate(inTransaction);
    },
    clock,
    log,
  );
  const byMs = clock.nowMs() + WAIT_MS;
  await database.start();
  // Not the clock's sleep, which does not keep the process alive.
  while (migrated === undefined && clock.nowMs() < byMs) await delay(LOOK_EVERY_MS);
  await database.stop();
  if (migrated === undefined) throw new DatabaseUnavailable(false);
  log.info(migrated, 'The tables in the database are up to date');
}
