import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { SystemClock } from '../src/clock/clock.js';
import { Announcements } from '../src/database/announcements.js';
import { Database } from '../src/database/database.js';
import { migrate } from '../src/database/migrate.js';
import { Sealer } from '../src/database/sealer.js';
import { Background } from '../src/ledger/background.js';
import { Ledger } from '../src/ledger/ledger.js';
import { PgIdempotencyStore } from '../src/ledger/pg.idempotency.store.js';
import { Settlements } from '../src/ledger/settlements.js';
import { createLogger } from '../src/observability/json-logger.js';
import { ANSWER, describeIdempotencyStore, leaseOf } from './support/idempotency-store.contract.js';
import { TestPostgres } from './support/postgres.js';
import { until } from './support/until.js';

const TTL_MS = 3_600_000;
const LEASE_MS = 30_000;

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await TestPostgres.start();
});
afterAll(() => postgres.stop());

const open: Database[] = [];
afterEach(async () => {
  for (const database of open.splice(0)) await database.stop();
});

interface Books {
  readonly database: Database;
  readonly ledger: Ledger;
  readonly store: PgIdempotencyStore;
  /** As if so much time had passed in the database. */
  readonly pass: (ms: number) => Promise<void>;
}

async function openBooks(url?: string): Promise<Books> {
  const clock = new SystemClock();
  const log = createLogger('silent');
  const connectionString = url ?? (await postgres.createDatabase());
  const database = new Database(() => connectionString, migrate, clock, log);
  open.push(database);
  await database.start();
  // A start waits for the tables for a while only.
  await until(() => database.isReachable);
  const settlements = new Settlements(database, new Announcements(database, 'postgres', clock));
  const sealer = new Sealer([{ id: 'test', secret: Buffer.alloc(32, 7) }]);
  const ledger = new Ledger(
    database,
    sealer,
    settlements,
    clock,
    { ttlMs: TTL_MS },
    {
      ttlMs: TTL_MS,
      contentRetentionMs: 1_000,
      unknownHoldMs: 1_000,
      backlogLimit: 10,
      backlogLimitPerCaller: 10,
      tagSystemId: false,
    },
    log,
  );
  return {
    database,
    ledger,
    // What a late holder knows of an unknown outcome is written down elsewhere, and of no concern to a key here.
    store: new PgIdempotencyStore(
      ledger,
      { learn: () => Promise.resolve(false) },
      new Background(clock, log),
      clock,
    ),
    pass: async (ms) => {
      const columns = ['lease_until', 'keep_until', 'content_until', 'expires_at', 'accepted_at'];
      const moved = columns.map((name) => `${name} = ${name} - $1::float8 * interval '1 millisecond'`);
      await database.query(`update bff.delivery set ${moved.join(', ')}`, [ms]);
    },
  };
}

describeIdempotencyStore('the ledger', async () => ({
  ...(await openBooks()),
  ttlMs: TTL_MS,
  graceMs: 10_000,
}));

describe('the ledger as a store of keys', () => {
  it('knows that a holder went away before anything was sent: the key is free', async () => {
    const { store, pass } = await openBooks();
    leaseOf(await store.claim('a', 'x', LEASE_MS));
    await pass(LEASE_MS + 1);
    expect(await store.claim('a', 'y', LEASE_MS)).toMatchObject({ kind: 'claimed', takenOver: false });
  });
});

