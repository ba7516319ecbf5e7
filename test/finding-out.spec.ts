import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { MESSAGES_PATH } from '../src/nexudus/message.reader.js';
import type { RecordedCall, SandboxOptions, SandboxRole } from '../src/sandbox/nexudus-sandbox.js';
import { TestPostgres, databaseEnvironment } from './support/postgres.js';
import { type Answer, KEYS, startService, type TestService } from './support/service.js';
import { found, until } from './support/until.js';

const MESSAGE = { businessId: 1, content: 'See you at ten. ☕', sessionId: 42 };
const AS_SENT = { BusinessId: 1, Content: MESSAGE.content, AiChannelSessionId: 42 };
const NOBODY = '00000000-0000-4000-8000-000000000000';
/** After that a first look is due; the message should be there; it is looked for a second time where it is not. */
const FIRST_LOOK_MS = 5_000;
const SETTLED_MS = 30_000;
const SECOND_LOOK_MS = 90_000;

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await TestPostgres.start();
});
afterAll(() => postgres.stop());

const clients: pg.Client[] = [];
afterEach(async () => {
  for (const client of clients.splice(0)) await client.end();
});

interface Bench extends TestService {
  readonly database: string;
  readonly sql: pg.Client;
  /** Sends the message under a key; what became of it is written down when this resolves. */
  readonly send: (key: string, message?: object) => Promise<Answer>;
  /** As if so much time had passed since all that is written down happened. */
  readonly pass: (ms: number) => Promise<void>;
  /** Resolves when so many looks have come to a conclusion, and tells which. */
  readonly conclusions: (count: number) => Promise<unknown[]>;
  readonly lists: () => RecordedCall[];
  /** Hands the message over; the path of the delivery. */
  readonly handOver: (message?: object) => Promise<string>;
  /** Resolves when the delivery is in that state. */
  readonly delivery: (path: string, state: string) => Promise<Record<string, unknown>>;
  readonly order: (id: string, body: unknown) => Promise<Answer>;
}

async function start(given: { env?: Record<string, string>; sandbox?: SandboxOptions } = {}): Promise<Bench> {
  const url = await postgres.createDatabase();
  const service = await startService({ ...given, env: { ...databaseEnvironment(url), ...given.env } });
  const sql = new pg.Client({ connectionString: url });
  await sql.connect();
  clients.push(sql);
  const looks = (): Record<string, unknown>[] => service.log.filter((line) => 'look' in line);
  return {
    ...service,
    database: url,
    sql,
    send: async (key, message = MESSAGE) => {
      const answer = await service.create(message, { 'idempotency-key': key });
      // Where the database is slow it is answered before what became of it is written down.
      await until(
        async () => (await sql.query("select 1 from bff.delivery where state = 'sending'")).rowCount === 0,
      );
      return answer;
    },
    pass: async (ms) => {
      const columns = ['accepted_at', 'sent_at', 'settled_at', 'next_look_at'];
      const moved = columns.map((name) => `${name} = ${name} - $1::float8 * interval '1 millisecond'`);
      await sql.query(`update bff.delivery set ${moved.join(', ')}`, [ms]);
      await sql.query("select pg_notify('bff_unknown', '')");
    },
    conclusions: async (count) => {
      await until(() => looks().length >= count);
      return looks().map(({ conclusion }) => conclusion);
    },
    lists: () =>
      service.sandbox.calls.filter(({ method, path }) => method === 'GET' && path === MESSAGES_PATH),
    handOver: async (message = MESSAGE) => {
      const answer = await service.create(message, { prefer: 'respond-async' });
      expect(answer.status).toBe(202);
      return String(answer.headers.get('location'));
    },
    delivery: (path, state) => {
      const headers = { authorization: `Bearer ${KEYS.everything}` };
      return found(async () => {
        const { json } = await service.call('GET', path, { headers });
        const { rows } = await sql.query("select 1 from bff.line where state = 'granted'");
        // Whoever sent it is through with it, too.
        return json['state'] === state && rows.length === 0 ? json : undefined;
      });
    },
    order: (id, body) => orderAt(service, id, JSON.stringify(body)),
  };
}

async function orderAt({ app }: TestService, id: string, body: string): Promise<Answer> {
  const response = await fetch(`http://127.0.0.1:${app.managementPort}/ops/deliveries/${id}/resolve`, {
    method: 'POST',
    body,
  });
  const text = await response.text();
  return {
    status: response.status,
    headers: response.headers,
    text,
    json: JSON.parse(text) as Record<string, unknown>,
  };
}

