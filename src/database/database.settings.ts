import { readFileSync } from 'node:fs';
import { LEDGER_KEYS_EXPECTED, type LedgerKey, parseLedgerKeys } from '../config/ledger-keys.js';
import { isPostgresUrl } from '../config/postgres-url.js';
import type { DatabaseConfig } from '../config/sections.js';
import { DatabaseSettingsUnusable } from './database.errors.js';

/** @throws DatabaseSettingsUnusable */
export function readDatabaseUrl({ url }: Pick<DatabaseConfig, 'url'>): string {
  if (url.kind === 'value') return url.value;
  const text = readText(url.path, 'DATABASE_URL_FILE');
  if (!isPostgresUrl(text)) {
    throw new DatabaseSettingsUnusable(
      'DATABASE_URL_FILE',
      'must name a file with a PostgreSQL connection string',
    );
  }
  return text;
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

function readText(path: string, variable: 'DATABASE_URL_FILE' | 'LEDGER_KEYS_FILE'): string {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    throw new DatabaseSettingsUnusable(variable, 'must name a file that can be read');
  }
}
