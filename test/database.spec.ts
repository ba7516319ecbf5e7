import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect, isDeepStrictEqual } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { SystemClock } from '../src/clock/clock.js';
import { Announcements } from '../src/database/announcements.js';
import { Database, type InTransaction } from '../src/database/database.js';
import { DatabaseUnavailable } from '../src/database/database.errors.js';
import { migrate, MIGRATIONS } from '../src/database/migrate.js';
import { createLogger } from '../src/observability/json-logger.js';
import { Process } from './support/process.js';
import { TestPostgres, databaseEnvironment } from './support/postgres.js';
import { environmentFor, startService, type TestService } from './support/service.js';
import { TcpProxy } from './support/tcp-proxy.js';
import { until } from './support/until.js';

const GOOD = { businessId: 1, content: 'See you at ten.' };
const clock = new SystemClock();

/** A clock that can be set forward, and that waits for a hundredth of the time. */
class HurriedClock extends SystemClock {
  aheadMs = 0;

  override nowMs(): number {
    return super.nowMs() + this.aheadMs;
  }

  override after(delayMs: number, callback: () => void): () => void {
    return super.after(delayMs / 100, callback);
  }
}

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await TestPostgres.start();
});
afterAll(() => postgres.stop());

const ending: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ending.splice(0).reverse()) await end();
});

/** A connection that belongs to the test. */
async function outside(url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  ending.push(() => client.end());
  return client;
}

async function proxyBefore(url: string): Promise<TcpProxy> {
  const proxy = await TcpProxy.before(url);
  ending.push(() => proxy.close());
  return proxy;
}

interface TestDatabase {
  readonly database: Database;
  readonly log: Record<string, unknown>[];
}

/** A database as the service has it; by itself it makes no tables. */
function databaseAt(
  url: string | (() => string),
  prepare: (inTransaction: InTransaction) => Promise<unknown> = () => Promise.resolve(),
  connections?: number,
): TestDatabase {
  const log: Record<string, unknown>[] = [];
  const logger = createLogger('debug', {
    write: (line) => {
      log.push(JSON.parse(line) as Record<string, unknown>);
    },
  });
  const read = typeof url === 'string' ? () => url : url;
  const database = new Database(read, prepare, clock, logger, connections);
  ending.push(() => database.stop());
  return { database, log };
}

/** The same, started, with one table `t` of one row. */
async function withTable(url: string | (() => string), connections?: number): Promise<TestDatabase> {
  const made = databaseAt(
    url,
    async (inTransaction) => {
      await inTransaction(async ({ query }) => {
        await query('create table if not exists t (id integer primary key, n integer not null)');
        await query('insert into t values (1, 0), (2, 0) on conflict do nothing');
      });
    },
    connections,
  );
  await made.database.start();
  // A start waits for the tables for a while only.
  await until(() => made.database.isReachable);
  return made;
}

async function failureOf(work: Promise<unknown>): Promise<unknown> {
  try {
    await work;
  } catch (error) {
    return error;
  }
  throw new Error('it did not fail');
}

async function expectUnavailable(work: Promise<unknown>, mayHaveCommitted: boolean): Promise<void> {
  const error = await failureOf(work);
  expect(error).toBeInstanceOf(DatabaseUnavailable);
  expect(error).toMatchObject({ mayHaveCommitted });
}

