import { ApiKeys, ApiKeysUnusable } from './client-auth/api-keys.js';
import type { ConfigFault, NamedFiles } from './config/load-config.js';
import { DatabaseSettingsUnusable } from './database/database.errors.js';
import { CredentialsUnusable, readCredentials } from './nexudus/credentials.js';

/**
 * Reads the files once, before anything is built with them, so that what is wrong with them is known together with
 * what is wrong with the variables. Whoever needs one reads it again, and watches it.
 */
export async function fileFaults(files: NamedFiles): Promise<ConfigFault[]> {
  const { credentialsDir, apiKeys, databaseUrl, ledgerKeys } = files;
  const looks: (() => unknown)[] = [];
  if (credentialsDir !== undefined) {
    looks.push(() => readCredentials({ kind: 'directory', path: credentialsDir }, ''));
  }
  if (apiKeys !== undefined) looks.push(() => ApiKeys.read(apiKeys));
  if (databaseUrl !== undefined || ledgerKeys !== undefined) {
    // Loads what speaks to a database.
    const { readDatabaseUrl, readLedgerKeys } = await import('./database/database.settings.js');
    if (databaseUrl !== undefined) looks.push(() => readDatabaseUrl({ url: databaseUrl }));
    if (ledgerKeys !== undefined) looks.push(() => readLedgerKeys({ keys: ledgerKeys }));
  }
  return (await Promise.all(looks.map(faultsOf))).flat();
}

async function faultsOf(look: () => unknown): Promise<ConfigFault[]> {
  try {
    await look();
    return [];
  } catch (error) {
    if (error instanceof CredentialsUnusable) {
      return [{ variable: 'NEXUDUS_CREDENTIALS_DIR', expected: error.message }];
    }
    if (error instanceof ApiKeysUnusable) {
      return [{ variable: 'AUTH_API_KEYS_FILE', expected: error.message }];
    }
    if (error instanceof DatabaseSettingsUnusable) {
      return [{ variable: error.variable, expected: error.expected }];
    }
    throw error;
  }
}