async function unknownRows({ manage }: Bench): Promise<Record<string, unknown>[]> {
  return (await manage('/ops/deliveries?state=unknown')).json['deliveries'] as Record<string, unknown>[];
}

/** What the command prints. */
async function command({ app }: TestService, ...args: string[]): Promise<string> {
  const url = `http://127.0.0.1:${app.managementPort}`;
  const { stdout } = await promisify(execFile)('node', ['scripts/deliveries.js', ...args, '--url', url]);
  return stdout;
}

async function unknownId(bench: Bench): Promise<string> {
  const [row] = await unknownRows(bench);
  return String(row?.['id']);
}

describe('a create whose outcome is unknown', () => {
  it('that was run is found: its key answers 201 with its id, and it is not sent again', async () => {
    const bench = await start();
    const { sandbox, send, pass, conclusions } = bench;
    sandbox.next({ kind: 'lost' });
    expect((await send('a')).json).toMatchObject({ status: 502, outcome: 'unknown' });
    expect((await send('a')).status).toBe(502);
    await pass(FIRST_LOOK_MS);
    expect(await conclusions(1)).toEqual(['found']);
    const [id] = sandbox.messages.keys();
    const answer = await send('a');
    expect(answer.status).toBe(201);
    expect(answer.headers.get('location')).toBe(`/v1/chat-messages/${id}`);
    expect(answer.headers.get('idempotency-replayed')).toBe('true');
    expect(answer.json).toEqual({
      id,
      ...MESSAGE,
      action: 'operator',
      userId: null,
      updatedAt: sandbox.messages.get(id ?? 0)?.UpdatedOn,
    });
    expect(sandbox.writes).toHaveLength(1);
    expect(await unknownRows(bench)).toEqual([]);
    expect(bench.rawLog.join()).not.toContain(MESSAGE.content);
  });

  it('is looked for by what it belongs to and when it was sent, and not by its content', async () => {
    const { sandbox, send, pass, conclusions, lists } = await start();
    sandbox.next({ kind: 'lost' });
    await send('a');
    await pass(FIRST_LOOK_MS);
    await conclusions(1);
    const [query = new URLSearchParams()] = lists().map((call) => call.query);
    const minute = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d$/) as unknown as string;
    expect(Object.fromEntries(query)).toEqual({
      OpenAiChatMessage_Business: '1',
      OpenAiChatMessage_AiChannelSession: '42',
      from_OpenAiChatMessage_CreatedOn: minute,
      to_OpenAiChatMessage_CreatedOn: minute,
      page: '1',
      size: '100',
    });
  });

  it('is found on whichever page, and in whatever order, it is', async () => {
    const { sandbox, send, pass, conclusions, lists } = await start({
      sandbox: { dirOneMeans: 'ascending' },
    });
    for (let index = 0; index < 250; index += 1) sandbox.seed({ ...AS_SENT, Content: `another ${index}` });
    sandbox.next({ kind: 'lost' });
    await send('a');
    await pass(FIRST_LOOK_MS);
    expect(await conclusions(1)).toEqual(['found']);
    expect(lists()).toHaveLength(3);
    expect((await send('a')).status).toBe(201);
  });

  it('stays unknown where there are more records than are looked through', async () => {
    const { sandbox, send, pass, conclusions, log, lists } = await start();
    for (let index = 0; index < 1_001; index += 1) sandbox.seed({ ...AS_SENT, Content: `another ${index}` });
    sandbox.next({ kind: 'dropped' });
    await send('a');
    await pass(SETTLED_MS);
    expect(await conclusions(1)).toEqual(['unclear']);
    expect(log.find((line) => 'look' in line)).toMatchObject({ reason: 'too-many' });
    expect(lists()).toHaveLength(1);
  });

  it('that was not run is missed by two looks after it should have been there, and only then its key is free', async () => {
    const { sandbox, send, pass, conclusions } = await start();
    sandbox.next({ kind: 'dropped' });
    expect((await send('a')).status).toBe(502);
    await pass(FIRST_LOOK_MS);
    expect(await conclusions(1)).toEqual(['missing']);
    await pass(SETTLED_MS - FIRST_LOOK_MS);
    expect(await conclusions(2)).toEqual(['missing', 'missing']);
    expect((await send('a')).status).toBe(502);
    await pass(SECOND_LOOK_MS);
    expect(await conclusions(3)).toEqual(['missing', 'missing', 'not-sent']);
    const answer = await send('a');
    expect(answer.status).toBe(201);
    expect(answer.headers.has('idempotency-replayed')).toBe(false);
    expect(sandbox.writes.filter(({ executed }) => executed)).toHaveLength(1);
  });

  it('that shows late in the lists is found all the same', async () => {
    const bench = await start({ sandbox: { listLagMs: 3_600_000 } });
    const { sandbox, send, pass, conclusions } = bench;
    sandbox.next({ kind: 'lost' });
    await send('a');
    await pass(SETTLED_MS);
    expect(await conclusions(1)).toEqual(['missing']);
    sandbox.options.listLagMs = 0;
    await pass(SECOND_LOOK_MS);
    expect(await conclusions(2)).toEqual(['missing', 'found']);
    expect((await send('a')).status).toBe(201);
  });

  it('stays unknown where two records are the same as it', async () => {
    const { sandbox, send, pass, conclusions } = await start();
    sandbox.seed(AS_SENT);
    sandbox.next({ kind: 'lost' });
    await send('a');
    await pass(SETTLED_MS);
    await pass(SETTLED_MS);
    expect(await conclusions(1)).toEqual(['unclear']);
    expect((await send('a')).status).toBe(502);
    expect(sandbox.writes).toHaveLength(1);
  });

  it('stays unknown where a record may be it, tidied up by Nexudus', async () => {
    const { sandbox, send, pass, conclusions } = await start();
    sandbox.seed({ ...AS_SENT, Content: `${MESSAGE.content}\r\n` });
    sandbox.next({ kind: 'dropped' });
    await send('a');
    await pass(SETTLED_MS);
    expect(await conclusions(1)).toEqual(['unclear']);
  });

  it.each([
    ['lost', 'found'],
    ['dropped', 'missing'],
  ] as const)(
    'that was %s is %s beside a record that another delivery is known to have made',
    async (kind, expected) => {
      const { sandbox, send, pass, conclusions } = await start();
      const twin = await send('twin');
      sandbox.next({ kind });
      await send('a');
      await pass(SETTLED_MS);
      expect(await conclusions(1)).toEqual([expected]);
      const answer = await send('a');
      expect(answer.status).toBe(expected === 'found' ? 201 : 502);
      expect(answer.json['id']).not.toBe(twin.json['id']);
    },
  );

  it('of which one twin was run ends as one of each: neither is lost, neither doubled', async () => {
    const { sandbox, send, pass, conclusions } = await start();
    sandbox.next({ kind: 'lost' });
    sandbox.next({ kind: 'dropped' });
    await Promise.all([send('a'), send('b')]);
    await pass(SETTLED_MS);
    await conclusions(2);
    await pass(SECOND_LOOK_MS);
    expect((await conclusions(3)).sort()).toEqual(['found', 'missing', 'not-sent']);
    expect([(await send('a')).status, (await send('b')).status]).toEqual([201, 201]);
    expect(sandbox.messages.size).toBe(2);
  });

  it('does not claim a record while the same message is being sent for somebody else', async () => {
    const { sandbox, send, pass, conclusions } = await start({
      // Until it is released.
      env: { NEXUDUS_ATTEMPT_TIMEOUT_MS: '60000' },
    });
    sandbox.next({ kind: 'dropped' });
    await send('a');
    sandbox.next({ kind: 'hang' });
    const twin = send('twin', { ...MESSAGE });
    await until(() => sandbox.messages.size === 1);
    await pass(SETTLED_MS);
    expect(await conclusions(1)).toEqual(['postponed']);
    sandbox.release();
    expect((await twin).status).toBe(201);
    await pass(SETTLED_MS);
    expect(await conclusions(2)).toEqual(['postponed', 'missing']);
  });
});