describe('a transaction', () => {
  it('is undone by what the work throws, which is thrown as it is, and takes nobody for away', async () => {
    const { database } = await withTable(await postgres.createDatabase());
    const fault = new Error('of the work');
    const failed = database.transaction(async ({ query }) => {
      await query('update t set n = 7');
      throw fault;
    });
    expect(await failureOf(failed)).toBe(fault);
    expect(database.isReachable).toBe(true);
    expect(await database.query('select n from t where id = 1')).toEqual([{ n: 0 }]);
  });

  it('does not say that it was done when a statement of it had failed, and the work went on', async () => {
    const { database } = await withTable(await postgres.createDatabase());
    const failed = database.transaction(async ({ query }) => {
      await query('update t set n = 7');
      await query('select 1/0').catch(() => undefined);
    });
    await expect(failed).rejects.toThrow('undone');
    expect(await database.query('select n from t where id = 1')).toEqual([{ n: 0 }]);
  });

  it('is done again when the server chose it to end a deadlock', async () => {
    const { database } = await withTable(await postgres.createDatabase());
    const tries = { n: 0 };
    const holding = new Set<number>();
    const both = [1, 2].map((id) =>
      database.transaction(async ({ query }) => {
        tries.n += 1;
        await query('update t set n = n + 1 where id = $1', [id]);
        holding.add(id);
        await until(() => holding.size === 2);
        await query('update t set n = n + 1 where id = $1', [3 - id]);
      }),
    );
    await Promise.all(both);
    expect(tries.n).toBeGreaterThan(2);
    expect(await database.query('select n from t order by id')).toEqual([{ n: 2 }, { n: 2 }]);
    expect(database.isReachable).toBe(true);
  });

  it('is done again when it cannot be put in an order with another', async () => {
    const { database } = await withTable(await postgres.createDatabase());
    const tries = { n: 0 };
    await database.transaction(async ({ query }) => {
      await query('set transaction isolation level serializable');
      const [row] = await query<{ n: number }>('select n from t where id = 1');
      tries.n += 1;
      if (tries.n === 1) await database.query('update t set n = 10 where id = 1');
      await query('update t set n = $1 where id = 1', [(row?.n ?? 0) + 1]);
    });
    expect(tries.n).toBe(2);
    expect(await database.query('select n from t where id = 1')).toEqual([{ n: 11 }]);
  });

  it('gives up in the end, with nothing done', async () => {
    const { database } = await withTable(await postgres.createDatabase());
    const tries = { n: 0 };
    const failed = database.transaction(async ({ query }) => {
      await query('set transaction isolation level serializable');
      await query('select n from t where id = 1');
      tries.n += 1;
      await database.query('update t set n = n + 10 where id = 1');
      await query('update t set n = 0 where id = 1');
    });
    await expectUnavailable(failed, false);
    expect(tries.n).toBe(10);
  });

  it('of a replica that is frozen within is thrown out, so that the others get on', async () => {
    const url = await postgres.createDatabase();
    const proxy = await proxyBefore(url);
    const { database: frozen } = await withTable(proxy.url);
    const { database: other } = await withTable(url);
    const stand = { isFrozen: false, isOtherDone: false };
    const held = frozen.transaction(async ({ query }) => {
      await query('update t set n = 1 where id = 1');
      proxy.freeze();
      stand.isFrozen = true;
      await until(() => stand.isOtherDone);
      proxy.mend();
      await query('update t set n = 2 where id = 1');
    });
    const thrownOut = expectUnavailable(held, false);
    await until(() => stand.isFrozen);
    await other.transaction(async ({ query }) => {
      await query('update t set n = 5 where id = 1');
    });
    stand.isOtherDone = true;
    await thrownOut;
    expect(await other.query('select n from t where id = 1')).toEqual([{ n: 5 }]);
  });
});

describe('a question', () => {
  it('can be put by whoever was given the queries, and took them apart', async () => {
    const { query } = (await withTable(await postgres.createDatabase())).database;
    expect(await query('select n from t where id = $1', [1])).toEqual([{ n: 0 }]);
  });

  it('that the server refuses is a fault of ours, and takes nobody for away', async () => {
    const { database } = await withTable(await postgres.createDatabase());
    expect(await failureOf(database.query('select 1 from nowhere'))).toMatchObject({ code: '42P01' });
    expect(database.isReachable).toBe(true);
  });
});

