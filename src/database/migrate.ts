import { isAlreadyThere } from './database.errors.js';
import type { InTransaction, Queries } from './database.js';
import { fleetSchema } from './migrations/0001-fleet.js';
import { tokenSchema } from './migrations/0002-token.js';
import { deliverySchema } from './migrations/0003-delivery.js';

/**
 * In order, for ever: a released one never changes. Each only adds, so that the version before goes on running on
 * what this one made: both run side by side during an upgrade, and an upgrade can be taken back.
 */
export const MIGRATIONS: readonly string[] = [fleetSchema, tokenSchema, deliverySchema];

/** How the tables stand. */
export interface Migrated {
  /** Steps taken just now. */
  readonly steps: number;
  /** Steps taken in all; more than this version knows where the database is ahead of it. */
  readonly version: number;
}

const MOST_TRIES = 5;

/**
 * Brings the tables to what this version needs. Of several replicas one does it, and the others wait for it; one that
 * ends within it leaves nothing behind. A database that is ahead of this version is left as it is. Where nothing is
 * to be done nothing is asked for but to read, so that a role may run the service that must not change tables.
 */
export async function migrate(
  inTransaction: InTransaction,
  migrations: readonly string[] = MIGRATIONS,
): Promise<Migrated> {
  const before = await inTransaction(versionOf);
  if (before !== undefined && before >= migrations.length) return { steps: 0, version: before };
  if (before === undefined) await layGround(inTransaction);
  return inTransaction(async (queries) => {
    // Whoever holds this row migrates. It goes with the transaction, and so with whoever is killed.
    await queries.query('select id from bff.migration_lock where id = 1 for update');
    const version = (await versionOf(queries)) ?? 0;
    for (const [index, statements] of migrations.entries()) {
      if (index < version) continue;
      await queries.query(statements);
      await queries.query('insert into bff.migration (version) values ($1)', [index + 1]);
    }
    return {
      steps: Math.max(0, migrations.length - version),
      version: Math.max(version, migrations.length),
    };
  });
}

/** The last step taken; `undefined` where not even the list of them is there. */
async function versionOf({ query }: Queries): Promise<number | undefined> {
  const [list] = await query("select 1 from pg_tables where schemaname = 'bff' and tablename = 'migration'");
  if (list === undefined) return undefined;
  const [latest] = await query<{ version: number }>(
    'select version from bff.migration order by version desc limit 1',
  );
  return latest?.version ?? 0;
}

/** The schema, the list and the lock. There is no lock yet, so whoever comes second finds it there and looks again. */
async function layGround(inTransaction: InTransaction): Promise<void> {
  for (let tried = 1; ; tried += 1) {
    try {
      await inTransaction(async ({ query }) => {
        // Not "if not exists" alone: that asks for the right to make it, also where it is there.
        const [schema] = await query("select 1 from pg_namespace where nspname = 'bff'");
        if (schema === undefined) await query('create schema bff');
        await query('create table if not exists bff.migration_lock (id integer primary key)');
        await query('insert into bff.migration_lock (id) values (1) on conflict do nothing');
        await query(
          'create table if not exists bff.migration (version integer primary key, applied_at timestamptz not null default now())',
        );
      });
      return;
    } catch (error) {
      if (tried === MOST_TRIES || !isAlreadyThere(error)) throw error;
    }
  }
}