describe('a delivery whose outcome is unknown', () => {
  it('that was run is found, and what waits behind it goes on', async () => {
    const { sandbox, handOver, delivery, pass, conclusions } = await start({
      env: { DELIVERY_UNKNOWN_HOLD_S: '3600' },
    });
    sandbox.next({ kind: 'lost' });
    const path = await handOver();
    expect(await delivery(path, 'unknown')).toMatchObject({ outcome: 'unknown' });
    const behind = await handOver({ ...MESSAGE, content: 'another' });
    await pass(FIRST_LOOK_MS);
    expect(await conclusions(1)).toEqual(['found']);
    const [id] = sandbox.messages.keys();
    expect(await delivery(path, 'done')).toMatchObject({ outcome: 'done', message: { id, ...MESSAGE } });
    await delivery(behind, 'done');
    expect(sandbox.writes).toHaveLength(2);
  });

  it('that was not run is sent again, once', async () => {
    const { sandbox, handOver, delivery, pass, conclusions } = await start();
    sandbox.next({ kind: 'dropped' });
    const path = await handOver();
    await delivery(path, 'unknown');
    await pass(SETTLED_MS);
    await conclusions(1);
    await pass(SECOND_LOOK_MS);
    expect(await conclusions(2)).toEqual(['missing', 'not-sent']);
    expect(await delivery(path, 'done')).toMatchObject({ attempts: 2 });
    expect(sandbox.writes.map(({ executed }) => executed)).toEqual([false, true]);
  });

  it('that was not run is not sent later than its caller was told', async () => {
    const { sandbox, sql, handOver, delivery, pass, conclusions } = await start();
    sandbox.next({ kind: 'dropped' });
    const path = await handOver();
    await delivery(path, 'unknown');
    await sql.query('update bff.delivery set expires_at = now()');
    await pass(SETTLED_MS);
    await conclusions(1);
    await pass(SECOND_LOOK_MS);
    expect(await conclusions(2)).toEqual(['missing', 'not-sent']);
    await delivery(path, 'expired');
    expect(sandbox.writes).toHaveLength(1);
  });

  it('is looked for by one replica at a time', async () => {
    const bench = await start();
    const { sandbox, send, pass, lists } = bench;
    const env = databaseEnvironment(bench.database);
    const others = await Promise.all([1, 2].map(() => startService({ env, sandbox })));
    sandbox.next({ kind: 'lost' });
    await send('a');
    sandbox.always({ kind: 'slow', ms: 300 }, { on: 'read' });
    await pass(FIRST_LOOK_MS);
    const looks = (): unknown[] =>
      [bench, ...others].flatMap(({ log }) => log.filter((line) => 'look' in line));
    await until(() => looks().length > 0);
    expect(looks()).toEqual([expect.objectContaining({ look: 1, conclusion: 'found' })]);
    expect(lists()).toHaveLength(1);
  });
});