describe('without an answer', () => {
  it('a commit may have been done, and what came before it was not', async () => {
    const url = await postgres.createDatabase();
    const proxy = await proxyBefore(url);
    const { database } = await withTable(proxy.url);
    await expectUnavailable(
      database.transaction(async ({ query }) => {
        proxy.resetAll();
        await query('update t set n = 1');
      }),
      false,
    );
    await until(() => database.isReachable);
    await expectUnavailable(
      database.transaction(async ({ query }) => {
        await query('update t set n = 2');
        proxy.resetAll();
      }),
      true,
    );
  });

  it('a single statement may have been done, unless the server said otherwise, or never had it', async () => {
    const url = await postgres.createDatabase();
    const proxy = await proxyBefore(url);
    const { database } = await withTable(proxy.url);
    const watcher = await outside(url);
    const lost = expectUnavailable(database.query('select pg_sleep(60)'), true);
    await until(() => isAsleep(watcher));
    proxy.cut();
    await lost;
    await expectUnavailable(database.query('select 1'), false);
    proxy.mend();
    await watcher.query(`select pg_terminate_backend(pid) ${ASLEEP}`);
    await until(() => database.isReachable);
    const cancelled = expectUnavailable(database.query('select pg_sleep(60)'), false);
    await until(() => isAsleep(watcher));
    await watcher.query(`select pg_cancel_backend(pid) ${ASLEEP}`);
    await cancelled;
  });

  it('for long the connection is given up, and not used again', async () => {
    const proxy = await proxyBefore(await postgres.createDatabase());
    const { database } = await withTable(proxy.url, 1);
    await database.query('select 1');
    proxy.freeze();
    const startedAtMs = clock.nowMs();
    const failed = database.transaction(async ({ query }) => {
      await query('select 1');
    });
    await expectUnavailable(failed, false);
    // Once the 6 seconds of an answer, and not a second time for the rollback.
    expect(clock.nowMs() - startedAtMs).toBeLessThan(11_500);
    proxy.mend();
    await until(() => database.isReachable);
    expect(await database.query('select 2 as two')).toEqual([{ two: 2 }]);
  });

  it('nobody waits for it at the stop', async () => {
    const proxy = await proxyBefore(await postgres.createDatabase());
    const { database } = await withTable(proxy.url);
    const announcements = new Announcements(database, 'postgres', clock);
    const heard: (string | undefined)[] = [];
    announcements.on('a', (text) => heard.push(text));
    announcements.start();
    await until(() => heard.length > 0);
    proxy.freeze();
    const startedAtMs = clock.nowMs();
    announcements.stop();
    await database.stop();
    // An answer would be waited for 6 seconds.
    expect(clock.nowMs() - startedAtMs).toBeLessThan(5_500);
  });
});

const ASLEEP =
  "from pg_stat_activity where query = 'select pg_sleep(60)' and state = 'active' and datname = current_database()";

async function isAsleep(client: pg.Client): Promise<boolean> {
  return (await client.query(`select 1 ${ASLEEP}`)).rowCount === 1;
}

