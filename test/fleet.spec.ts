import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { TestPostgres, databaseEnvironment } from './support/postgres.js';
import { KEYS, startService, type Answer, type TestService } from './support/service.js';
import { TcpProxy } from './support/tcp-proxy.js';
import { until } from './support/until.js';
import type { SandboxOptions } from '../src/sandbox/nexudus-sandbox.js';

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await TestPostgres.start();
});
afterAll(() => postgres.stop());

const MESSAGE = { businessId: 1, content: 'x' };
const OTHER = { authorization: `Bearer ${KEYS.businessesOneAndTwo}` };
const statuses = (answers: readonly Answer[]): number[] => answers.map(({ status }) => status);
const times = <T>(count: number, make: (n: number) => T): T[] =>
  Array.from({ length: count }, (_, n) => make(n));

/** Replicas on one database in front of one fake Nexudus. */
async function startReplicas(
  count: number,
  limits: Record<string, string>,
  options: SandboxOptions = {},
  database?: string,
): Promise<[TestService, ...TestService[]]> {
  const env = { ...databaseEnvironment(database ?? (await postgres.createDatabase())), ...limits };
  const first = await startService({ env, sandbox: options });
  const others = [];
  for (let n = 1; n < count; n += 1) others.push(await startService({ env, sandbox: first.sandbox }));
  return [first, ...others];
}

/** How many writes were taken in by all of them. */
async function admitted(replicas: readonly TestService[]): Promise<number> {
  const pages = await Promise.all(replicas.map(({ manage }) => manage('/metrics')));
  return pages.reduce(
    (sum, { text }) => sum + Number(/^nexudus_quota_admitted_total (\d+)$/m.exec(text)?.[1] ?? 0),
    0,
  );
}

describe('replicas on one database', () => {
  it.each(['sliding', 'fixed'] as const)(
    'spend one quota together to the last call and never over it: %s',
    async (windowShape) => {
      const replicas = await startReplicas(
        3,
        // None is refused because the calls that are held make it look as if it would take too long.
        { NEXUDUS_WRITE_LIMITS: '5/1s', REQUEST_DEADLINE_MS: '120000' },
        { writeLimits: '5/1s', windowShape, windowOffsetMs: 317 },
      );
      const { sandbox } = replicas[0];
      sandbox.always({ kind: 'hold' });
      const answers = times(10, (n) =>
        replicas.map(({ create }) => create({ ...MESSAGE, content: `${n}` })),
      ).flat();
      // What is under way counts: a budget that were divided, with one a second for each, would let no five be there.
      for (const count of [5, 10, 15]) {
        await until(() => sandbox.writes.length >= count);
        if (count === 15) sandbox.clearScenarios();
        sandbox.release();
      }
      expect(statuses(await Promise.all(answers))).toEqual(Array(30).fill(201));
      expect(sandbox.calls.filter(({ throttled }) => throttled)).toEqual([]);
    },
  );

  it('count the calls of all: logins, too', async () => {
    const replicas = await startReplicas(3, { NEXUDUS_CALL_LIMITS: '2/1s' }, { callLimits: '2/1s' });
    const answers = await Promise.all(replicas.map(({ create }) => create(MESSAGE)));
    expect(statuses(answers)).toEqual([201, 201, 201]);
    expect(replicas[0].sandbox.calls.filter(({ throttled }) => throttled)).toEqual([]);
  });

  it('say at once that the quota is spent, whoever spent it, with the true time', async () => {
    const [one, two] = await startReplicas(2, { NEXUDUS_WRITE_LIMITS: '2/1h' });
    if (two === undefined) throw new Error('no second replica');
    const beganAtMs = Date.now();
    expect(statuses(await Promise.all([one.create(MESSAGE), one.create(MESSAGE)]))).toEqual([201, 201]);
    const refused = await two.create(MESSAGE);
    const leastS = 3_600 - (Date.now() - beganAtMs) / 1_000;
    expect(refused.status).toBe(429);
    const retryAfter = Number(refused.headers.get('retry-after'));
    expect(retryAfter).toBeGreaterThanOrEqual(leastS);
    expect(retryAfter).toBeLessThanOrEqual(3_602);
    // At once: it was not even taken in.
    expect((await two.manage('/metrics')).text).toMatch(
      /^nexudus_quota_refused_total\{reason="too-late"\} 1$/m,
    );
  });

  it('let callers take turns, wherever they call', async () => {
    const [one, two] = await startReplicas(2, { NEXUDUS_WRITE_LIMITS: '2/400ms' });
    if (two === undefined) throw new Error('no second replica');
    // Nobody goes on before all stand there.
    one.sandbox.next({ kind: 'hold' }, { times: 2 });
    const flood = times(12, (n) => one.create({ businessId: 1, content: `flood ${n}` }));
    while ((await admitted([one])) < 12);
    const modest = two.create({ businessId: 1, content: 'modest' }, OTHER);
    while ((await admitted([two])) < 1);
    await until(() => one.sandbox.writes.length === 2);
    one.sandbox.release();
    expect((await modest).status).toBe(201);
    const order = one.sandbox.writes.map(({ json }) => (json as { Content: string }).Content);
    expect(order.indexOf('modest')).toBeLessThanOrEqual(4);
    expect(statuses(await Promise.all(flood))).toEqual(Array(12).fill(201));
  });

  it('keep the order within a session, each message after the end of the former', async () => {
    const replicas = await startReplicas(3, {});
    const { sandbox } = replicas[0];
    // So that each has its token, and is not held up by getting it.
    await Promise.all(replicas.map(({ create }) => create(MESSAGE)));
    const contents = times(12, (n) => `message ${n}`);
    sandbox.next({ kind: 'slow', ms: 100 });
    sandbox.next({ kind: 'throttle', retryAfter: '1' });
    const answers: Promise<Answer>[] = [];
    for (const [n, content] of contents.entries()) {
      const replica = replicas[n % replicas.length] ?? replicas[0];
      answers.push(replica.create({ businessId: 1, sessionId: 7, content }));
      // One after the other in the line, so that their order of arrival is certain.
      while ((await admitted(replicas)) < replicas.length + n + 1);
    }
    expect(statuses(await Promise.all(answers))).toEqual(Array(12).fill(201));
    const sent = [...sandbox.messages.values()].map(({ Content }) => Content);
    expect(sent.filter((content) => content !== 'x')).toEqual(contents);
  });

  it('all pause when one of them is throttled', async () => {
    const url = await postgres.createDatabase();
    const replicas = await startReplicas(3, {}, {}, url);
    const { sandbox } = replicas[0];
    await Promise.all(replicas.map(({ create }) => create(MESSAGE)));
    sandbox.clearCalls();
    sandbox.next({ kind: 'throttle', retryAfter: '2' });
    const throttled = replicas[0].create(MESSAGE);
    const { receivedAtMs } = await sandbox.waitForCall(({ status }) => status === 409);
    // What is sent before the answer is written down is not held back.
    const database = new pg.Client(url);
    await database.connect();
    while ((await database.query("select 1 from bff.quota_event where kind = 'throttled'")).rowCount === 0);
    await database.end();
    const others = replicas.slice(1).map(({ create }) => create(MESSAGE));
    expect(statuses(await Promise.all([throttled, ...others]))).toEqual([201, 201, 201]);
    const sooner = sandbox.writes.filter((call) => {
      const afterMs = call.receivedAtMs - receivedAtMs;
      return !call.throttled && afterMs < 2_000;
    });
    expect(sooner).toEqual([]);
  });
});