describe('without the role to list messages', () => {
  const roles: SandboxRole[] = [
    'OpenAiChatMessage-Create',
    'OpenAiChatMessage-Edit',
    'OpenAiChatMessage-Read',
  ];
  const account = { username: 'service@example.com', password: 'sandbox-password', roles };

  it('nothing is looked up, and operators are told so; a token is not renewed for it more than once', async () => {
    const { sandbox, send, pass, conclusions, log, manage, lists } = await start({
      sandbox: { accounts: [account] },
    });
    expect((await manage('/info')).json['findingOut']).toMatchObject({ lists: 'allowed' });
    sandbox.next({ kind: 'lost' });
    await send('a');
    await pass(FIRST_LOOK_MS);
    expect(await conclusions(1)).toEqual(['postponed']);
    // The token was renewed in the meantime.
    expect((await send('b', { ...MESSAGE, content: 'another' })).status).toBe(201);
    await pass(SETTLED_MS);
    expect(await conclusions(2)).toEqual(['postponed', 'postponed']);
    expect(log.filter((line) => 'look' in line).at(-1)).toMatchObject({ reason: 'refused' });
    expect(log).toContainEqual(expect.objectContaining({ role: 'OpenAiChatMessage-List' }));
    const { findingOut } = (await manage('/info')).json;
    expect(findingOut).toMatchObject({ lists: 'refused', nextTryInSeconds: expect.any(Number) as unknown });
    expect(lists()).toHaveLength(2);
    expect(sandbox.tokenCalls).toHaveLength(2);
    expect((await send('a')).status).toBe(502);
  });
});