describe('migrations', () => {
  const TWO_STEPS = [
    'create table bff.a (id integer primary key, n integer not null); insert into bff.a values (1, 0)',
    'alter table bff.a add column m integer not null default 0; create index on bff.a (m)',
  ];
  const applied = async (client: pg.Client): Promise<unknown> =>
    (await client.query('select version from bff.migration order by version')).rows;

  /** Runs work in a transaction at once, by one who makes no tables of its own. */
  async function inTransactionAt(url: string): Promise<InTransaction> {
    const { database } = databaseAt(url);
    await database.start();
    await until(() => database.isReachable);
    return (work) => database.transaction(work);
  }

  it('are made once, however often and by however many at once they are asked for', async () => {
    const url = await postgres.createDatabase();
    const replicas = await Promise.all([1, 2, 3, 4, 5].map(() => inTransactionAt(url)));
    const results = await Promise.all(replicas.map((inTransaction) => migrate(inTransaction, TWO_STEPS)));
    expect(results.map(({ steps }) => steps).sort()).toEqual([0, 0, 0, 0, 2]);
    expect(results.map(({ version }) => version)).toEqual([2, 2, 2, 2, 2]);
    const client = await outside(url);
    expect(await applied(client)).toEqual([{ version: 1 }, { version: 2 }]);
    for (const inTransaction of replicas) {
      expect(await migrate(inTransaction, TWO_STEPS)).toEqual({ steps: 0, version: 2 });
    }
  });

  it('go on where an earlier version ended, also while that version writes', async () => {
    const url = await postgres.createDatabase();
    const inTransaction = await inTransactionAt(url);
    expect(await migrate(inTransaction, TWO_STEPS.slice(0, 1))).toEqual({ steps: 1, version: 1 });
    const earlier = await outside(url);
    const writing = { stopped: false, writes: 0 };
    const writes = (async () => {
      while (!writing.stopped) {
        await earlier.query('update bff.a set n = n + 1 where id = 1');
        writing.writes += 1;
      }
    })();
    await until(() => writing.writes > 10);
    expect(await migrate(inTransaction, TWO_STEPS)).toEqual({ steps: 1, version: 2 });
    const before = writing.writes;
    await until(() => writing.writes > before + 10);
    writing.stopped = true;
    await writes;
    expect((await earlier.query('select n, m from bff.a')).rows).toEqual([{ n: writing.writes, m: 0 }]);
  });

  it('of a later version are left alone', async () => {
    const inTransaction = await inTransactionAt(await postgres.createDatabase());
    await migrate(inTransaction, TWO_STEPS);
    expect(await migrate(inTransaction, TWO_STEPS.slice(0, 1))).toEqual({ steps: 0, version: 2 });
  });

  it('leave nothing of a step that fails, or of a replica that is killed within, and are made by the next', async () => {
    const url = await postgres.createDatabase();
    const inTransaction = await inTransactionAt(url);
    await migrate(inTransaction, TWO_STEPS.slice(0, 1));
    const failing = [TWO_STEPS[0] ?? '', 'create table bff.half (id integer primary key); select 1/0'];
    expect(await failureOf(migrate(inTransaction, failing))).toMatchObject({ code: '22012' });
    const killed = [
      TWO_STEPS[0] ?? '',
      'create table bff.half (id integer primary key); select pg_sleep(60)',
    ];
    const asleep = expectUnavailable(migrate(inTransaction, killed), false);
    const client = await outside(url);
    const within =
      "from pg_stat_activity where query like '%create table bff.half%' and pid <> pg_backend_pid()";
    await until(async () => (await client.query(`select 1 ${within}`)).rowCount === 1);
    const next = migrate(await inTransactionAt(url), TWO_STEPS);
    await client.query(`select pg_terminate_backend(pid) ${within}`);
    await asleep;
    expect(await next).toEqual({ steps: 1, version: 2 });
    expect((await client.query("select to_regclass('bff.half') as half")).rows).toEqual([{ half: null }]);
  });

  it('only add, and use nothing that only PostgreSQL itself has', () => {
    for (const statements of MIGRATIONS) {
      const sql = statements.replace(/--.*$/gm, '');
      expect(sql).not.toMatch(/\b(drop|rename|truncate|alter column|set not null)\b/i);
      expect(sql).not.toMatch(
        /plpgsql|\bdo \$|advisory|\b(big)?serial\b|nextval|create (extension|trigger|type|rule)/i,
      );
    }
  });

  it('that take longer than a statement may are given the time', async () => {
    const url = await postgres.createDatabase();
    const { database } = databaseAt(url, (inTransaction) => migrate(inTransaction, ['select pg_sleep(9)']));
    await database.start();
    // A start does not wait for it, so that the probes are answered.
    expect(database.isReachable).toBe(false);
    await until(() => database.isReachable);
    expect(await applied(await outside(url))).toEqual([{ version: 1 }]);
  });

  it('are not needed by a role that may only read and write, where they are made', async () => {
    const url = await postgres.createDatabase();
    await migrate(await inTransactionAt(url), TWO_STEPS);
    const owner = await outside(url);
    const name = new URL(url).pathname.slice(1);
    await owner.query(`create role writer_${name} login password 'writer'`);
    await owner.query(`grant usage on schema bff to writer_${name}`);
    await owner.query(`grant select, insert, update, delete on all tables in schema bff to writer_${name}`);
    const asWriter = new URL(url);
    asWriter.username = `writer_${name}`;
    asWriter.password = 'writer';
    const inTransaction = await inTransactionAt(asWriter.href);
    expect(await migrate(inTransaction, TWO_STEPS)).toEqual({ steps: 0, version: 2 });
    const further = migrate(inTransaction, [...TWO_STEPS, 'alter table bff.a add column o integer']);
    expect(await failureOf(further)).toMatchObject({ code: '42501' });
  });

  it('of a schema that was made for a role that may not make one are made in it', async () => {
    const url = await postgres.createDatabase();
    const owner = await outside(url);
    const name = new URL(url).pathname.slice(1);
    await owner.query(`create role maker_${name} login password 'maker'`);
    await owner.query('create schema bff');
    await owner.query(`grant usage, create on schema bff to maker_${name}`);
    const asMaker = new URL(url);
    asMaker.username = `maker_${name}`;
    asMaker.password = 'maker';
    expect(await migrate(await inTransactionAt(asMaker.href))).toEqual({
      steps: MIGRATIONS.length,
      version: MIGRATIONS.length,
    });
  });
});