describe('without their database', () => {
  const ways: TcpProxy[] = [];
  afterAll(async () => {
    for (const way of ways) await way.close();
  });
  /** To a database of its own. */
  const startWay = async (): Promise<TcpProxy> => {
    const way = await TcpProxy.before(await postgres.createDatabase());
    ways.push(way);
    return way;
  };

  it('replicas send nothing and say so at once, and go on when it is back', async () => {
    const way = await startWay();
    const env = databaseEnvironment(way.url);
    const { create, sandbox, manage } = await startService({ env });
    expect((await create(MESSAGE)).status).toBe(201);
    way.cut();
    const first = await create(MESSAGE);
    const askedAtMs = Date.now();
    const second = await create(MESSAGE);
    // At the end of its wait it would be 25 seconds.
    expect(Date.now() - askedAtMs).toBeLessThan(15_000);
    for (const refused of [first, second]) {
      expect(refused.status).toBe(503);
      expect(refused.json).toMatchObject({
        type: '/problems/upstream-unavailable',
        outcome: 'not-sent',
        retryable: true,
      });
    }
    expect((await manage('/health/ready')).status).toBe(503);
    expect(sandbox.writes).toHaveLength(1);
    way.mend();
    while ((await manage('/health/ready')).status !== 200);
    expect((await create(MESSAGE)).status).toBe(201);
  });

  it('they start all the same', async () => {
    const way = await startWay();
    way.cut();
    const { create, manage } = await startService({ env: databaseEnvironment(way.url) });
    expect((await create(MESSAGE)).json).toMatchObject({ outcome: 'not-sent', retryable: true });
    expect((await manage('/health/ready')).status).toBe(503);
    way.mend();
    while ((await manage('/health/ready')).status !== 200);
    // The login is tried again by and by.
    while ((await create(MESSAGE)).status !== 201);
  });

  it('what waits goes on waiting, and is sent when it is back in time', async () => {
    const way = await startWay();
    const env = {
      ...databaseEnvironment(way.url),
      NEXUDUS_WRITE_LIMITS: '1/2s',
    };
    const { create, sandbox, manage } = await startService({ env, sandbox: { writeLimits: '1/2s' } });
    // As long as it is under way, the other waits.
    sandbox.next({ kind: 'hold' });
    const first = create(MESSAGE);
    await until(() => sandbox.writes.length === 1);
    const waiting = create(MESSAGE);
    while (!(await manage('/metrics')).text.includes('nexudus_quota_waiting 1'));
    way.cut();
    sandbox.release();
    expect((await first).status).toBe(201);
    // Longer than the quota would hold it up.
    await new Promise((resolve) => setTimeout(resolve, 2_500));
    expect(sandbox.writes).toHaveLength(1);
    way.mend();
    expect((await waiting).status).toBe(201);
    expect(sandbox.calls.filter(({ throttled }) => throttled)).toEqual([]);
  });
});
