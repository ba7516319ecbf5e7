import { readFileSync } from 'node:fs';
import pg from 'pg';
import { LEDGER_KEYS_EXPECTED, type LedgerKey, parseLedgerKeys } from '../config/ledger-keys.js';
import { isPostgresUrl } from '../config/postgres-url.js';
import type { DatabaseConfig } from '../config/sections.js';
import type { AppLogger } from '../observability/app-logger.js';
import type { Redactor } from '../observability/redactor.js';
import { DatabaseSettingsUnusable } from './database.errors.js';

/**
 * Where the database is. Of a file what it says at the moment, and where that cannot be used what it said before.
 */
export class DatabaseUrl {
  #current: string;
  #isUsable = true;
  #release: () => void;

  /** @throws DatabaseSettingsUnusable when it is not usable to begin with */
  constructor(
    private readonly config: Pick<DatabaseConfig, 'url'>,
    private readonly redactor: Redactor,
    private readonly log: AppLogger,
  ) {
    this.#current = readDatabaseUrl(config);
    this.#release = redactor.hold(...secretsOf(this.#current));
  }

  /** Never throws. */
  read(): string {
    try {
      const url = readDatabaseUrl(this.config);
      if (url !== this.#current) this.#take(url);
      this.#isUsable = true;
    } catch (error) {
      if (this.#isUsable) {
        this.log.error({ err: error }, 'The database URL cannot be used as it is now; the old one serves on');
      }
      this.#isUsable = false;
    }
    return this.#current;
  }

  #take(url: string): void {
    this.#release();
    this.#release = this.redactor.hold(...secretsOf(url));
    this.#current = url;
    this.log.info({}, 'The database URL has changed: new connections use it');
  }
}

/** @throws DatabaseSettingsUnusable */
export function readDatabaseUrl({ url }: Pick<DatabaseConfig, 'url'>): string {
  const variable = url.kind === 'value' ? 'DATABASE_URL' : 'DATABASE_URL_FILE';
  const text = url.kind === 'value' ? url.value : readText(url.path, variable);
  if (!isPostgresUrl(text)) {
    throw new DatabaseSettingsUnusable(variable, 'must name a file with a PostgreSQL connection string');
  }
  try {
    // Also reads the files that it names: certificates.
    new pg.Client({ connectionString: text });
  } catch {
    throw new DatabaseSettingsUnusable(
      variable,
      'must have parameters that can be used, and name files (sslrootcert, sslcert, sslkey) that can be read',
    );
  }
  return text;
}

/** The password, as it is written and as it is meant. */
function secretsOf(url: string): string[] {
  const { password } = new URL(url);
  return [password, decodeURIComponent(password)];
}

/** @throws DatabaseSettingsUnusable */
export function readLedgerKeys({ keys }: Pick<DatabaseConfig, 'keys'>): readonly LedgerKey[] {
  if (keys.kind === 'value') return keys.value;
  const parsed = parseLedgerKeys(readText(keys.path, 'LEDGER_KEYS_FILE'));
  if (parsed === undefined) {
    throw new DatabaseSettingsUnusable(
      'LEDGER_KEYS_FILE',
      `must name a file whose content ${LEDGER_KEYS_EXPECTED}`,
    );
  }
  return parsed;
}

function readText(path: string, variable: DatabaseSettingsUnusable['variable']): string {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    throw new DatabaseSettingsUnusable(variable, 'must name a file that can be read');
  }
}