describe('announcements', () => {
  const announcing =
    (sender: pg.Client, { statement }: Announcements, heard: readonly (string | undefined)[]) =>
    (text: string): Promise<void> =>
      until(async () => {
        await sender.query(statement, ['turn', text]);
        return heard.includes(text);
      });

  it('arrive, also after their connection was reset, and after it went silent', async () => {
    const url = await postgres.createDatabase();
    const proxy = await proxyBefore(url);
    const { database } = databaseAt(proxy.url);
    const announcements = new Announcements(database, 'postgres', clock);
    ending.push(() => {
      announcements.stop();
    });
    const heard: (string | undefined)[] = [];
    announcements.on('turn', (text) => heard.push(text));
    announcements.start();
    const other = await outside(url);
    const announceUntilHeard = announcing(other, announcements, heard);
    await announceUntilHeard('first');
    expect(proxy.connections).toBe(1);
    proxy.resetAll();
    await announceUntilHeard('second');
    expect(proxy.connections).toBe(1);
    proxy.freeze();
    // The silent one is given up for a new one.
    await until(() => proxy.connections === 2);
    proxy.mend();
    await announceUntilHeard('third');
    await until(() => proxy.connections === 1);
    // Once and not twice, however it was lost.
    heard.splice(0);
    await other.query(announcements.statement, ['turn', 'fourth']);
    await other.query(announcements.statement, ['turn', 'fifth']);
    await until(() => heard.includes('fifth'));
    expect(heard.filter((text) => text === 'fourth')).toEqual(['fourth']);
  });

  it('are heard under a role that has replaced the former, when its connection has lived for ten minutes', async () => {
    const url = await postgres.createDatabase();
    const other = await outside(url);
    await other.query("create role listener login password 'listener'");
    let current = url;
    const { database } = databaseAt(() => current);
    const hurried = new HurriedClock();
    const announcements = new Announcements(database, 'postgres', hurried);
    ending.push(() => {
      announcements.stop();
    });
    const heard: (string | undefined)[] = [];
    announcements.on('turn', (text) => heard.push(text));
    const listeners = async (): Promise<unknown> =>
      (
        await other.query(
          "select usename from pg_stat_activity where application_name = 'nexudus-bff' and datname = current_database()",
        )
      ).rows;
    announcements.start();
    const announceUntilHeard = announcing(other, announcements, heard);
    await announceUntilHeard('before');
    expect(await listeners()).toEqual([{ usename: 'postgres' }]);
    current = url.replace('postgres:postgres', 'listener:listener');
    hurried.aheadMs = 10 * 60_000;
    await until(async () => isDeepStrictEqual(await listeners(), [{ usename: 'listener' }]));
    await announceUntilHeard('after');
  });

  it('that get lost do not matter: everybody looks from time to time', async () => {
    const proxy = await proxyBefore(await postgres.createDatabase());
    proxy.cut();
    const { database } = databaseAt(proxy.url);
    const announcements = new Announcements(database, 'postgres', clock);
    ending.push(() => {
      announcements.stop();
    });
    const heard: (string | undefined)[] = [];
    announcements.on('turn', (text) => heard.push(text));
    announcements.start();
    await until(() => heard.length > 1);
    expect(heard[0]).toBeUndefined();
  });
});

