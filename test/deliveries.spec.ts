import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createConnection } from 'node:net';
import pg from 'pg';
import type { NexudusSandbox, SandboxOptions } from '../src/sandbox/nexudus-sandbox.js';
import { connectedUntilNoticed } from './support/connection.js';
import { TestPostgres, databaseEnvironment } from './support/postgres.js';
import { TcpProxy } from './support/tcp-proxy.js';
import { contradictions } from './support/documented.js';
import { KEYS, rawCreate, rawWrite, startService, type Answer, type TestService } from './support/service.js';
import { found, until } from './support/until.js';

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await TestPostgres.start();
});
afterAll(async () => {
  for (const client of clients) await client.end();
  for (const proxy of proxies) await proxy.close();
  await postgres.stop();
});

const MESSAGE = { businessId: 1, content: 'See you at ten. 😀\u2028' };
const ASYNC = { prefer: 'respond-async' };
const OTHER = { authorization: `Bearer ${KEYS.businessesOneAndTwo}` };
/** What is held at Nexudus is not given up before it is released. */
const PATIENT = { NEXUDUS_ATTEMPT_TIMEOUT_MS: '60000' };
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

interface Replica extends TestService {
  readonly read: (delivery: Answer | string, headers?: Record<string, string>) => Promise<Answer>;
  readonly list: (query?: string, headers?: Record<string, string>) => Promise<Answer>;
  readonly cancel: (delivery: Answer | string, headers?: Record<string, string>) => Promise<Answer>;
  /** The delivery, when it is in this state. */
  readonly when: (delivery: Answer, ...states: string[]) => Promise<Record<string, unknown>>;
  /** The events of the delivery, of which the first is there. */
  readonly follow: (delivery: Answer) => Promise<Response>;
}

interface Fleet {
  readonly one: Replica;
  readonly two: Replica;
  readonly sandbox: NexudusSandbox;
  readonly sql: (text: string, values?: unknown[]) => Promise<Record<string, unknown>[]>;
}

async function startReplica(
  env: Record<string, string>,
  sandbox: SandboxOptions | NexudusSandbox,
): Promise<Replica> {
  const service = await startService({ env, sandbox });
  const ask =
    (method: string) =>
    (path: string, headers: Record<string, string> = {}): Promise<Answer> =>
      service.call(method, path, { headers: { authorization: `Bearer ${KEYS.everything}`, ...headers } });
  const pathOf = (delivery: Answer | string): string =>
    typeof delivery === 'string' ? `/v1/deliveries/${delivery}` : (delivery.headers.get('location') ?? '');
  const read: Replica['read'] = (delivery, headers) => ask('GET')(pathOf(delivery), headers);
  return {
    ...service,
    read,
    list: (query = '', headers = {}) => ask('GET')(`/v1/deliveries${query}`, headers),
    cancel: (delivery, headers) => ask('DELETE')(pathOf(delivery), headers),
    when: (delivery, ...states) =>
      found(async () => {
        const { json } = await read(delivery);
        return states.includes(String(json['state'])) ? json : undefined;
      }),
    follow: (delivery) =>
      fetch(`${service.url}${pathOf(delivery)}/events`, {
        headers: { authorization: `Bearer ${KEYS.everything}` },
      }),
  };
}

/** What is answered when the key is in use no more: its first answer may come before it is written down. */
async function whenFree(ask: () => Promise<Answer>): Promise<Answer> {
  for (;;) {
    const answer = await ask();
    if (answer.status !== 409) return answer;
  }
}

/** Of a page of deliveries. */
const idsOf = ({ json }: Answer): string[] =>
  (json as { deliveries: { id: string }[] }).deliveries.map(({ id }) => id);

const clients: pg.Client[] = [];
const proxies: TcpProxy[] = [];

async function connect(url: string): Promise<Fleet['sql']> {
  const client = new pg.Client({ connectionString: url });
  clients.push(client);
  await client.connect();
  return async (text, values = []) => (await client.query<Record<string, unknown>>(text, values)).rows;
}

/** How many changes of deliveries, or of what counts them, wait for somebody else's to be over. */
async function blocked(sql: Fleet['sql'], table = 'bff.delivery'): Promise<number> {
  const [row] = await sql(
    `select count(distinct pid) from pg_locks waits join pg_locks has using (pid)
     where not waits.granted and has.relation = $1::regclass`,
    [table],
  );
  return Number(row?.['count']);
}

/** Two replicas on one database. */
async function start(given: { env?: Record<string, string>; sandbox?: SandboxOptions } = {}): Promise<Fleet> {
  const url = await postgres.createDatabase();
  const env = { ...databaseEnvironment(url), ...PATIENT, ...given.env };
  const one = await startReplica(env, given.sandbox ?? {});
  const two = await startReplica(env, one.sandbox);
  return { one, two, sandbox: one.sandbox, sql: await connect(url) };
}

