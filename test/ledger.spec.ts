import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
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
import { describeIdempotencyStore, leaseOf } from './support/idempotency-store.contract.js';
import { TestPostgres } from './support/postgres.js';

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
  );
  return {
    database,
    ledger,
    store: new PgIdempotencyStore(ledger, new Background(clock, log), clock),
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
