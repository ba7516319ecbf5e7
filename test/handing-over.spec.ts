import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type ApiClient, createClient, handOver } from '../clients/typescript/client.js';
import { follow, NotTold, settled } from '../clients/typescript/deliveries.js';
import { DOCUMENT } from './support/documented.js';
import { codeOf, linesOf, printedBy } from './support/page-code.js';
import { databaseEnvironment, TestPostgres } from './support/postgres.js';
import { KEYS, startService, type TestService } from './support/service.js';
import { until } from './support/until.js';

const MESSAGE = { businessId: 1, content: 'See you at ten.' };
const AUTHORIZED = { authorization: `Bearer ${KEYS.everything}` };

/** An attempt that is held here is not given up before. */
const PATIENT = { NEXUDUS_ATTEMPT_TIMEOUT_MS: '60000' };

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await TestPostgres.start();
});
afterAll(() => postgres.stop());

/** A service with a database, and clients of two callers. */
async function start(
  env: Record<string, string> = {},
): Promise<TestService & { client: ApiClient; other: ApiClient }> {
  const service = await startService({
    env: { ...databaseEnvironment(await postgres.createDatabase()), ...env },
  });
  const { url: baseUrl } = service;
  return {
    ...service,
    client: createClient({ baseUrl, token: KEYS.everything }),
    other: createClient({ baseUrl, token: KEYS.businessesOneAndTwo }),
  };
}

/** Hands a message over; the id of the delivery. */
async function deliver(client: ApiClient, message: typeof MESSAGE & { sessionId?: number }): Promise<string> {
  const handed = await handOver(client, message);
  if (!('delivery' in handed)) throw new Error('it was not handed over');
  return handed.delivery.id;
}

/** Resolves when Nexudus has throttled the first attempt, and the delivery waits to be sent once more. */
async function throttled({ call, sandbox }: TestService, path: string): Promise<void> {
  await sandbox.waitForCall(({ throttled: isThrottled }) => isThrottled);
  await until(async () => (await call('GET', path, { headers: AUTHORIZED })).json['state'] === 'accepted');
}

describe('the operations on deliveries', () => {
  it('are those that are described, and no other', async () => {
    const { call } = await start();
    for (const [path, operations] of Object.entries(DOCUMENT.paths)) {
      if (!path.startsWith('/v1/deliveries')) continue;
      const refused = await call('PATCH', path.replace('{id}', '5f0c9a3e-7d3b-4b52-9d35-0f5a1c7a2e11'));
      const allowed = refused.headers.get('allow')?.split(', ');
      expect([path, allowed?.filter((method) => method !== 'HEAD')]).toEqual([
        path,
        Object.keys(operations)
          .map((method) => method.toUpperCase())
          .sort(),
      ]);
    }
  });

  it('refuse what is out of form in the query', async () => {
    const { call } = await start();
    for (const query of ['limit=0', 'limit=101', 'limit=x', 'state=lost', 'cursor=x']) {
      const answer = await call('GET', `/v1/deliveries?${query}`, { headers: AUTHORIZED });
      expect([query, answer.status, answer.json['type']]).toEqual([
        query,
        400,
        '/problems/malformed-request',
      ]);
    }
  });
});

describe('the typed client of a service with a database', () => {
  it('hands over, and is told what became of it', async () => {
    const service = await start();
    service.sandbox.next({ kind: 'throttle', retryAfter: '2' });
    const id = await deliver(service.client, MESSAGE);
    expect(await settled(service.client, id)).toMatchObject({
      state: 'done',
      outcome: 'done',
      message: MESSAGE,
    });
    expect(service.sandbox.messages.size).toBe(1);
  });

  it('follows until it is done', async () => {
    const { client, sandbox } = await start(PATIENT);
    sandbox.next({ kind: 'hold' });
    await deliver(client, { ...MESSAGE, sessionId: 7 });
    // It waits for the one before it in its session, until it is followed.
    const id = await deliver(client, { ...MESSAGE, sessionId: 7 });
    await until(() => sandbox.writes.length === 1);
    const states: string[] = [];
    for await (const { state } of follow(client, id)) {
      states.push(state);
      sandbox.release();
    }
    expect(states[0]).toBe('accepted');
    expect(states.at(-1)).toBe('done');
  });

  it('cancels what waits, and is told why it cannot cancel what is settled', async () => {
    const service = await start();
    const { client } = service;
    service.sandbox.next({ kind: 'throttle', retryAfter: '600' });
    const id = await deliver(client, MESSAGE);
    await throttled(service, `/v1/deliveries/${id}`);
    const { data } = await client.DELETE('/v1/deliveries/{id}', { params: { path: { id } } });
    expect(data).toMatchObject({ id, state: 'cancelled', outcome: 'not-sent' });
    const { error } = await client.DELETE('/v1/deliveries/{id}', { params: { path: { id } } });
    expect(error).toMatchObject({ status: 409, type: '/problems/delivery-not-cancellable' });
    expect(service.sandbox.messages.size).toBe(0);
  });

  it("lists its own, the newest first, page by page; another caller's are not there", async () => {
    const { client, other, sandbox } = await start();
    sandbox.next({ kind: 'throttle', retryAfter: '600' });
    const ids: string[] = [];
    for (let count = 1; count <= 3; count += 1) ids.unshift(await deliver(client, MESSAGE));
    const listed: string[] = [];
    for (let cursor: string | null | undefined; cursor !== null;) {
      const query = { limit: 2, ...(cursor !== undefined && { cursor }) };
      const { data } = await client.GET('/v1/deliveries', { params: { query } });
      listed.push(...(data?.deliveries ?? []).map(({ id }) => id));
      cursor = data?.next ?? null;
    }
    expect(listed).toEqual(ids);
    const { data: foreign } = await other.GET('/v1/deliveries');
    expect(foreign).toEqual({ deliveries: [], next: null });
    await expect(settled(other, ids[0] ?? '')).rejects.toBeInstanceOf(NotTold);
  });
});