describe('a tag in SystemId', () => {
  const env = { NEXUDUS_TAG_SYSTEM_ID: 'true' };

  it('finds a message beside others that are the same', async () => {
    const { sandbox, send, pass, conclusions, lists } = await start({ env });
    sandbox.seed(AS_SENT);
    sandbox.next({ kind: 'lost' });
    await send('a');
    await pass(FIRST_LOOK_MS);
    expect(await conclusions(1)).toEqual(['found']);
    expect(lists().map(({ query }) => query.has('OpenAiChatMessage_SystemId'))).toEqual([true]);
    const tagged = [...sandbox.messages.values()].find(({ SystemId }) => SystemId !== null);
    expect((await send('a')).json['id']).toBe(tagged?.Id);
  });

  it('that Nexudus does not store is no reason to take a message for missing', async () => {
    const { sandbox, send, pass, conclusions, lists } = await start({
      env,
      sandbox: { systemId: 'ignored' },
    });
    sandbox.next({ kind: 'lost' });
    await send('a');
    await pass(FIRST_LOOK_MS);
    expect(await conclusions(1)).toEqual(['found']);
    expect(lists()).toHaveLength(2);
  });

  it('that Nexudus refuses is left out from then on, and the message is delivered once', async () => {
    const { sandbox, send, log, manage } = await start({ env, sandbox: { systemId: 'refused' } });
    expect((await send('a')).status).toBe(201);
    expect(sandbox.messages.size).toBe(1);
    expect(sandbox.writes.map(({ executed }) => executed)).toEqual([false, true]);
    expect(log).toContainEqual(expect.objectContaining({ variable: 'NEXUDUS_TAG_SYSTEM_ID' }));
    expect((await manage('/info')).json['findingOut']).toMatchObject({ systemIdTag: 'refused' });
    expect((await send('b', { ...MESSAGE, content: 'another' })).status).toBe(201);
    expect(sandbox.writes).toHaveLength(3);
  });

  it('is not sent unless it was asked for', async () => {
    const { sandbox, send } = await start();
    await send('a');
    expect(sandbox.writes.map(({ json }) => json)).toEqual([{ Action: 1, ...AS_SENT }]);
  });
});