describe('a write that is handed over', () => {
  it('is accepted at once, sent, and found by whoever handed it over, at any replica', async () => {
    const { one, two, sandbox } = await start();
    sandbox.next({ kind: 'hold' });
    const accepted = await one.create(MESSAGE, ASYNC);
    expect(accepted.status).toBe(202);
    const { id } = accepted.json;
    expect(id).toMatch(UUID);
    expect(accepted.headers.get('location')).toBe(`/v1/deliveries/${String(id)}`);
    expect(accepted.headers.get('preference-applied')).toBe('respond-async');
    expect(accepted.json).toMatchObject({ state: 'accepted', position: 1 });
    expect(await two.when(accepted, 'sending')).toMatchObject({ id, outcome: null, attempts: 1 });
    await until(() => sandbox.writes.length === 1);
    sandbox.release();
    const done = await two.when(accepted, 'done');
    const [messageId] = [...sandbox.messages.keys()];
    expect(done).toMatchObject({
      id,
      operation: 'create',
      outcome: 'done',
      attempts: 1,
      expiresAt: accepted.json['expiresAt'],
      message: { ...MESSAGE, id: messageId, action: 'operator', userId: null, sessionId: null },
    });
    expect(done).not.toHaveProperty('position');
    expect(sandbox.writes).toHaveLength(1);
  });

  it('is answered as usual where it is settled within the wait', async () => {
    const { one, two, sandbox } = await start();
    const created = await one.create(MESSAGE, { prefer: 'respond-async, wait=20' });
    expect(created.status).toBe(201);
    expect(created.json).toMatchObject(MESSAGE);
    expect(created.headers.get('location')).toBe(`/v1/chat-messages/${String(created.json['id'])}`);
    expect(created.headers.get('preference-applied')).toBe('respond-async, wait=20');
    const id = Number(created.json['id']);
    const replaced = await two.replace(
      id,
      { ...MESSAGE, content: 'b' },
      { prefer: 'wait=20, respond-async' },
    );
    expect(replaced.status).toBe(200);
    expect(sandbox.messages.get(id)?.Content).toBe('b');
    sandbox.next({ kind: 'reject', errors: [{ PropertyName: 'Content', Message: 'is rude' }] });
    const rejected = await one.create(MESSAGE, { prefer: 'respond-async, wait=20' });
    expect(rejected.status).toBe(422);
    expect(rejected.json).toMatchObject({
      outcome: 'rejected',
      errors: [{ pointer: '#/content', detail: 'is rude' }],
    });
    const { deliveries } = (await one.list('?state=rejected')).json as { deliveries: object[] };
    expect(deliveries).toMatchObject([{ state: 'rejected', outcome: 'rejected', problem: rejected.json }]);
  });

  it('is answered with 202 when the wait is over', async () => {
    const { one, two, sandbox } = await start();
    const key = { 'idempotency-key': 'k' };
    sandbox.next({ kind: 'hold' });
    const accepted = await one.create(MESSAGE, { ...key, prefer: 'respond-async, wait=1' });
    await until(() => sandbox.writes.length === 1);
    // The first wait may have been over before it was sent.
    const again = await two.create(MESSAGE, { ...key, prefer: 'respond-async, wait=1' });
    for (const { status, headers, json } of [accepted, again]) {
      expect([status, json['id']]).toEqual([202, accepted.json['id']]);
      expect(headers.get('preference-applied')).toBe('respond-async, wait=1');
    }
    expect(again.json).toMatchObject({ state: 'sending', position: null, estimatedAt: null });
    sandbox.release();
    await one.when(accepted, 'done');
  });

  it('is answered as it stands then, when it is cancelled within the wait', async () => {
    const { one, two, sandbox } = await start();
    const inSession = { ...MESSAGE, sessionId: 7 };
    sandbox.next({ kind: 'hold' });
    await one.create(inSession, ASYNC);
    const waiting = one.create(inSession, { prefer: 'respond-async, wait=20' });
    let ids: string[];
    do ids = idsOf(await two.list());
    while (ids.length < 2);
    expect((await two.cancel(ids[0] ?? '')).status).toBe(200);
    const { status, json } = await waiting;
    expect([status, json]).toEqual([
      202,
      expect.objectContaining({ id: ids[0], state: 'cancelled', position: null, estimatedAt: null }),
    ]);
    await until(() => sandbox.writes.length === 1);
    sandbox.release();
  });

  it('waits for the quota, says where it stands, and outlives whoever took it on', async () => {
    const limits = '1/2s';
    const { one, two, sandbox } = await start({
      env: { NEXUDUS_WRITE_LIMITS: limits },
      sandbox: { writeLimits: limits },
    });
    // As long as it is under way it counts, and the others wait.
    sandbox.next({ kind: 'hold' });
    const accepted = [];
    for (const content of ['a', 'b', 'c']) accepted.push(await one.create({ ...MESSAGE, content }, ASYNC));
    const [, , last] = accepted;
    if (last === undefined) throw new Error('no third delivery');
    await until(() => sandbox.writes.length === 1);
    const askedAtMs = Date.now();
    const { json } = await two.read(last);
    expect(json).toMatchObject({ state: 'accepted', position: 2 });
    expect(Date.parse(String(json['estimatedAt']))).toBeGreaterThan(askedAtMs);
    sandbox.release();
    await one.app.stop();
    await two.when(last, 'done');
    expect([...sandbox.messages.values()].map(({ Content }) => Content)).toEqual(['a', 'b', 'c']);
    expect(sandbox.writes.map(({ throttled }) => throttled)).toEqual([false, false, false]);
  });

  it('can be traced in the log, from the request to the attempts and the end', async () => {
    const { one, two, sandbox } = await start({ env: { NEXUDUS_WRITE_LIMITS: '2/1s' } });
    const key = { 'idempotency-key': 'k' };
    sandbox.next({ kind: 'edge-403' });
    sandbox.next({ kind: 'throttle', retryAfter: '1' });
    sandbox.next({ kind: 'hold' });
    const accepted = await one.create(MESSAGE, { ...key, ...ASYNC });
    await until(() => sandbox.writes.length === 3);
    const again = await one.create(MESSAGE, { ...key, ...ASYNC });
    expect(again.json['id']).toBe(accepted.json['id']);
    sandbox.release();
    await one.when(accepted, 'done');
    const logged = (message: string): Record<string, unknown>[] =>
      [one, two].flatMap(({ log }) => log.filter((line) => line['message'] === message));
    const common = {
      delivery: accepted.json['id'],
      caller: 'api-key:everything',
      requestId: accepted.headers.get('x-request-id'),
    };
    await until(() => logged('delivery').length === 1);
    await until(() => logged('request').filter((line) => 'delivery' in line).length === 2);
    expect(logged('request').filter((line) => 'delivery' in line)).toMatchObject([
      { ...common, outcome: 'accepted' },
      { ...common, requestId: again.headers.get('x-request-id'), outcome: 'accepted', replayed: true },
    ]);
    expect(logged('An attempt at Nexudus failed').map(({ requestId }) => requestId)).toEqual([
      common.requestId,
      common.requestId,
    ]);
    const ended = { ...common, operation: 'create', waitMs: expect.any(Number) };
    const [[waits], [done]] = [logged('A delivery waits to be tried again'), logged('delivery')];
    expect(waits).toMatchObject({ ...ended, outcome: 'not-sent', problem: 'upstream-access-denied' });
    expect(done).toMatchObject({ ...ended, outcome: 'done' });
    expect([waits, done].map((line) => Number.isInteger(line?.['waitMs']))).toEqual([true, true]);
  });

  it('keeps the order of its session, also against a write that somebody waits for', async () => {
    const { one, two, sandbox } = await start();
    const inSession = { ...MESSAGE, sessionId: 7 };
    sandbox.next({ kind: 'hold' });
    const first = await one.create({ ...inSession, content: 'a' }, ASYNC);
    await one.create({ ...inSession, content: 'b' }, ASYNC);
    await one.when(first, 'sending');
    await until(() => sandbox.writes.length === 1);
    const waiting = two.create({ ...inSession, content: 'c' });
    // Another session is not held up.
    expect((await two.create({ ...MESSAGE, sessionId: 8, content: 'x' })).status).toBe(201);
    expect(sandbox.writes).toHaveLength(2);
    sandbox.release();
    expect((await waiting).status).toBe(201);
    const contents = [...sandbox.messages.values()].map(({ Content }) => Content);
    expect(contents.filter((content) => content !== 'x')).toEqual(['a', 'b', 'c']);
  });

  it('steps aside when it is rejected', async () => {
    const { one, sandbox } = await start();
    const inSession = { ...MESSAGE, sessionId: 7 };
    sandbox.next({ kind: 'reject' });
    const rejected = await one.create({ ...inSession, content: 'a' }, ASYNC);
    const next = await one.create({ ...inSession, content: 'b' }, ASYNC);
    expect(await one.when(next, 'done')).toMatchObject({ outcome: 'done' });
    expect(await one.when(rejected, 'rejected')).toMatchObject({ problem: { outcome: 'rejected' } });
  });

  it('is never sent again when nobody knows whether it was run, and holds up its session for a while only', async () => {
    const { one, sandbox } = await start({ env: { DELIVERY_UNKNOWN_HOLD_S: '1' } });
    const inSession = { ...MESSAGE, sessionId: 7 };
    sandbox.next({ kind: 'lost' });
    const lost = await one.create({ ...inSession, content: 'a' }, ASYNC);
    const next = await one.create({ ...inSession, content: 'b' }, ASYNC);
    const unknown = await one.when(lost, 'unknown');
    expect(unknown).toMatchObject({ outcome: 'unknown', problem: { status: 502, outcome: 'unknown' } });
    const { acceptedAt, settledAt } = await one.when(next, 'done');
    expect(acceptedAt).toBeDefined();
    const heldMs = Date.parse(String(settledAt)) - Date.parse(String(unknown['settledAt']));
    expect(heldMs).toBeGreaterThanOrEqual(1_000);
    expect(sandbox.writes).toHaveLength(2);
  });

  it('is sent again when a replace may have been run, since that does no harm', async () => {
    const { one, sandbox } = await start();
    const { Id } = sandbox.seed({ BusinessId: 1, Content: 'old' });
    sandbox.next({ kind: 'lost' }, { times: 6 });
    const accepted = await one.replace(Id, MESSAGE, ASYNC);
    expect(await one.when(accepted, 'done')).toMatchObject({ attempts: 7, message: { id: Id } });
    expect(sandbox.messages.get(Id)?.Content).toBe(MESSAGE.content);
  });

  it('of a replace that never gets a usable answer is given up as unknown, its key is free, and what comes after it goes on', async () => {
    const { one, sandbox, sql } = await start({ env: { DELIVERY_UNKNOWN_HOLD_S: '0' } });
    const { Id } = sandbox.seed({ BusinessId: 1, Content: 'old' });
    const inSession = { ...MESSAGE, sessionId: 7 };
    sandbox.next({ kind: 'hold' });
    await one.create(inSession, ASYNC);
    await until(() => sandbox.writes.length === 1);
    const keyed = { ...ASYNC, 'idempotency-key': 'k' };
    const first = await one.replace(Id, inSession, keyed);
    // As after many turns; until here it waits for the one before it in its session.
    await sql("update bff.delivery set attempts = 20 where operation = 'replace'");
    sandbox.next({ kind: 'lost' }, { times: 5 });
    sandbox.release();
    expect(await one.when(first, 'unknown')).toMatchObject({ outcome: 'unknown', attempts: 25 });
    const again = await one.replace(Id, inSession, keyed);
    expect([again.status, again.headers.get('idempotency-replayed')]).toEqual([202, null]);
    expect(await one.when(again, 'done')).toMatchObject({ attempts: 1 });
    const later = await one.replace(Id, { ...inSession, content: 'later' }, ASYNC);
    expect(await one.when(later, 'done')).toMatchObject({ attempts: 1 });
  });

  it('goes on waiting while Nexudus cannot take it', async () => {
    const { one, sandbox } = await start();
    sandbox.next({ kind: 'edge-403' });
    const accepted = await one.create(MESSAGE, ASYNC);
    expect(await one.when(accepted, 'done')).toMatchObject({ attempts: 2 });
  });

  it('steps aside when it is blocked again and again while others pass', async () => {
    const one = await startReplica(databaseEnvironment(await postgres.createDatabase()), {});
    const inSession = { ...MESSAGE, sessionId: 42 };
    const blocked = await one.create({ ...inSession, content: 'sandbox:edge-403' }, ASYNC);
    const behind = await one.create(inSession, ASYNC);
    const over = new AbortController();
    const others = (async () => {
      while (!over.signal.aborted) {
        expect((await one.create(MESSAGE)).status).toBe(201);
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    })();
    const rejected = await one.when(blocked, 'rejected').finally(() => {
      over.abort();
    });
    await others;
    expect(rejected).toMatchObject({
      outcome: 'rejected',
      problem: { status: 422, outcome: 'rejected', retryable: false },
    });
    // As long as others pass it is not given up sooner, and hardly later: tries between which none passed do not count.
    expect(rejected['attempts']).toBeGreaterThanOrEqual(10);
    let counted = 0;
    let hasPassed = true;
    for (const { status } of one.sandbox.writes) {
      if (status === 403 && hasPassed) counted += 1;
      hasPassed = status !== 403;
    }
    expect(counted).toBeLessThanOrEqual(12);
    await one.when(behind, 'done');
  });

  it('reads first what a restricted caller replaces', async () => {
    const { one, sandbox } = await start();
    const own = sandbox.seed({ BusinessId: 2, Content: 'old', CoworkerMessageId: 5 });
    const foreign = sandbox.seed({ BusinessId: 3, Content: 'old' });
    const body = { ...MESSAGE, businessId: 2 };
    const wait = { prefer: 'respond-async, wait=20', ...OTHER };
    expect((await one.replace(own.Id, body, wait)).status).toBe(200);
    expect(sandbox.messages.get(own.Id)).toMatchObject({ CoworkerMessageId: 5, Content: MESSAGE.content });
    const refused = await one.replace(foreign.Id, body, wait);
    expect(refused.status).toBe(404);
    expect(refused.json['type']).toBe('/problems/message-not-found');
    expect(sandbox.messages.get(foreign.Id)?.Content).toBe('old');
  });

  it('is not taken on when its caller goes away before', async () => {
    const { one, sandbox, sql } = await start();
    const { socket, gone } = await connectedUntilNoticed(one);
    // Nobody gets into the line before the caller is gone.
    await sql('begin');
    await sql('select id from bff.gate where id = 1 for update');
    const create = rawCreate(JSON.stringify({ ...MESSAGE, content: 'x' }));
    socket.write(create.replace('\r\n\r\n', '\r\nprefer: respond-async\r\n\r\n'));
    await until(async () => (await blocked(sql)) === 1);
    socket.destroy();
    await gone;
    await sql('commit');
    const requests = (): Record<string, unknown>[] => one.log.filter(({ message }) => message === 'request');
    await until(() => requests().length === 1);
    expect(requests()).toMatchObject([{ status: 499, outcome: 'not-sent', aborted: true }]);
    expect(await sql('select id from bff.delivery')).toEqual([]);
    expect(sandbox.writes).toEqual([]);
  });

  it('is refused when too many wait, with the time at which there is room again', async () => {
    const { one, two, sandbox } = await start({
      env: {
        DELIVERY_BACKLOG_LIMIT_PER_CALLER: '2',
        DELIVERY_BACKLOG_LIMIT: '3',
        NEXUDUS_WRITE_LIMITS: '1/1h',
      },
    });
    sandbox.next({ kind: 'hold' });
    const first = await one.create(MESSAGE, ASYNC);
    await one.when(first, 'sending');
    await until(() => sandbox.writes.length === 1);
    await two.create(MESSAGE, ASYNC);
    const refused = await one.create(MESSAGE, ASYNC);
    expect(refused.status).toBe(429);
    expect(refused.json).toMatchObject({ type: '/problems/quota-exhausted', outcome: 'not-sent' });
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(3_500);
    expect((await one.create(MESSAGE, { ...ASYNC, ...OTHER })).status).toBe(202);
    expect((await one.create(MESSAGE, { ...ASYNC, ...OTHER })).status).toBe(429);
    sandbox.release();
    await one.when(first, 'done');
    expect((await one.create(MESSAGE, ASYNC)).status).toBe(202);
  });
});

describe('writes of one session that come one right after the other', () => {
  /** On one connection: so it is certain in which order they come. */
  async function sendAll({ url }: Replica, requests: readonly string[]): Promise<void> {
    const { hostname, port } = new URL(url);
    const socket = createConnection({ host: hostname, port: Number(port) });
    let heard = '';
    socket.on('data', (chunk) => (heard += chunk.toString('latin1')));
    socket.write(requests.join(''));
    await until(() => heard.split('HTTP/1.1 20').length > requests.length);
    socket.destroy();
  }

  it('are sent in the order of their arrival, however they are to be answered', async () => {
    const { one, sandbox } = await start();
    const requests = Array.from({ length: 16 }, (_, n) => {
      const key = { 'idempotency-key': String(n) };
      const ways = [key, ASYNC, {}, { ...key, ...ASYNC }];
      const body = JSON.stringify({ businessId: 1, content: String(n), sessionId: 42 });
      return rawWrite('POST /v1/chat-messages', body, ways[n % ways.length]);
    });
    await sendAll(one, requests);
    await until(() => sandbox.writes.length === requests.length);
    const contents = sandbox.writes.map(({ json }) => (json as { Content: string }).Content);
    expect(contents).toEqual(requests.map((_, n) => String(n)));
  });

  it('leave a message as the last of its replaces has it', async () => {
    const { one, sandbox } = await start();
    const { Id: id } = sandbox.seed({ BusinessId: 1, Content: 'before' });
    const requests = Array.from({ length: 8 }, (_, n) =>
      rawWrite(`PUT /v1/chat-messages/${id}`, JSON.stringify({ businessId: 1, content: String(n) }), ASYNC),
    );
    await sendAll(one, requests);
    await until(async () => idsOf(await one.list('?state=done')).length === requests.length);
    expect(sandbox.messages.get(id)?.Content).toBe(String(requests.length - 1));
  });
});

describe('a write with a key', () => {
  it('is a new one when the time of the key is over, and what was handed over is there still', async () => {
    const { one, two, sandbox } = await start({ env: { IDEMPOTENCY_TTL_S: '1' } });
    const key = { 'idempotency-key': 'k' };
    const first = await one.create(MESSAGE, { ...key, ...ASYNC });
    await one.when(first, 'done');
    let again: Answer;
    do again = await two.create(MESSAGE, { ...key, ...ASYNC });
    while (again.headers.has('idempotency-replayed'));
    expect(again.status).toBe(202);
    expect(await two.when(first, 'done')).toMatchObject({ message: MESSAGE });
    await one.when(again, 'done');
    expect(sandbox.writes).toHaveLength(2);
  });

  it('is answered byte for byte the same by every replica', async () => {
    const { one, two, sandbox } = await start();
    const key = { 'idempotency-key': 'k' };
    const first = await one.create(MESSAGE, key);
    expect(first.status).toBe(201);
    const again = await whenFree(() => two.create({ content: MESSAGE.content, businessId: 1 }, key));
    expect(again.headers.get('idempotency-replayed')).toBe('true');
    expect([again.status, again.text, again.headers.get('location')]).toEqual([
      201,
      first.text,
      first.headers.get('location'),
    ]);
    expect((await two.create({ ...MESSAGE, content: 'other' }, key)).status).toBe(422);
    expect(sandbox.writes).toHaveLength(1);
  });

  it('is in use at one replica while another one runs it', async () => {
    const { one, two, sandbox } = await start();
    const key = { 'idempotency-key': 'k' };
    sandbox.next({ kind: 'hold' });
    const running = one.create(MESSAGE, key);
    await sandbox.waitForCall(({ method, path }) => method === 'POST' && path.endsWith('messages'));
    for (const headers of [key, { ...key, ...ASYNC }]) {
      const refused = await two.create(MESSAGE, headers);
      expect(refused.status).toBe(409);
      expect(refused.json['type']).toBe('/problems/idempotency-key-in-use');
    }
    sandbox.release();
    expect((await running).status).toBe(201);
    const again = await whenFree(() => two.create(MESSAGE, { ...key, ...ASYNC }));
    expect(again.status).toBe(201);
    expect(sandbox.writes).toHaveLength(1);
  });

  it('is one delivery, however often it is handed over', async () => {
    const { one, two, sandbox } = await start();
    const key = { 'idempotency-key': 'k' };
    sandbox.next({ kind: 'hold' });
    const first = await one.create(MESSAGE, { ...key, ...ASYNC });
    const again = await two.create(MESSAGE, { ...key, ...ASYNC });
    expect(again.status).toBe(202);
    expect(again.json['id']).toBe(first.json['id']);
    expect(again.headers.get('idempotency-replayed')).toBe('true');
    expect((await two.create(MESSAGE, key)).status).toBe(409);
    expect((await two.create({ ...MESSAGE, content: 'other' }, { ...key, ...ASYNC })).status).toBe(422);
    await one.when(first, 'sending');
    await until(() => sandbox.writes.length === 1);
    const waiting = two.create(MESSAGE, { ...key, prefer: 'respond-async, wait=20' });
    sandbox.release();
    const done = await waiting;
    expect(done.status).toBe(201);
    for (const headers of [key, { ...key, ...ASYNC }]) {
      const replayed = await one.create(MESSAGE, headers);
      expect(replayed.status).toBe(201);
      expect(replayed.text).toBe(done.text);
      expect(replayed.headers.get('idempotency-replayed')).toBe('true');
    }
    expect(sandbox.writes).toHaveLength(1);
  });

  it('is free again when its delivery was cancelled', async () => {
    const { one, sandbox } = await start();
    const inSession = { ...MESSAGE, sessionId: 7 };
    // What comes after it in its session waits.
    sandbox.next({ kind: 'hold' });
    await one.create(inSession, ASYNC);
    await until(() => sandbox.writes.length === 1);
    const key = { 'idempotency-key': 'k', ...ASYNC };
    const first = await one.create(inSession, key);
    expect((await one.cancel(first)).status).toBe(200);
    const second = await one.create({ ...inSession, content: 'other' }, key);
    expect(second.status).toBe(202);
    expect(second.json['id']).not.toBe(first.json['id']);
    sandbox.release();
    await one.when(second, 'done');
    expect(sandbox.writes).toHaveLength(2);
  });

  it('is not sent when too little is left for it by the time that it is written down', async () => {
    const { one, sandbox, sql } = await start({ env: { NEXUDUS_WRITE_LIMITS: '1/1s' } });
    expect((await one.create(MESSAGE)).status).toBe(201);
    const askedAtMs = Date.now();
    const answer = one.create(MESSAGE, { 'idempotency-key': 'k', prefer: 'wait=3' });
    // A quarter of the wait has to be left for an attempt.
    const isLate = (): boolean => Date.now() - askedAtMs > 2_400;
    const isClaimed = async (): Promise<boolean> =>
      (await sql("select 1 from bff.delivery where state = 'accepted'")).length === 1;
    await until(async () => isLate() || (await isClaimed()));
    await sql('begin');
    await sql('select 1 from bff.delivery for update');
    await until(isLate);
    await sql('commit');
    expect((await answer).json).toMatchObject({ outcome: 'not-sent', retryable: true });
    expect(sandbox.writes).toHaveLength(1);
  });
});

describe('deliveries', () => {
  it('are their own caller’s alone', async () => {
    const { one } = await start();
    const accepted = await one.create(MESSAGE, ASYNC);
    await one.when(accepted, 'done');
    for (const refused of [
      await one.read(accepted, OTHER),
      await one.cancel(accepted, OTHER),
      await one.read('5f0c9a3e-7d3b-4b52-9d35-0f5a1c7a2e11'),
      await one.read('no-id'),
    ]) {
      expect(refused.status).toBe(404);
      expect(refused.json['type']).toBe('/problems/delivery-not-found');
    }
    expect((await one.list('', OTHER)).json).toEqual({ deliveries: [], next: null });
    expect((await one.call('GET', '/v1/deliveries')).status).toBe(401);
  });

  it('are listed newest first, page by page, by their state', async () => {
    const { one, sandbox } = await start();
    const ids: unknown[] = [];
    for (let n = 0; n < 5; n += 1) {
      if (n === 2) sandbox.next({ kind: 'reject' });
      const accepted = await one.create({ ...MESSAGE, content: `${n}` }, ASYNC);
      await one.when(accepted, 'done', 'rejected');
      ids.unshift(accepted.json['id']);
    }
    expect(idsOf(await one.list())).toEqual(ids);
    const seen: unknown[] = [];
    let cursor = '';
    do {
      const page = await one.list(`?limit=2${cursor}`);
      seen.push(...idsOf(page));
      const { next } = page.json;
      cursor = typeof next === 'string' ? `&cursor=${next}` : '';
    } while (cursor !== '');
    expect(seen).toEqual(ids);
    expect(idsOf(await one.list('?state=rejected'))).toEqual([ids[2]]);
    for (const query of [
      '?limit=0',
      '?limit=101',
      '?limit=x',
      '?state=new',
      '?cursor=x',
      '?cursor=a&cursor=b',
      `?cursor=${Buffer.from(`1.${'-'.repeat(36)}`).toString('base64url')}`,
    ]) {
      expect((await one.list(query)).status).toBe(400);
    }
  });

  it('are cancelled while they wait, and not when they may have been sent', async () => {
    const { one, two, sandbox } = await start();
    const inSession = { ...MESSAGE, sessionId: 7 };
    sandbox.next({ kind: 'hold' });
    const first = await one.create(inSession, ASYNC);
    const second = await one.create(inSession, ASYNC);
    const third = await one.create(inSession, ASYNC);
    await one.when(first, 'sending');
    await until(() => sandbox.writes.length === 1);
    const cancelled = await two.cancel(second, { 'content-type': 'application/json' });
    expect(cancelled.status).toBe(200);
    expect(cancelled.json).toMatchObject({ state: 'cancelled', outcome: 'not-sent', attempts: 0 });
    for (const delivery of [first, second]) {
      const refused = await two.cancel(delivery);
      expect(refused.status).toBe(409);
      expect(refused.json['type']).toBe('/problems/delivery-not-cancellable');
    }
    sandbox.release();
    await one.when(third, 'done');
    expect(sandbox.writes).toHaveLength(2);
  });

  it('are followed until they are settled, at any replica', async () => {
    const { one, two, sandbox } = await start();
    sandbox.next({ kind: 'hold' });
    await one.create({ ...MESSAGE, sessionId: 7 }, ASYNC);
    await until(() => sandbox.writes.length === 1);
    const next = await one.create({ ...MESSAGE, sessionId: 7 }, ASYNC);
    expect(next.status).toBe(202);
    const followed = await two.follow(next);
    sandbox.release();
    const { status, headers } = followed;
    const text = await followed.text();
    const path = `/v1/deliveries/${String(next.json['id'])}/events`;
    expect(contradictions({ method: 'GET', path, status, headers, text })).toEqual([]);
    expect(headers.get('content-type')).toBe('text/event-stream');
    const states = text
      .split('\n')
      .filter((line) => line.startsWith('data: '))
      .map((line) => (JSON.parse(line.slice('data: '.length)) as { state: string }).state);
    expect(states.at(-1)).toBe('done');
    expect(states[0]).toBe('accepted');
  });

  it('are not followed any longer when the service stops', async () => {
    const { one, sandbox } = await start({ env: { NEXUDUS_WRITE_LIMITS: '1/1h' } });
    await one.create(MESSAGE);
    const accepted = await one.create(MESSAGE, ASYNC);
    const response = await one.follow(accepted);
    const stopped = one.app.stop();
    expect(await response.text()).toContain('"state":"accepted"');
    await stopped;
    expect(sandbox.writes).toHaveLength(1);
  });

  it('are counted for operators', async () => {
    const { one, two, sandbox } = await start({ env: { NEXUDUS_WRITE_LIMITS: '2/1h' } });
    sandbox.next({ kind: 'lost' });
    const lost = await one.create(MESSAGE, ASYNC);
    await one.when(lost, 'unknown');
    await one.create(MESSAGE);
    await one.create(MESSAGE, ASYNC);
    const shown = ['accepted"} 1', 'unknown"} 1'].map((end) => `nexudus_deliveries{state="${end}`);
    const metrics = await found(async () => {
      const { text } = await one.manage('/metrics');
      return shown.every((line) => text.includes(line)) ? text : undefined;
    });
    expect(metrics).toContain('nexudus_delivery_accepted_total{operation="create"} 2');
    expect(metrics).toMatch(/^nexudus_delivery_oldest_wait_seconds [\d.]*[1-9]/m);
    // Whichever sent it.
    const settled = 'nexudus_delivery_settled_total{operation="create",state="unknown"} 1';
    const texts = await Promise.all([one, two].map(async ({ manage }) => (await manage('/metrics')).text));
    expect(texts.filter((text) => text.includes(settled))).toHaveLength(1);
    // Nobody waits for a delivery.
    const waits = texts.map((text) => Number(/^nexudus_quota_wait_seconds_count (\d+)$/m.exec(text)?.[1]));
    expect(waits).toEqual([1, 0]);
  });

  it('that wait for too long expire, and are not sent', async () => {
    const { one, sandbox, sql } = await start({ env: { NEXUDUS_WRITE_LIMITS: '1/1h' } });
    await one.create(MESSAGE);
    const accepted = await one.create(MESSAGE, ASYNC);
    await sql(`update bff.delivery set expires_at = now() where id = $1`, [accepted.json['id']]);
    expect(await one.when(accepted, 'expired')).toMatchObject({ outcome: 'not-sent' });
    // The write before it leaves in its own time.
    while ((await sql('select * from bff.line')).length > 0);
    expect(await sql('select caller from bff.backlog where waiting <> 0')).toEqual([]);
    expect(sandbox.writes).toHaveLength(1);
  });
});

describe('replaces of one message that wait', () => {
  /** A replace that is at Nexudus until it is released: those that come after it wait. */
  async function hold({ one, sandbox }: Fleet): Promise<number> {
    const { Id } = sandbox.seed({ BusinessId: 1, Content: 'old' });
    sandbox.next({ kind: 'hold' });
    await one.replace(Id, { ...MESSAGE, content: 'first' }, ASYNC);
    await until(() => sandbox.writes.length === 1);
    return Id;
  }

  it('are one write, the last, and all are answered', async () => {
    const fleet = await start();
    const { one, two, sandbox } = fleet;
    const Id = await hold(fleet);
    const replaces = [];
    for (const content of ['a', 'b', 'c']) {
      replaces.push(await two.replace(Id, { ...MESSAGE, content }, { ...ASYNC, 'idempotency-key': content }));
    }
    expect(replaces.map(({ json }) => json['position'])).toEqual([1, 1, 1]);
    sandbox.release();
    for (const [n, content] of ['a', 'b', 'c'].entries()) {
      const replace = replaces[n];
      if (replace === undefined) throw new Error('no replace');
      const done = await one.when(replace, 'done');
      expect(done).toMatchObject({ outcome: 'done', message: { id: Id, content } });
      const again = await one.replace(Id, { ...MESSAGE, content }, { 'idempotency-key': content });
      expect([again.status, again.json]).toEqual([200, done['message']]);
    }
    expect(sandbox.messages.get(Id)?.Content).toBe('c');
    expect(sandbox.writes).toHaveLength(2);
  });

  it('are each sent where something else of their session came in between', async () => {
    const { one, sandbox, sql } = await start({ env: { NEXUDUS_WRITE_LIMITS: '1/1h' } });
    const { Id } = sandbox.seed({ BusinessId: 1, Content: 'old' });
    const inSession = { ...MESSAGE, sessionId: 7 };
    await one.create(MESSAGE);
    await one.replace(Id, inSession, ASYNC);
    await one.create(inSession, ASYNC);
    await one.replace(Id, inSession, ASYNC);
    expect(await sql('select id from bff.delivery where merged_into is not null')).toEqual([]);
  });

  it('are cancelled while another one takes their place', async () => {
    const fleet = await start();
    const { one, two, sandbox, sql } = fleet;
    const Id = await hold(fleet);
    const replace = (content: string): Promise<Answer> => two.replace(Id, { ...MESSAGE, content }, ASYNC);
    const first = await replace('a');
    const second = await replace('b');
    // Two that wait for each other do so until the end of the test.
    await sql("alter system set deadlock_timeout = '1h'");
    await sql('select pg_reload_conf()');
    // The line is busy, and the newcomer is the next: what it changes then, the other must not have meanwhile.
    await sql('begin');
    await sql('select id from bff.gate where id = 1 for update');
    const third = replace('c');
    await until(async () => (await blocked(sql)) === 1);
    const cancelled = one.cancel(first);
    await until(async () => (await blocked(sql)) === 2);
    await sql('commit');
    expect([(await third).status, (await cancelled).status]).toEqual([202, 200]);
    sandbox.release();
    for (const replaced of [second, await third]) await one.when(replaced, 'done');
    expect(sandbox.messages.get(Id)?.Content).toBe('c');
    expect(sandbox.writes).toHaveLength(2);
    await sql('alter system reset deadlock_timeout');
    await sql('select pg_reload_conf()');
  });

  it('wait again when the last is cancelled', async () => {
    const fleet = await start();
    const { one, sandbox } = fleet;
    const Id = await hold(fleet);
    const first = await one.replace(Id, { ...MESSAGE, content: 'a' }, ASYNC);
    const last = await one.replace(Id, { ...MESSAGE, content: 'b' }, ASYNC);
    expect((await one.cancel(last)).json).toMatchObject({ state: 'cancelled' });
    sandbox.release();
    await one.when(first, 'done');
    expect(sandbox.messages.get(Id)?.Content).toBe('a');
    expect(sandbox.writes).toHaveLength(2);
  });

  const REFUSED = 'sandbox:reject';

  const contentsOf = ({ sandbox }: Fleet): string[] =>
    sandbox.writes.map(({ body }) => (JSON.parse(body) as { Content: string }).Content);

  it('are sent as if the last had never come when that is rejected, and each ends in its own way', async () => {
    const fleet = await start();
    const { one, two, sandbox, sql } = fleet;
    const Id = await hold(fleet);
    const replace = (content: string, prefer: string): Promise<Answer> =>
      two.replace(Id, { ...MESSAGE, content }, { prefer, 'idempotency-key': content });
    const first = await replace('a', 'respond-async');
    const second = replace('b', 'respond-async, wait=20');
    await until(async () => (await sql("select 1 from bff.delivery where state = 'accepted'")).length === 2);
    const refused = await replace(REFUSED, 'respond-async');
    sandbox.release();
    expect(await second).toMatchObject({ status: 200, json: { id: Id, content: 'b' } });
    expect(await one.when(refused, 'rejected')).toMatchObject({ attempts: 1 });
    const done = await one.when(first, 'done', 'rejected');
    expect(done).toMatchObject({ state: 'done', attempts: 0, message: { id: Id, content: 'a' } });
    expect(contentsOf(fleet)).toEqual(['first', REFUSED, 'b']);
    const again = (content: string): Promise<Answer> =>
      one.replace(Id, { ...MESSAGE, content }, { 'idempotency-key': content });
    expect((await again('a')).json).toEqual(done['message']);
    expect((await again('b')).json).toEqual((await second).json);
    const requestId = refused.headers.get('x-request-id');
    expect((await again(REFUSED)).json).toMatchObject({ outcome: 'rejected', requestId });
    expect(sandbox.writes).toHaveLength(3);
    // The last write leaves in its own time.
    while ((await sql('select 1 from bff.line')).length > 0);
    expect(await sql('select caller from bff.backlog where waiting <> 0')).toEqual([]);
  });

  it('are sent before what came after them when the last is rejected', async () => {
    const fleet = await start();
    const { one, two, sandbox, sql } = fleet;
    const Id = await hold(fleet);
    const replace = (content: string): Promise<Answer> => two.replace(Id, { ...MESSAGE, content }, ASYNC);
    const refused = [];
    for (const content of ['a', `${REFUSED} b`, `${REFUSED} c`]) refused.push(await replace(content));
    refused.shift();
    const later = one.replace(Id, { ...MESSAGE, content: 'later' });
    await until(async () => (await sql('select 1 from bff.line')).length === 3);
    const last = await replace('last');
    sandbox.release();
    expect((await later).status).toBe(200);
    await one.when(last, 'done');
    expect(contentsOf(fleet)).toEqual(['first', `${REFUSED} c`, `${REFUSED} b`, 'a', 'later', 'last']);
    for (const delivery of refused) expect((await one.read(delivery)).json['state']).toBe('rejected');
  });

  it('have the place of one that is rejected only when all else is written, or two would wait for each other', async () => {
    const { one, sandbox, sql } = await start();
    const { Id } = sandbox.seed({ BusinessId: 1, Content: 'old' });
    const replace = (content: string, headers = {}): Promise<Answer> =>
      one.replace(Id, { ...MESSAGE, content }, headers);
    sandbox.next({ kind: 'hold' });
    const before = replace('first');
    await until(() => sandbox.writes.length === 1);
    const first = await replace('a', ASYNC);
    await replace(REFUSED, ASYNC);
    // As everywhere: the count, then the line. Of two that wait for each other, this one is told.
    await sql("set deadlock_timeout = '10ms'");
    await sql('begin');
    await sql('select caller from bff.backlog for update');
    sandbox.release();
    await before;
    await until(async () => (await blocked(sql, 'bff.backlog')) === 1);
    await sql('select id from bff.gate where id = 1 for update');
    await sql('commit');
    await one.when(first, 'done');
  });

  it('are not sent when they were cancelled or have expired by the time that the last is rejected', async () => {
    const fleet = await start();
    const { one, sandbox, sql } = fleet;
    const Id = await hold(fleet);
    const replace = (content: string): Promise<Answer> => one.replace(Id, { ...MESSAGE, content }, ASYNC);
    const first = await replace('a');
    const cancelled = await replace('b');
    const expired = await replace('c');
    await replace(REFUSED);
    expect((await one.cancel(cancelled)).json).toMatchObject({ state: 'cancelled' });
    await sql('update bff.delivery set expires_at = now() where id = $1', [expired.json['id']]);
    await one.when(expired, 'expired');
    sandbox.release();
    await one.when(first, 'done');
    expect(contentsOf(fleet)).toEqual(['first', REFUSED, 'a']);
  });

  it('are unknown when nobody knows whether the last was written over them, each under its own request', async () => {
    const fleet = await start();
    const { one, sandbox, sql } = fleet;
    const Id = await hold(fleet);
    const replace = (content: string): Promise<Answer> =>
      one.replace(Id, { ...MESSAGE, content }, { ...ASYNC, 'x-request-id': content });
    const first = await replace('a');
    const last = await replace('b');
    // As after many turns.
    await sql("update bff.delivery set attempts = 20 where state = 'accepted'");
    sandbox.next({ kind: 'lost' }, { times: 5 });
    sandbox.release();
    for (const [delivery, requestId] of [
      [first, 'a'],
      [last, 'b'],
    ] as const) {
      const unknown = await one.when(delivery, 'unknown');
      expect(unknown).toMatchObject({ problem: { outcome: 'unknown', retryable: true, requestId } });
    }
  });
});

describe('a delivery whose sender is gone', () => {
  /** A create that is with Nexudus, and was given up as unknown since its sender could not renew its lease. */
  async function giveUp({ one, two, sandbox, sql }: Fleet, headers: Record<string, string>): Promise<Answer> {
    sandbox.next({ kind: 'hold' });
    const accepted = await one.create(MESSAGE, headers);
    await until(() => sandbox.writes.length === 1);
    await until(async () => {
      await sql(
        `update bff.delivery set lease_until = now() - interval '1 second'
         where state = 'sending' and lease_until > now()`,
      );
      return (await two.read(accepted)).json['state'] === 'unknown';
    });
    return accepted;
  }

  it('is unknown if it may have been run, until its late answer says what became of it', async () => {
    const fleet = await start();
    const { one, two, sandbox } = fleet;
    const accepted = await giveUp(fleet, { ...ASYNC, 'idempotency-key': 'k' });
    expect((await two.read(accepted)).json).toMatchObject({ problem: { outcome: 'unknown' } });
    sandbox.release();
    const done = await two.when(accepted, 'done');
    expect(done).toMatchObject({ outcome: 'done', message: { id: [...sandbox.messages.keys()][0] } });
    const again = await two.create(MESSAGE, { 'idempotency-key': 'k' });
    expect([again.status, again.json]).toEqual([201, done['message']]);
    const hasEnded = 'A delivery that was given up as unknown has ended after all';
    await until(() => [one, two].some(({ log }) => log.some(({ message }) => message === hasEnded)));
    // Whatever waited behind it goes on.
    expect((await one.create(MESSAGE)).status).toBe(201);
    expect(sandbox.writes).toHaveLength(2);
  });

  it.each([
    // As an operator decides, or a look that misses it for good.
    ['somebody has gone on with it', 'update bff.delivery set fence = fence + 1', []],
    [
      'its record was taken for that of another delivery',
      `insert into bff.delivery (id, mode, caller, operation, state, result_id, keep_until)
       select gen_random_uuid(), 'sync', '', 'create', 'done', $1, now() + interval '1 hour'`,
      ['record'],
    ],
  ])('stays unknown where %s', async (_, meanwhile, parameters) => {
    const fleet = await start();
    const { one, two, sandbox, sql } = fleet;
    const accepted = await giveUp(fleet, ASYNC);
    // The held one gets the next id.
    const { Id } = sandbox.seed({ BusinessId: 1 });
    await sql(
      meanwhile,
      parameters.map(() => Id + 1),
    );
    sandbox.release();
    const wasTakenOver = 'A delivery was taken over while it was being sent';
    await until(() => [one, two].some(({ log }) => log.some(({ message }) => message === wasTakenOver)));
    expect((await two.read(accepted)).json['state']).toBe('unknown');
    expect(sandbox.writes).toHaveLength(1);
  });
});

describe('while the database is away', () => {
  const KEY = { 'idempotency-key': 'k' };
  /** A write that is with Nexudus when its replica loses the database. */
  async function startCut(headers: Record<string, string>): Promise<{
    one: Replica;
    two: Replica;
    answer: Promise<Answer>;
    proxy: TcpProxy;
    sandbox: NexudusSandbox;
    sql: Fleet['sql'];
  }> {
    const url = await postgres.createDatabase();
    const proxy = await TcpProxy.before(url);
    proxies.push(proxy);
    const env = { ...databaseEnvironment(proxy.url), ...PATIENT, SHUTDOWN_TIMEOUT_MS: '2000' };
    const one = await startReplica(env, {});
    const { sandbox } = one;
    sandbox.next({ kind: 'hold' });
    const answer = one.create(MESSAGE, headers);
    await sandbox.waitForCall(({ method, path }) => method === 'POST' && path.endsWith('messages'));
    // Only now, so that it is not the one that sends it.
    const two = await startReplica(databaseEnvironment(url), one.sandbox);
    return { one, two, answer, proxy, sandbox, sql: await connect(url) };
  }

  it('a message that was created is answered so, and its key is kept when the database is back', async () => {
    const { two, answer, proxy, sandbox } = await startCut(KEY);
    proxy.cut();
    sandbox.release();
    const created = await answer;
    expect(created.status).toBe(201);
    expect((await two.create(MESSAGE, KEY)).status).toBe(409);
    proxy.mend();
    const again = await whenFree(() => two.create(MESSAGE, KEY));
    expect([again.status, again.text]).toEqual([201, created.text]);
    expect(sandbox.writes).toHaveLength(1);
  });

  it.each<[string, Record<string, string>]>([
    ['without a key', {}],
    ['and its key is free', KEY],
  ])('a message that was throttled before is not-sent, %s', async (_, headers) => {
    const url = await postgres.createDatabase();
    const proxy = await TcpProxy.before(url);
    proxies.push(proxy);
    const one = await startReplica(databaseEnvironment(proxy.url), {});
    const { sandbox } = one;
    sandbox.next({ kind: 'throttle', retryAfter: '1' });
    const answer = one.create(MESSAGE, headers);
    await until(() => one.rawLog.some((line) => line.includes('An attempt at Nexudus failed')));
    proxy.cut();
    expect(await answer).toMatchObject({ status: 503, json: { outcome: 'not-sent', retryable: true } });
    proxy.mend();
    await until(async () => (await one.create(MESSAGE, headers)).status === 201);
    expect(sandbox.writes.filter(({ executed }) => executed)).toHaveLength(1);
  });

  it.each<[string, Record<string, string>]>([
    ['without a key', {}],
    ['with one', KEY],
    ['that is handed over', ASYNC],
  ])('and hangs, a write %s is refused when its wait is over', async (_, headers) => {
    const url = await postgres.createDatabase();
    const proxy = await TcpProxy.before(url);
    proxies.push(proxy);
    const { create, log, sandbox } = await startReplica(databaseEnvironment(proxy.url), {});
    expect((await create(MESSAGE)).status).toBe(201);
    proxy.freeze();
    const prefer = [headers['prefer'], 'wait=1'].filter(Boolean).join();
    expect(await create(MESSAGE, { ...headers, prefer })).toMatchObject({
      status: 503,
      json: { type: '/problems/upstream-unavailable', outcome: 'not-sent', retryable: true },
    });
    const requests = (): Record<string, unknown>[] => log.filter(({ message }) => message === 'request');
    await until(() => requests().length === 2);
    // Before the database is taken for away, after six seconds.
    expect(requests()[1]?.['durationMs']).toBeLessThan(5_500);
    expect(sandbox.writes).toHaveLength(1);
    proxy.mend();
  });

  it.each<[string, Record<string, string>]>([
    ['without a key', {}],
    ['that is handed over', ASYNC],
  ])('and hangs, a write %s waits no longer than that for another of its session', async (_, headers) => {
    const url = await postgres.createDatabase();
    const proxy = await TcpProxy.before(url);
    proxies.push(proxy);
    const { create, log, sandbox } = await startReplica(databaseEnvironment(proxy.url), {});
    const message = { ...MESSAGE, sessionId: 42 };
    expect((await create(message)).status).toBe(201);
    proxy.freeze();
    const former = create(message, KEY);
    const prefer = [headers['prefer'], 'wait=1'].filter(Boolean).join();
    expect(await create(message, { ...headers, prefer })).toMatchObject({
      status: 503,
      json: { type: '/problems/upstream-unavailable', outcome: 'not-sent', retryable: true },
    });
    const requests = (): Record<string, unknown>[] => log.filter((line) => line['message'] === 'request');
    await until(() => requests().length >= 2);
    proxy.mend();
    expect(requests()[1]?.['durationMs']).toBeLessThan(5_500);
    expect((await former).status).toBe(201);
    expect(sandbox.writes).toHaveLength(2);
  });

  it('so is its key where the message was given up as unknown meanwhile', async () => {
    const { two, answer, proxy, sandbox, sql } = await startCut(KEY);
    // Nobody finds it out by looking.
    sandbox.always({ kind: 'error-500' }, { on: 'read' });
    proxy.cut();
    sandbox.release();
    const created = await answer;
    await sql('update bff.delivery set lease_until = now()');
    await until(async () => (await sql("select id from bff.delivery where state = 'unknown'")).length === 1);
    proxy.mend();
    await until(async () => (await sql("select id from bff.delivery where state = 'done'")).length === 1);
    const again = await two.create(MESSAGE, KEY);
    expect([again.status, again.text]).toEqual([201, created.text]);
    expect(sandbox.writes).toHaveLength(1);
  });

  it.each<[string, (two: Replica) => Promise<unknown>, string]>([
    [
      'has taken it over, and was told that nobody knows',
      async (two) => {
        const { status, json } = await two.create(MESSAGE, KEY);
        expect([status, json['outcome']]).toEqual([502, 'unknown']);
      },
      'update bff.delivery set lease_until = now()',
    ],
    // Between the two steps of that.
    ['is just about to', () => Promise.resolve(), 'update bff.delivery set fence = fence + 1'],
  ])('so is its key where somebody who asked again %s', async (_, ask, meanwhile) => {
    const { two, answer, proxy, sandbox, sql } = await startCut(KEY);
    // Nobody finds it out by looking.
    sandbox.always({ kind: 'error-500' }, { on: 'read' });
    proxy.cut();
    sandbox.release();
    const created = await answer;
    await sql(meanwhile);
    await ask(two);
    proxy.mend();
    await until(async () => (await sql("select id from bff.delivery where state = 'done'")).length === 1);
    const again = await two.create(MESSAGE, KEY);
    expect([again.status, again.text]).toEqual([201, created.text]);
    expect(sandbox.writes).toHaveLength(1);
  });

  it('a key whose claim was written, and not confirmed, is free when it is back', async () => {
    const url = await postgres.createDatabase();
    const proxy = await TcpProxy.before(url);
    proxies.push(proxy);
    const one = await startReplica(databaseEnvironment(proxy.url), {});
    const two = await startReplica(databaseEnvironment(url), one.sandbox);
    const sql = await connect(url);
    const other = await connect(url);
    await other('begin');
    await other('lock table bff.delivery in share mode');
    const answer = one.create(MESSAGE, KEY);
    const waiting = `select 1 from pg_stat_activity
      where wait_event_type = 'Lock' and query like 'insert into bff.delivery %'`;
    await until(async () => (await sql(waiting)).length === 1);
    proxy.freeze('answers');
    await other('commit');
    await until(async () => (await sql('select 1 from bff.delivery')).length === 1);
    proxy.cut();
    expect(await answer).toMatchObject({ status: 503, json: { outcome: 'not-sent', retryable: true } });
    // It is not the end of its lease that frees it.
    await sql(`update bff.delivery set lease_until = now() + interval '1 day'`);
    proxy.mend();
    expect((await whenFree(() => two.create(MESSAGE, KEY))).status).toBe(201);
    expect(one.sandbox.writes).toHaveLength(1);
  });

  it('so is one that was handed over, if somebody waits for it', async () => {
    const { two, answer, proxy, sandbox } = await startCut({ prefer: 'respond-async, wait=20' });
    proxy.cut();
    sandbox.release();
    expect((await answer).status).toBe(201);
    expect((await two.list('?state=sending')).json['deliveries']).toHaveLength(1);
    proxy.mend();
    await until(async () => idsOf(await two.list('?state=done')).length === 1);
    expect(sandbox.writes).toHaveLength(1);
  });

  it('a stop does not wait for it: another replica says honestly that it does not know', async () => {
    const { one, two, answer, proxy, sandbox, sql } = await startCut({ prefer: 'respond-async, wait=20' });
    proxy.cut();
    sandbox.release();
    expect((await answer).status).toBe(201);
    await one.app.stop();
    await sql('update bff.delivery set lease_until = now()');
    await until(async () => idsOf(await two.list('?state=unknown')).length === 1);
    expect(sandbox.writes).toHaveLength(1);
  });

  it('nothing is taken on, and nothing is sent', async () => {
    const { one, answer, proxy, sandbox } = await startCut({});
    proxy.cut();
    for (const headers of [ASYNC, KEY]) {
      const refused = await one.create(MESSAGE, headers);
      expect(refused.status).toBe(503);
      expect(refused.json).toMatchObject({ type: '/problems/upstream-unavailable', outcome: 'not-sent' });
    }
    sandbox.release();
    expect((await answer).status).toBe(201);
    proxy.mend();
    let again = await one.create(MESSAGE, KEY);
    while (again.status === 503) again = await one.create(MESSAGE, KEY);
    expect(again.status).toBe(201);
    expect(sandbox.writes).toHaveLength(2);
  });
});

describe('what is kept in the database', () => {
  it('is sealed, and the content no longer than it must be', async () => {
    const { one, sandbox, sql } = await start({ env: { DELIVERY_CONTENT_RETENTION_S: '3600' } });
    const secret = 'canary-content';
    const key = { 'idempotency-key': 'canary-key' };
    const accepted = await one.create({ ...MESSAGE, content: secret }, { ...ASYNC, ...key });
    expect(await one.when(accepted, 'done')).toMatchObject({ message: { content: secret } });
    await one.create({ ...MESSAGE, content: secret }, { 'idempotency-key': 'canary-other' });
    const rows = await sql('select t::text as row, content, answer from bff.delivery as t');
    expect(rows).toHaveLength(2);
    const hex = Buffer.from('canary').toString('hex');
    for (const { row } of rows) {
      expect(row).not.toContain('canary');
      expect(row).not.toContain(hex);
    }
    await sql(`update bff.delivery set content_until = now() where content_until is not null`);
    await until(
      async () => (await sql('select id from bff.delivery where content is not null')).length === 0,
    );
    expect((await one.read(accepted)).json).toMatchObject({ state: 'done', message: { content: null } });
    const replayed = await one.create({ ...MESSAGE, content: secret }, key);
    expect(replayed.status).toBe(201);
    expect(replayed.json['content']).toBe(secret);
    expect(sandbox.writes).toHaveLength(2);
  });

  it('is forgotten when its time is over', async () => {
    const { one, sql } = await start();
    const accepted = await one.create(MESSAGE, ASYNC);
    await one.when(accepted, 'done');
    await sql('update bff.delivery set keep_until = now()');
    await until(async () => (await one.read(accepted)).status === 404);
    expect(await sql('select * from bff.delivery')).toEqual([]);
  });
});

describe('at a replica that lacks a ledger key', () => {
  const KEY = { 'idempotency-key': 'k' };
  const isMissing = ({ message }: Record<string, unknown>): boolean =>
    String(message).startsWith('A ledger key is missing');

  /** In a rotation that has come to one of two replicas: what it closes the other cannot open. */
  async function startRotation(
    meanwhile: (one: Replica) => Promise<void> = () => Promise.resolve(),
  ): Promise<Omit<Fleet, 'sql'>> {
    const env = databaseEnvironment(await postgres.createDatabase());
    const keys = `new:${randomBytes(32).toString('base64')},${env['LEDGER_KEYS']}`;
    const one = await startReplica({ ...env, ...PATIENT, LEDGER_KEYS: keys }, {});
    const { sandbox } = one;
    await meanwhile(one);
    return { one, two: await startReplica(env, sandbox), sandbox };
  }

  it('a repeat is refused for now: nobody can tell whether it is one, and nothing is sent', async () => {
    const { one, two, sandbox } = await startRotation();
    const first = await one.create(MESSAGE, KEY);
    expect(first.status).toBe(201);
    for (const body of [MESSAGE, { ...MESSAGE, content: 'other' }]) {
      for (const headers of [KEY, { ...KEY, ...ASYNC }]) {
        const refused = await two.create(body, headers);
        expect([refused.status, refused.json]).toEqual([
          503,
          expect.objectContaining({
            type: '/problems/upstream-unavailable',
            outcome: 'not-sent',
            retryable: true,
          }),
        ]);
        expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
      }
    }
    expect(two.log.filter(isMissing)).toEqual([expect.objectContaining({ level: 50, missing: 'new' })]);
    const again = await whenFree(() => one.create(MESSAGE, KEY));
    expect([again.status, again.text]).toEqual([201, first.text]);
    expect(sandbox.writes).toHaveLength(1);
  });

  it('deliveries are listed, found and cancelled, without what cannot be opened', async () => {
    const session = { ...MESSAGE, sessionId: 7 };
    const handedOver: Answer[] = [];
    // Before the other one is there, so that it is not the one that sends them.
    const { one, two, sandbox } = await startRotation(async (first) => {
      for (const state of ['done', 'sending', 'accepted']) {
        if (state === 'sending') first.sandbox.next({ kind: 'hold' });
        const answer = await first.create(session, ASYNC);
        await first.when(answer, state);
        handedOver.unshift(answer);
      }
    });
    const [waiting, held, done] = handedOver as [Answer, Answer, Answer];
    const { status, json } = await two.list();
    expect(status).toBe(200);
    expect(json['deliveries']).toMatchObject([
      { id: waiting.json['id'], state: 'accepted' },
      { id: held.json['id'], state: 'sending' },
      { id: done.json['id'], state: 'done', outcome: 'done' },
    ]);
    const shown = await two.read(done);
    expect([shown.status, shown.json['outcome'], shown.json['message']]).toEqual([200, 'done', undefined]);
    expect((await two.manage('/ops/deliveries?state=sending')).json['deliveries']).toHaveLength(1);
    expect((await two.cancel(waiting)).json['state']).toBe('cancelled');
    expect(two.log.filter(isMissing)).toHaveLength(1);
    sandbox.release();
    expect(await one.when(held, 'done')).toMatchObject({ message: session });
  });
});

describe('without a database', () => {
  it('the preference is ignored, and there are no deliveries', async () => {
    const { create, call } = await startService();
    const created = await create(MESSAGE, { prefer: 'respond-async, wait=20' });
    expect(created.status).toBe(201);
    expect(created.headers.get('preference-applied')).toBe('wait=20');
    const none = await call('GET', '/v1/deliveries', {
      headers: { authorization: `Bearer ${KEYS.everything}` },
    });
    expect(none.status).toBe(404);
    expect(none.json['type']).toBe('/problems/not-found');
  });
});
