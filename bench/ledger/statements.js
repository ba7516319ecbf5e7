/**
 * What the server itself counted for each statement: unlike a latency, the buffers of a statement do not depend on
 * what else the machine does.
 */

/** Counts from now on. */
export async function forgetStatements(database) {
  await database.query('select pg_stat_statements_reset()');
}

/**
 * Of the service's own statements, the most expensive first.
 *
 * @param {import('./postgres.js').BenchDatabase} database
 * @returns {Promise<{ id: string, text: string, calls: number, meanMs: number, buffers: number }[]>} buffers of 8 KB
 *   for each call, found in memory or not
 */
export async function statements(database) {
  const rows = await database.query(`
    select queryid::text as id, query as text, calls::int, mean_exec_time as "meanMs",
           (shared_blks_hit + shared_blks_read)::float8 / calls as buffers
    from pg_stat_statements
    where dbid = (select oid from pg_database where datname = current_database()) and query ~ 'bff\\.'
    order by total_exec_time desc`);
  return rows.map((row) => ({ ...row, text: row.text.replaceAll(/\s+/g, ' ').trim() }));
}

/** Transactions and bytes of the write-ahead log so far: what a write costs, whatever the machine. */
export async function work(database) {
  const [{ commits, walBytes }] = await database.query(`
    select xact_commit::float8 as commits, (select wal_bytes::float8 from pg_stat_wal) as "walBytes"
    from pg_stat_database where datname = current_database()`);
  return { commits, walBytes };
}