describe('the service', () => {
  const ready = async (service: TestService): Promise<number> =>
    (await service.manage('/health/ready')).status;
  /** A start does not wait for its tables for ever. */
  const untilReady = (service: TestService): Promise<void> =>
    until(async () => (await ready(service)) === 200);
  const up = async (service: TestService): Promise<string | undefined> =>
    /^nexudus_database_up\{.*$/m.exec((await service.manage('/metrics')).text)?.[0];

  it('gets ready when several replicas start at once', async () => {
    const env = databaseEnvironment(await postgres.createDatabase());
    const replicas = await Promise.all([1, 2, 3].map(() => startService({ env })));
    for (const replica of replicas) await untilReady(replica);
  });

  it('starts without the database, and gets ready when it is there', async () => {
    const proxy = await proxyBefore(await postgres.createDatabase());
    proxy.cut();
    const service = await startService({ env: databaseEnvironment(proxy.url) });
    expect(await ready(service)).toBe(503);
    expect((await service.manage('/health/ready')).json).toEqual({ status: 'unready' });
    expect((await service.manage('/health/live')).status).toBe(200);
    expect(await up(service)).toBe('nexudus_database_up{backend="postgres"} 0');
    expect((await service.manage('/info')).json['database']).toEqual({
      reachable: false,
      backend: 'postgres',
      migration: null,
    });
    expect(said(service, 'The database is away')).toBe(1);
    proxy.mend();
    await untilReady(service);
    expect(await up(service)).toBe('nexudus_database_up{backend="postgres"} 1');
    expect((await service.manage('/info')).json['database']).toEqual({
      reachable: true,
      backend: 'postgres',
      migration: MIGRATIONS.length,
    });
  });

  it.each<[string, (proxy: TcpProxy) => void]>([
    [
      'cut off',
      (proxy) => {
        proxy.cut();
      },
    ],
    [
      'frozen',
      (proxy) => {
        proxy.freeze();
      },
    ],
  ])('is not ready while the database is %s, says so once, and recovers by itself', async (_, spoil) => {
    const proxy = await proxyBefore(await postgres.createDatabase());
    const service = await startService({ env: databaseEnvironment(proxy.url) });
    await untilReady(service);
    spoil(proxy);
    await until(async () => (await ready(service)) === 503);
    expect(await up(service)).toContain(' 0');
    expect((await service.create(GOOD)).json).toMatchObject({ outcome: 'not-sent', retryable: true });
    expect((await service.manage('/metrics')).text).toContain(
      'nexudus_writes_total{operation="create",outcome="store-unavailable"} 1',
    );
    proxy.mend();
    await untilReady(service);
    expect(await up(service)).toContain(' 1');
    expect(said(service, 'The database is away')).toBe(1);
    expect(said(service, 'The database answers')).toBe(2);
  });

  it('serves on while a later version makes its tables, and starts on them', async () => {
    const url = await postgres.createDatabase();
    const env = databaseEnvironment(url);
    const { create, log } = await startService({ env });
    const statuses: number[] = [];
    const calling = { isOver: false };
    const calls = (async () => {
      while (!calling.isOver) {
        statuses.push((await create(GOOD, { 'idempotency-key': `key-${statuses.length}` })).status);
      }
    })();
    await until(() => statuses.length > 5);
    const later = databaseAt(url);
    await later.database.start();
    await migrate(
      (work) => later.database.transaction(work),
      [...MIGRATIONS, 'create table bff.of_a_later_version (id integer primary key)'],
    );
    const before = statuses.length;
    await until(() => statuses.length > before + 5);
    calling.isOver = true;
    await calls;
    expect([...new Set(statuses)]).toEqual([201]);
    expect(log.filter(({ level }) => Number(level) >= 50)).toEqual([]);
    const again = await startService({ env });
    await untilReady(again);
    expect((await again.create(GOOD)).status).toBe(201);
    expect((await again.manage('/info')).json['database']).toMatchObject({
      migration: MIGRATIONS.length + 1,
    });
  });

  it('says nothing of a database where there is none', async () => {
    const service = await startService();
    expect(await ready(service)).toBe(200);
    expect(await up(service)).toBeUndefined();
    expect((await service.manage('/info')).json).not.toHaveProperty('database');
  });

  it('takes up another URL from its file without a restart, and shows the password nowhere', async () => {
    const url = await postgres.createDatabase();
    const owner = await outside(url);
    const name = new URL(url).pathname.slice(1);
    const as = (user: string, password: string): string => {
      const changed = new URL(url);
      changed.username = user;
      changed.password = password;
      return changed.href;
    };
    const [before, after] = ['canary-before/1', 'canary after&2'];
    await owner.query(`create role rotated_${name} login superuser password '${before}'`);
    const file = secretFile(as(`rotated_${name}`, encodeURIComponent(before)));
    const service = await startService({
      env: { LEDGER_KEYS: databaseEnvironment(url)['LEDGER_KEYS'] ?? '', DATABASE_URL_FILE: file },
    });
    await untilReady(service);
    await owner.query(`alter role rotated_${name} password '${after}'`);
    writeFileSync(file, 'half a U');
    await owner.query(
      "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'nexudus-bff' and datname = current_database()",
    );
    await until(async () => (await ready(service)) === 503);
    await until(() => said(service, 'The database URL cannot be used as it is now') === 1);
    writeFileSync(file, as(`rotated_${name}`, encodeURIComponent(after)));
    await untilReady(service);
    expect(said(service, 'The database URL has changed')).toBe(1);
    expect(service.rawLog.join('\n')).not.toMatch(/canary/i);
    expect((await service.manage('/info')).text).not.toMatch(/canary|127\.0\.0\.1/);
  });

  it('takes up other ledger keys from their file without a restart, and keeps the old ones where it cannot', async () => {
    const url = await postgres.createDatabase();
    const [first, second] = [1, 2].map((n) => `k${n}:${Buffer.alloc(32, n).toString('base64')}`);
    const file = secretFile(`${first}\n`);
    const service = await startService({ env: { DATABASE_URL: url, LEDGER_KEYS_FILE: file } });
    writeFileSync(file, 'k1:nonsense');
    await until(() => said(service, 'The ledger keys cannot be used as they are now') === 1);
    writeFileSync(file, `${second},${first}`);
    await until(() => said(service, 'The ledger keys have changed') === 1);
    expect(service.log.find(({ message }) => message === 'The ledger keys have changed')).toMatchObject({
      keys: ['k2', 'k1'],
    });
    for (const key of [first, second]) expect(service.rawLog.join('\n')).not.toContain(key?.slice(3));
  });

  it.each([
    ['DATABASE_URL_FILE', '/nonexistent'],
    ['DATABASE_URL_FILE', 'package.json'],
    ['LEDGER_KEYS_FILE', '/nonexistent'],
    ['LEDGER_KEYS_FILE', 'package.json'],
    ['DATABASE_URL', 'postgresql://u:canary@127.0.0.1:1/x?sslrootcert=/nonexistent'],
  ])('with %s=%s says what is wrong with it, and does not start', async (variable, value) => {
    const others = databaseEnvironment('postgresql://u:canary@127.0.0.1:1/x');
    const kept = Object.entries(others).filter(([name]) => !variable.startsWith(name));
    const failure = await failureOf(
      startService({ env: { ...Object.fromEntries(kept), [variable]: value } }),
    );
    expect(failure).toMatchObject({ name: 'ConfigError', faults: [{ variable }] });
    expect(inspect(failure)).not.toContain('canary');
  });

  it('says of both files what is wrong with them', async () => {
    const env = { DATABASE_URL_FILE: '/nonexistent', LEDGER_KEYS_FILE: '/nonexistent' };
    expect(await failureOf(startService({ env }))).toMatchObject({
      faults: [{ variable: 'DATABASE_URL_FILE' }, { variable: 'LEDGER_KEYS_FILE' }],
    });
  });

  function said({ log }: TestService, begin: string): number {
    return log.filter(({ message }) => String(message).startsWith(begin)).length;
  }

  function secretFile(text: string): string {
    const directory = mkdtempSync(join(tmpdir(), 'database-'));
    ending.push(() => {
      rmSync(directory, { recursive: true });
    });
    const path = join(directory, 'secret');
    writeFileSync(path, text);
    return path;
  }
});

describe('the command migrate', () => {
  const run = (env: Record<string, string>, command = 'migrate'): Process =>
    new Process([process.execPath, 'dist/main.js', command], {
      ...environmentFor('http://127.0.0.1:9'),
      ...env,
    });

  it('makes the tables and ends with 0, also when there is nothing to do', async () => {
    const url = await postgres.createDatabase();
    for (const steps of [MIGRATIONS.length, 0]) {
      const command = run(databaseEnvironment(url));
      expect(await command.exit()).toBe(0);
      expect(command.records()).toContainEqual(
        expect.objectContaining({
          steps,
          version: MIGRATIONS.length,
          message: expect.stringContaining('up to date'),
        }),
      );
    }
    const service = await startService({ env: databaseEnvironment(url) });
    expect((await service.manage('/health/ready')).status).toBe(200);
  });

  it('needs no file but the one with the URL', async () => {
    const absent = {
      NEXUDUS_CREDENTIALS_DIR: '/nonexistent',
      AUTH_API_KEYS_FILE: '/nonexistent',
      LEDGER_KEYS_FILE: '/nonexistent',
    };
    const command = run({ DATABASE_URL: await postgres.createDatabase(), ...absent });
    expect(await command.exit()).toBe(0);
  });

  it('waits for a database that is not there yet', async () => {
    const proxy = await proxyBefore(await postgres.createDatabase());
    proxy.cut();
    const command = run(databaseEnvironment(proxy.url));
    await command.line((line) => line.includes('The database is away'));
    proxy.mend();
    expect(await command.exit()).toBe(0);
  });

  it('ends with 1 when the tables cannot be made, or when it is told to stop before they are', async () => {
    const url = await postgres.createDatabase();
    const owner = await outside(url);
    const name = new URL(url).pathname.slice(1);
    await owner.query(`create role nobody_${name} login password 'canary'`);
    const asNobody = new URL(url);
    asNobody.username = `nobody_${name}`;
    asNobody.password = 'canary';
    const refused = run(databaseEnvironment(asNobody.href));
    expect(await refused.exit()).toBe(1);
    expect(refused.lines.join()).toContain('permission denied');
    expect(refused.lines.join()).not.toContain('canary');

    const stopped = run(databaseEnvironment('postgresql://u:p@127.0.0.1:1/x'));
    await stopped.line((line) => line.includes('The database is away'));
    stopped.child.kill('SIGTERM');
    expect(await stopped.exit()).toBe(1);
  });

  it.each<[string, Record<string, string>, string]>([
    ['there is no database', {}, 'DATABASE_URL'],
    ['there are no keys', { DATABASE_URL: 'postgresql://u:p@127.0.0.1:1/x' }, 'LEDGER_KEYS'],
    [
      'its file is not there',
      { ...databaseEnvironment('/nonexistent'), DATABASE_URL: '', DATABASE_URL_FILE: '/nonexistent' },
      'DATABASE_URL_FILE',
    ],
    [
      'its file is not there, and no keys are given',
      { LOG_LEVEL: 'loud', DATABASE_URL_FILE: '/nonexistent' },
      'DATABASE_URL_FILE',
    ],
  ])('ends with 78 where %s', async (_, env, variable) => {
    const command = run(env);
    expect(await command.exit()).toBe(78);
    expect(command.records()).toContainEqual(expect.objectContaining({ variable }));
  });

  it('is the only one', async () => {
    const command = run({}, 'migrat');
    expect(await command.exit()).toBe(64);
  });
});