describe('an operator', () => {
  it('sees what is unknown, without what anybody wrote', async () => {
    const bench = await start();
    bench.sandbox.next({ kind: 'lost' });
    await bench.send('a', { ...MESSAGE, userId: 7 });
    const isoDate = expect.stringMatching(/^\d{4}-.*Z$/) as unknown as string;
    expect(await unknownRows(bench)).toEqual([
      {
        id: expect.any(String) as unknown,
        caller: 'api-key:everything',
        operation: 'create',
        mode: 'sync',
        state: 'unknown',
        attempts: 1,
        acceptedAt: isoDate,
        sentAt: isoDate,
        messageId: null,
        businessId: 1,
        sessionId: 42,
        userId: 7,
      },
    ]);
    expect((await bench.manage('/ops/deliveries?state=done')).status).toBe(422);
  });

  it('says that it was delivered: its key answers 201, and who said so is in the log', async () => {
    const bench = await start();
    bench.sandbox.next({ kind: 'lost' });
    await bench.send('a');
    const id = await unknownId(bench);
    const answer = await bench.order(id, { as: 'delivered', messageId: 4711 });
    expect(answer.status).toBe(200);
    expect(answer.json).toMatchObject({ id, state: 'done' });
    expect((await bench.send('a')).json).toMatchObject({
      id: 4711,
      content: MESSAGE.content,
      updatedAt: null,
    });
    expect(bench.log).toContainEqual(
      expect.objectContaining({
        audit: true,
        from: '127.0.0.1',
        delivery: id,
        decision: { as: 'delivered', messageId: 4711 },
      }),
    );
    expect((await bench.order(id, { as: 'not-sent' })).status).toBe(409);
    expect(bench.sandbox.writes).toHaveLength(1);
  });

  it('says that it was not sent: its key is free', async () => {
    const bench = await start();
    bench.sandbox.next({ kind: 'dropped' });
    await bench.send('a');
    const id = await unknownId(bench);
    expect((await bench.order(id, { as: 'not-sent' })).json).toMatchObject({ id, state: 'cancelled' });
    const answer = await bench.send('a');
    expect(answer.status).toBe(201);
    expect(bench.sandbox.messages.size).toBe(1);
    expect((await bench.order(id, { as: 'not-sent' })).status).toBe(404);
  });

  it('says that a delivery was not sent: it is sent again', async () => {
    const { sandbox, handOver, delivery, order } = await start();
    sandbox.next({ kind: 'dropped' });
    const path = await handOver();
    const { id } = await delivery(path, 'unknown');
    expect((await order(String(id), { as: 'not-sent' })).json).toMatchObject({ id, state: 'accepted' });
    await delivery(path, 'done');
    expect(sandbox.messages.size).toBe(1);
  });

  it('says so while it holds up its session: it goes before what waits behind it', async () => {
    const { sandbox, handOver, delivery, order, sql } = await start();
    sandbox.next({ kind: 'dropped' });
    const first = await handOver({ ...MESSAGE, content: 'first' });
    const { id } = await delivery(first, 'unknown');
    const second = await handOver({ ...MESSAGE, content: 'second' });
    expect((await order(String(id), { as: 'not-sent' })).status).toBe(200);
    await delivery(first, 'done');
    await delivery(second, 'done');
    expect([...sandbox.messages.values()].map(({ Content }) => Content)).toEqual(['first', 'second']);
    expect((await sql.query('select 1 from bff.line')).rows).toEqual([]);
  });

  it('says so before its replica is through with it: nothing is changed, and it may be said again', async () => {
    const { sandbox, handOver, delivery, order, sql } = await start();
    sandbox.next({ kind: 'dropped' });
    const path = await handOver();
    const { id } = await delivery(path, 'unknown');
    await sql.query("update bff.line set state = 'granted', replica = (select id from bff.replica)");
    const refused = await order(String(id), { as: 'not-sent' });
    expect([refused.status, refused.json['status']]).toEqual([409, expect.stringContaining('try again')]);
    await sql.query("update bff.line set state = 'held', replica = null");
    await delivery(path, 'unknown');
    expect((await order(String(id), { as: 'not-sent' })).status).toBe(200);
    await delivery(path, 'done');
    expect(sandbox.messages.size).toBe(1);
  });

  it('says that a delivery was delivered: its caller sees it done', async () => {
    const { sandbox, handOver, delivery, order } = await start();
    sandbox.next({ kind: 'dropped' });
    const path = await handOver();
    const { id } = await delivery(path, 'unknown');
    expect((await order(String(id), { as: 'delivered', messageId: 4711 })).json).toMatchObject({
      state: 'done',
    });
    expect(await delivery(path, 'done')).toMatchObject({ message: { id: 4711, content: MESSAGE.content } });
    expect(sandbox.writes).toHaveLength(1);
  });

  it('does the same with a command', async () => {
    const bench = await start();
    bench.sandbox.next({ kind: 'lost' });
    await bench.send('a');
    const id = await unknownId(bench);
    expect(await command(bench, 'list')).toMatch(new RegExp(`^id .*\n${id} +unknown +create +sync `));
    expect(await command(bench, 'resolve', id, '--delivered', '4711')).toContain(`${id}  done `);
    expect((await bench.send('a')).json).toMatchObject({ id: 4711 });
    await expect(command(bench, 'resolve', id, '--not-sent')).rejects.toMatchObject({
      code: 1,
      stderr: expect.stringContaining('409: ') as unknown,
    });
    await expect(command(bench, 'resolve', id)).rejects.toMatchObject({ code: 2 });
  });

  it('is told when a decision is none', async () => {
    const { order } = await start();
    for (const body of [
      null,
      [],
      {},
      { as: 'lost' },
      { as: 'delivered' },
      { as: 'delivered', messageId: 0 },
      { as: 'delivered', messageId: '1' },
      { as: 'not-sent', messageId: 1 },
      { as: 'not-sent', force: true },
    ]) {
      expect([body, (await order(NOBODY, body)).status]).toEqual([body, 422]);
    }
  });

  it('is told what is wrong with an order, and gives it on the port for operators alone', async () => {
    const service = await start();
    const { order, manage, call } = service;
    expect((await order(NOBODY, { as: 'not-sent' })).status).toBe(404);
    expect((await order('nothing', { as: 'not-sent' })).status).toBe(404);
    expect((await orderAt(service, NOBODY, '{')).status).toBe(400);
    expect((await orderAt(service, NOBODY, JSON.stringify('x'.repeat(5_000)))).status).toBe(413);
    const wrong = await manage(`/ops/deliveries/${NOBODY}/resolve`);
    expect([wrong.status, wrong.headers.get('allow')]).toEqual([405, 'POST']);
    expect((await call('GET', '/ops/deliveries')).status).toBe(404);
    expect((await call('POST', `/ops/deliveries/${NOBODY}/resolve`)).status).toBe(404);
  });

  it('has nothing to decide without a database', async () => {
    const { manage } = await startService();
    expect((await manage('/ops/deliveries')).status).toBe(404);
  });
});
