import type { InTransaction } from './database.js';
import { fleetSchema } from './migrations/0001-fleet.js';
import { tokenSchema } from './migrations/0002-token.js';
import { deliverySchema } from './migrations/0003-delivery.js';

/**
 * In order, for ever: a released one never changes. Each only adds, so that the version before goes on running on
 * what this one made: both run side by side during an upgrade, and an upgrade can be taken back.
 */
export const MIGRATIONS: readonly string[] = [fleetSchema, tokenSchema, deliverySchema];

/** Any number that nobody else takes. */
const FIRST_OF_ALL = 7_363_251;

/**
 * Brings the tables to what this version needs. Of several replicas one does it, and the others wait for it; a
 * database that is ahead of this version is left as it is.
 *
 * @returns how many steps it took
 */
export async function migrate(inTransaction: InTransaction): Promise<number> {
  await inTransaction(async ({ query }) => {
    // Two that begin at once would both find no schema, and one of them fail.
    await query('select pg_advisory_xact_lock($1)', [FIRST_OF_ALL]);
    await query('create schema if not exists bff');
    await query('create table if not exists bff.migration_lock (id integer primary key)');
    await query(
      'create table if not exists bff.migration (version integer primary key, applied_at timestamptz not null default now())',
    );
    await query('insert into bff.migration_lock (id) values (1) on conflict do nothing');
  });
  return inTransaction(async ({ query }) => {
    await query('select id from bff.migration_lock where id = 1 for update');
    const [latest] = await query<{ version: number }>(
      'select version from bff.migration order by version desc limit 1',
    );
    const version = latest?.version ?? 0;
    for (const [index, statements] of MIGRATIONS.entries()) {
      if (index < version) continue;
      await query(statements);
      await query('insert into bff.migration (version) values ($1)', [index + 1]);
    }
    return Math.max(0, MIGRATIONS.length - version);
  });
}
