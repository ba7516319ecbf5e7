import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { SystemClock } from '../src/clock/clock.js';
import { RequestInterruption } from '../src/clock/interruption.js';
import { DatabaseUnavailable } from '../src/database/database.errors.js';
import type { HandOver } from '../src/ledger/deliveries.js';
import { Ledger } from '../src/ledger/ledger.js';
import { PgDeliveries } from '../src/ledger/pg.deliveries.js';
import { TestPostgres, databaseEnvironment } from './support/postgres.js';
import { TestReplica } from './support/replica.js';
import { startService, type Answer, type TestService } from './support/service.js';
import { found, until } from './support/until.js';

let postgres: TestPostgres;
const clients: pg.Client[] = [];
beforeAll(async () => {
  postgres = await TestPostgres.start();
});
afterAll(async () => {
  for (const client of clients) await client.end();
  await postgres.stop();
});

const MESSAGE = { businessId: 1, content: 'x', sessionId: 7 };
const ASYNC = { prefer: 'respond-async' };

type Sql = (text: string, values?: unknown[]) => Promise<Record<string, unknown>[]>;

async function start(env: Record<string, string> = {}): Promise<TestService & { sql: Sql }> {
  const connectionString = await postgres.createDatabase();
  const client = new pg.Client({ connectionString });
  clients.push(client);
  await client.connect();
  const service = await startService({ env: { ...databaseEnvironment(connectionString), ...env } });
  return {
    ...service,
    sql: async (text, values = []) => (await client.query<Record<string, unknown>>(text, values)).rows,
  };
}

/** What the query shows, when it shows anything. */
function shown(sql: Sql, text: string, accepted: Answer): Promise<unknown> {
  return found(async () => (await sql(text, [accepted.json['id']]))[0]);
}

describe('a delivery that cannot be opened', () => {
  it('keeps its place until its key is there again', async () => {
    const { create, sandbox, sql, rawLog } = await start();
    sandbox.next({ kind: 'hold' });
    const former = create(MESSAGE);
    await sandbox.waitForCall(({ path }) => path.endsWith('openaichatmessages'));
    const accepted = await create(MESSAGE, ASYNC);
    await sql(`update bff.delivery set content = '\\x0061' where id = $1`, [accepted.json['id']]);
    sandbox.release();
    expect((await former).status).toBe(201);
    await until(() => rawLog.some((line) => line.includes('A fault of this service at a delivery')));
    await shown(sql, `select 1 from bff.line where delivery_id = $1::text and state = 'resting'`, accepted);
  });

  it('is not in the way of others when its time is over', async () => {
    const { create, sql } = await start({ NEXUDUS_WRITE_LIMITS: '1/1h' });
    expect((await create(MESSAGE)).status).toBe(201);
    const broken = await create(MESSAGE, ASYNC);
    const other = await create({ ...MESSAGE, sessionId: 8 }, ASYNC);
    await sql(
      `update bff.delivery set content = '\\x0061', expires_at = now() - interval '1 minute' where id = $1`,
      [broken.json['id']],
    );
    await sql('update bff.delivery set expires_at = now() where id = $1', [other.json['id']]);
    for (const delivery of [broken, other])
      await shown(sql, `select 1 from bff.delivery where id = $1 and state = 'expired'`, delivery);
    // The write before them leaves in its own time.
    while ((await sql('select 1 from bff.line')).length > 0);
  });
});

describe('a delivery that waits to be sent once more', () => {
  it('is given up in time, like those that were never sent', async () => {
    // Long enough to be sent once.
    const { create, sandbox, sql } = await start({ DELIVERY_TTL_S: '10' });
    sandbox.next({ kind: 'throttle', retryAfter: '600' });
    const accepted = await create(MESSAGE, ASYNC);
    await sandbox.waitForCall(({ status }) => status === 409);
    await shown(sql, `select 1 from bff.delivery where id = $1 and state = 'expired'`, accepted);
    expect(await sql('select 1 from bff.line')).toEqual([]);
  });
});

describe('a caller of whom nothing waits', () => {
  it('leaves no row behind', async () => {
    const { create, sql } = await start();
    const accepted = await create(MESSAGE, ASYNC);
    await shown(sql, `select 1 from bff.delivery where id = $1 and state = 'done'`, accepted);
    await until(async () => (await sql('select 1 from bff.backlog')).length === 0);
    const [total] = await sql('select sum(waiting)::integer as waiting from bff.backlog_total');
    expect(total).toEqual({ waiting: 0 });
  });
});

describe('a delivery whose acceptance got lost', () => {
  it('is not said to be taken on because that was found out twice', async () => {
    const { database } = await TestReplica.start(await postgres.createDatabase());
    let answers = 0;
    const lossy = {
      transaction: () => Promise.reject(new DatabaseUnavailable(true)),
      query: async (text: string, values: unknown[]) => {
        const rows = await database.query(text, values);
        if ((answers += 1) === 1) throw new DatabaseUnavailable(true);
        return rows;
      },
    };
    const nothing = { changed: () => undefined, deliveriesAccepted: { inc: () => undefined } } as never;
    const deliveries = new PgDeliveries(
      new Ledger(lossy as never, nothing, nothing, nothing, nothing, nothing, nothing),
      nothing,
      nothing,
      nothing,
      nothing,
      { ttlMs: 1_000 } as never,
      new SystemClock(),
      nothing,
    );
    const abandoned = new RequestInterruption();
    const handOver = { record: { operation: 'create' }, key: undefined, abandoned } as unknown as HandOver;
    await expect(deliveries.accept(handOver)).rejects.toBeInstanceOf(DatabaseUnavailable);
    expect(answers).toBe(2);
  });
});