describe('the answer of a key', () => {
  it('is replayed whoever else is at its row', async () => {
    const url = await postgres.createDatabase();
    const { store } = await openBooks(url);
    await store.settle(leaseOf(await store.claim('a', 'x', LEASE_MS)), ANSWER, 'final');
    leaseOf(await store.claim('b', 'x', LEASE_MS));
    // Not of ours: one that does nothing for two seconds is thrown out.
    const other = new pg.Client({ connectionString: url });
    await other.connect();
    try {
      await other.query('begin');
      expect((await other.query('select id from bff.delivery for update')).rows).toHaveLength(2);
      expect(await store.claim('a', 'x', LEASE_MS)).toEqual({ kind: 'settled', answer: ANSWER });
      expect(await store.claim('a', 'y', LEASE_MS)).toEqual({ kind: 'reused' });
      expect(await store.claim('b', 'x', LEASE_MS)).toEqual({ kind: 'running' });
    } finally {
      await other.end();
    }
  });

  it('may name a message beyond 32 bits', async () => {
    const { database, store } = await openBooks();
    const answer = { ...ANSWER, body: JSON.stringify({ id: 3_000_000_000 }) };
    expect(await store.settle(leaseOf(await store.claim('a', 'x', LEASE_MS)), answer, 'final')).toBe(true);
    expect(await store.claim('a', 'x', LEASE_MS)).toEqual({ kind: 'settled', answer });
    expect(await database.query('select result_id from bff.delivery')).toEqual([{ result_id: '3000000000' }]);
  });
});

describe('with many deliveries behind it', () => {
  it('what is asked again and again is found by an index', async () => {
    const { database } = await openBooks();
    // In bites, since no statement may take long.
    for (let from = 1; from < 20_000; from += 4_000) {
      await database.query(
        `insert into bff.delivery (id, mode, caller, operation, message_id, state, scope, accepted_at, expires_at,
         settled_at, keep_until, result_id)
       select gen_random_uuid(), 'async', 'caller ' || n % 10, case n % 2 when 0 then 'create' else 'replace' end,
         n, case n % 20 when 0 then 'accepted' else 'done' end, 'scope ' || n, now() - n * interval '1 second',
         now() + n * interval '1 second', now(), now() + interval '1 day', n
       from generate_series($1::integer, $1::integer + 3999) as n`,
        [from],
      );
    }
    await database.query('analyze bff.delivery');
    const hot = [
      `select 1 from bff.delivery where scope = 'scope 7' for update`,
      `select 1 from bff.delivery where id = '5f0c9a3e-7d3b-4b52-9d35-0f5a1c7a2e11' for update`,
      `select 1 from bff.delivery where mode = 'async' and state = 'accepted' and expires_at <= now()
         and (lease_until is null or lease_until <= now()) order by expires_at limit 1 for update skip locked`,
      `select 1 from bff.delivery where owner is not null and lease_until <= now() order by lease_until limit 1
         for update skip locked`,
      `select 1 from bff.delivery where content_until <= now() order by content_until limit 100`,
      `select 1 from bff.delivery where keep_until <= now() order by keep_until limit 100`,
      `select 1 from bff.delivery where state = 'unknown' and next_look_at <= now() order by next_look_at limit 10`,
      `select 1 from bff.delivery where mode = 'async' and caller = 'caller 1' order by accepted_at desc, id desc limit 26`,
      `select 1 from bff.delivery where mode = 'async' and caller = 'caller 1' and state = 'done'
         order by accepted_at desc, id desc limit 26`,
      `select 1 from bff.delivery where mode = 'async' and state = 'accepted' and caller = 'caller 0'
         order by accepted_at, id limit 1`,
      `select 1 from bff.delivery where mode = 'async' and state = 'accepted' and operation = 'replace'
         and caller = 'caller 1' and message_id = 7 order by accepted_at desc limit 1 for update`,
      `select 1 from bff.delivery where merged_into = '5f0c9a3e-7d3b-4b52-9d35-0f5a1c7a2e11' and state = 'accepted'`,
      `select 1 from bff.delivery where result_id = any('{7}')`,
    ];
    for (const query of hot) {
      const plan = await database.query<{ 'QUERY PLAN': string }>(`explain ${query}`);
      const text = plan.map((row) => row['QUERY PLAN']).join('\n');
      expect(`${query}\n${text}`).toMatch(/Index|Bitmap/);
      expect(`${query}\n${text}`).not.toMatch(/Seq Scan/);
    }
  });
});