describe('the code in docs/clients.md about handing over, with a service', () => {
  const [, , , inBrowser = '', inNode = '', typed = ''] = codeOf('docs/clients.md');

  it('follows from a browser', async () => {
    const { url, sandbox } = await start(PATIENT);
    sandbox.next({ kind: 'hold' });
    const service = JSON.stringify({ baseUrl: url, token: KEYS.everything });
    // The fake Nexudus hears which states were shown.
    const code = `${inBrowser}
      const show = ({ state }) => { console.log(state); void fetch('${sandbox.url}/shown/' + state); };
      const path = await handOver(${JSON.stringify(MESSAGE)}, ${service});
      await followDelivery(path, show, ${service});`;
    const printed = printedBy(code);
    await Promise.race([printed, sandbox.waitForCall(({ path }) => path === '/shown/sending')]);
    await until(() => sandbox.writes.length === 1);
    sandbox.release();
    const states = (await printed).split('\n');
    // From wherever it is when the first look is taken.
    expect(states.filter((state) => state !== 'accepted')).toEqual(['sending', 'done']);
  });

  it('asks from Node', async () => {
    const { url, sandbox } = await start();
    sandbox.next({ kind: 'throttle', retryAfter: '2' });
    const env = { CHAT_URL: url, CHAT_TOKEN: KEYS.everything };
    expect(await printedBy(inNode, MESSAGE.content, env)).toMatch(/state: 'done'/);
  });

  it('follows with the typed client', async () => {
    const { url, sandbox } = await start();
    sandbox.next({ kind: 'throttle', retryAfter: '2' });
    const token = KEYS.everything;
    const known = { createClient, handOver, follow, settled, baseUrl: url, currentAccessToken: () => token };
    expect((await linesOf(typed, known)).at(-1)).toBe(`done ${[...sandbox.messages.keys()].join()}`);
  });
});

describe('a web page of an origin that may call', () => {
  const APP = 'https://app.example.com';

  it('may read a 202 and where it leads, the events, and that it is cancelled', async () => {
    const service = await start({ CORS_ORIGINS: APP });
    const { url, sandbox } = service;
    sandbox.next({ kind: 'throttle', retryAfter: '600' });
    const headers = { ...AUTHORIZED, origin: APP };
    const accepted = await fetch(`${url}/v1/chat-messages`, {
      method: 'POST',
      headers: { ...headers, 'content-type': 'application/json', prefer: 'respond-async' },
      body: JSON.stringify(MESSAGE),
    });
    expect(accepted.status).toBe(202);
    const path = accepted.headers.get('location') ?? '';
    // While it is with Nexudus it cannot be cancelled.
    await throttled(service, path);
    const events = await fetch(`${url}${path}/events`, { headers });
    const cancelled = await fetch(`${url}${path}`, { method: 'DELETE', headers });
    expect([events.status, cancelled.status]).toEqual([200, 200]);
    for (const answer of [accepted, events, cancelled]) {
      expect(answer.headers.get('access-control-allow-origin')).toBe(APP);
      const exposed = (answer.headers.get('access-control-expose-headers') ?? '').toLowerCase();
      expect(exposed.split(/, ?/)).toEqual(expect.arrayContaining(['location', 'preference-applied']));
      expect(answer.headers.get('x-content-type-options')).toBe('nosniff');
    }
    // The last one says that it is settled, and then they end by themselves.
    expect(await events.text()).toMatch(/"state":"cancelled".*\n\n$/);
  });
});
