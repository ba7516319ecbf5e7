import { randomBytes } from 'node:crypto';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import type { NexudusSandbox, RecordedCall } from '../src/sandbox/nexudus-sandbox.js';
import { TestPostgres, databaseEnvironment } from './support/postgres.js';
import { startSandbox, startService, type Answer, type TestService } from './support/service.js';
import { until } from './support/until.js';

const OLD = { username: 'service@example.com', password: 'sandbox-password', roles: 'all' as const };
const NEW = { username: 'successor@example.com', password: 'another-password', roles: 'all' as const };
const MESSAGE = { businessId: 1, content: 'x' };
const DENIED = '/problems/upstream-access-denied';
const UNAVAILABLE = '/problems/upstream-unavailable';

let postgres: TestPostgres;
let url: string;
let database: pg.Client;
beforeAll(async () => {
  postgres = await TestPostgres.start();
});
afterAll(() => postgres.stop());
beforeEach(async () => {
  url = await postgres.createDatabase();
  database = new pg.Client(url);
  await database.connect();
});
afterEach(() => database.end());

/** So many that share a database and a Nexudus, started at the same time. */
async function startReplicas(
  count: number,
  sandbox: NexudusSandbox,
  env: Record<string, string> = {},
): Promise<TestService[]> {
  const start = (): Promise<TestService> =>
    startService({ sandbox, env: { ...databaseEnvironment(url), ...env } });
  return Promise.all(Array.from({ length: count }, start));
}

const createAtEach = (replicas: readonly TestService[]): Promise<Answer[]> =>
  Promise.all(replicas.map(({ create }) => create(MESSAGE)));

const statusOf = ({ status }: { readonly status: unknown }): unknown => status;
const grantOf = ({ body }: RecordedCall): string | null => new URLSearchParams(body).get('grant_type');
const tokenOf = ({ headers }: RecordedCall): string => headers.authorization?.replace('Bearer ', '') ?? '';
const isRefresh = (call: RecordedCall): boolean => grantOf(call) === 'refresh_token';

const expiresInSeconds = ({ text }: Answer): number =>
  Number(/^nexudus_token_expires_seconds (\S+)/m.exec(text)?.[1]);

const logged = ({ log }: TestService, text: string): boolean =>
  log.some(({ message }) => typeof message === 'string' && message.startsWith(text));

describe('replicas that share a database', () => {
  it('log in once, however many start together and whoever comes later', async () => {
    const sandbox = await startSandbox();
    const replicas = await startReplicas(3, sandbox);
    replicas.push(...(await startReplicas(1, sandbox)));
    expect((await createAtEach(replicas)).map(statusOf)).toEqual([201, 201, 201, 201]);
    expect(sandbox.tokenCalls.map(grantOf)).toEqual(['password']);
    expect(new Set(sandbox.writes.map(tokenOf)).size).toBe(1);
  });

  it('renew the token once for all of them, in the background, and no caller waits for it', async () => {
    const lifetimeMs = 2_000;
    const sandbox = await startSandbox({ tokenLifetimeSeconds: lifetimeMs / 1000 });
    const replicas = await startReplicas(3, sandbox);
    await until(() => sandbox.tokenCalls.length > 2);
    // The next ones live on, or they could end before all have called with them.
    sandbox.options.tokenLifetimeSeconds = 3_600;
    for (const replica of replicas) {
      while (!(expiresInSeconds(await replica.manage('/metrics')) > 1_000));
    }
    const calls = sandbox.tokenCalls.slice(0, 4);
    expect(calls.map(grantOf)).toEqual(['password', ...Array<string>(3).fill('refresh_token')]);
    // Three renewals of three replicas would come one right after the other.
    for (const [index, { receivedAtMs }] of calls.slice(1).entries()) {
      expect(receivedAtMs - (calls[index]?.receivedAtMs ?? 0)).toBeGreaterThan(lifetimeMs / 2);
    }
    expect((await createAtEach(replicas)).map(statusOf)).toEqual([201, 201, 201]);
    expect(sandbox.writes.map(statusOf)).toEqual([200, 200, 200]);
  });

  it('renew it once after a 401 that all of them meet', async () => {
    const sandbox = await startSandbox();
    const replicas = await startReplicas(3, sandbox);
    await createAtEach(replicas);
    sandbox.revokeAccessTokens();
    sandbox.clearCalls();
    const answers = await createAtEach([...replicas, ...replicas, ...replicas]);
    expect(answers.map(statusOf)).toEqual(Array(9).fill(201));
    expect(sandbox.tokenCalls.map(grantOf)).toEqual(['refresh_token']);
    expect(sandbox.messages.size).toBe(12);
  });

  it('try a wrong password once, and remember it, whoever comes later', async () => {
    const sandbox = await startSandbox({ accounts: [{ ...OLD, password: 'another' }] });
    const beganAtMs = Date.now();
    const replicas = await startReplicas(3, sandbox);
    replicas.push(...(await startReplicas(1, sandbox)));
    const answers = await createAtEach(replicas);
    const leastS = 300 - (Date.now() - beganAtMs) / 1_000;
    for (const answer of answers) {
      expect(answer.json).toMatchObject({ type: DENIED, outcome: 'not-sent' });
      expect(Number(answer.headers.get('retry-after'))).toBeGreaterThanOrEqual(leastS);
    }
    expect(sandbox.tokenCalls).toHaveLength(1);
  });

  it('remember for all of them a password that is refused without a word', async () => {
    const sandbox = await startSandbox();
    sandbox.always({ kind: 'empty', status: 401 }, { on: 'token' });
    for (const answer of await createAtEach(await startReplicas(3, sandbox))) {
      expect(answer.json).toMatchObject({ type: DENIED, outcome: 'not-sent' });
    }
    expect(sandbox.tokenCalls).toHaveLength(1);
  });

  it('do not take a block in front of the token endpoint for a refusal, and go on after it', async () => {
    const sandbox = await startSandbox();
    sandbox.always({ kind: 'edge-403' }, { on: 'token' });
    const replicas = await startReplicas(2, sandbox);
    for (const answer of await createAtEach(replicas)) {
      expect(answer.json).toMatchObject({ type: DENIED, outcome: 'not-sent' });
      expect(answer.json['detail']).toContain('blocks the calls');
    }
    sandbox.clearScenarios();
    await sandbox.waitForCall(({ path, status }) => path === '/api/token' && status === 200);
    expect((await createAtEach(replicas)).map(statusOf)).toEqual([201, 201]);
    expect(sandbox.tokenCalls.filter(({ status }) => status === 200)).toHaveLength(1);
  });

  it('try it again once for all of them when its time is over, and then wait twice as long', async () => {
    const sandbox = await startSandbox({ accounts: [{ ...OLD, password: 'another' }] });
    await startReplicas(1, sandbox);
    await sandbox.waitForCall(({ status }) => status === 400);
    await storedAs(`refused_until is not null`);
    await database.query(`update bff.token set refused_until = clock_timestamp()`);
    const beganAtMs = Date.now();
    const answers = await createAtEach(await startReplicas(3, sandbox));
    const leastS = 600 - (Date.now() - beganAtMs) / 1_000;
    for (const answer of answers) {
      expect(answer.json).toMatchObject({ type: DENIED });
      expect(Number(answer.headers.get('retry-after'))).toBeGreaterThanOrEqual(leastS);
    }
    expect(sandbox.tokenCalls).toHaveLength(2);
  });

  it('prove changed credentials by one login, and reject bad ones by one', async () => {
    const path = mkdtempSync(join(tmpdir(), 'credentials-'));
    const put = ({ username, password }: { username: string; password: string }): void => {
      writeFileSync(join(path, 'username'), username);
      writeFileSync(join(path, 'password'), password);
    };
    put(OLD);
    const sandbox = await startSandbox({ accounts: [{ ...OLD }, { ...NEW }] });
    const replicas = await startReplicas(3, sandbox, { NEXUDUS_CREDENTIALS_DIR: path });
    await createAtEach(replicas);
    sandbox.clearCalls();

    put({ ...NEW, password: 'mistyped' });
    await until(() => replicas.every((one) => logged(one, 'The new credentials are rejected')));
    expect(sandbox.tokenCalls.map(statusOf)).toEqual([400]);
    expect((await createAtEach(replicas)).map(statusOf)).toEqual([201, 201, 201]);

    sandbox.clearCalls();
    put(NEW);
    await until(() => replicas.every((one) => logged(one, 'The new credentials are proven')));
    expect(sandbox.tokenCalls.map(statusOf)).toEqual([200]);
    expect((await createAtEach(replicas)).map(statusOf)).toEqual([201, 201, 201]);
    expect([...sandbox.messages.values()].at(-1)?.UpdatedBy).toBe(NEW.username);
  });

  it('do not take an old token for the proof of credentials that come back', async () => {
    const sandbox = await startSandbox({ accounts: [{ ...OLD }, { ...NEW }] });
    const path = mkdtempSync(join(tmpdir(), 'credentials-'));
    const put = ({ username, password }: { username: string; password: string }): void => {
      writeFileSync(join(path, 'username'), username);
      writeFileSync(join(path, 'password'), password);
    };
    put(NEW);
    await startReplicas(1, sandbox, { NEXUDUS_CREDENTIALS_DIR: path });
    await storedAs('generation = 1');
    await database.query(`update bff.token set logged_in_at = clock_timestamp() - interval '6 minutes'`);
    const [account] = sandbox.accounts.slice(1);
    if (account !== undefined) account.password = 'changed since';
    put(OLD);
    const [replica] = await startReplicas(1, sandbox, { NEXUDUS_CREDENTIALS_DIR: path });
    if (replica === undefined) throw new Error('no replica');
    await replica.create(MESSAGE);
    put(NEW);
    await until(() => logged(replica, 'The new credentials are rejected'));
    expect((await replica.create(MESSAGE)).status).toBe(201);
  });

  it('recover by one login from a holder that got lost between the answer and the store, and it uses theirs', async () => {
    const sandbox = await startSandbox();
    const [lost, other] = await startReplicas(2, sandbox);
    if (lost === undefined || other === undefined) throw new Error('no replicas');
    await createAtEach([lost, other]);
    sandbox.revokeAccessTokens();
    sandbox.clearCalls();
    sandbox.next({ kind: 'hang' }, { on: 'token' });
    const late = lost.create(MESSAGE);
    // The refresh token is dead now, and who holds the next one is frozen until its lease is over.
    await sandbox.waitForCall(isRefresh);
    await database.query(`update bff.token set lease_until = clock_timestamp()`);
    expect((await other.create(MESSAGE)).status).toBe(201);
    expect(sandbox.tokenCalls.map((call) => [grantOf(call), call.status])).toEqual([
      ['refresh_token', undefined],
      ['refresh_token', 400],
      ['password', 200],
    ]);
    sandbox.release();
    expect((await late).status).toBe(201);
    const [first, second] = sandbox.writes.filter(({ status }) => status === 200).map(tokenOf);
    expect(second).toBe(first);

    // What is stored is alive: one refresh, and no login.
    sandbox.revokeAccessTokens();
    sandbox.clearCalls();
    expect((await createAtEach([lost, other])).map(statusOf)).toEqual([201, 201]);
    expect(sandbox.tokenCalls.map((call) => [grantOf(call), call.status])).toEqual([['refresh_token', 200]]);
  });

  it('do not believe that a refresh token is dead where another of them has used it up meanwhile', async () => {
    const sandbox = await startSandbox();
    const [slow, other] = await startReplicas(2, sandbox);
    if (slow === undefined || other === undefined) throw new Error('no replicas');
    await createAtEach([slow, other]);
    sandbox.revokeAccessTokens();
    sandbox.clearCalls();
    sandbox.next({ kind: 'hold' }, { on: 'token' });
    const late = slow.create(MESSAGE);
    await sandbox.waitForCall(isRefresh);
    await database.query(`update bff.token set lease_until = clock_timestamp()`);
    expect((await other.create(MESSAGE)).status).toBe(201);
    sandbox.release();
    expect((await late).status).toBe(201);
    expect(sandbox.tokenCalls.map((call) => [grantOf(call), call.status])).toEqual([
      ['refresh_token', 400],
      ['refresh_token', 200],
    ]);
  });

  it('refresh with the client_id of the login, whoever made it', async () => {
    const sandbox = await startSandbox();
    const [first] = await startReplicas(1, sandbox, { NEXUDUS_CLIENT_ID: 'first' });
    await storedAs('generation = 1');
    const [second] = await startReplicas(1, sandbox, { NEXUDUS_CLIENT_ID: 'second' });
    if (first === undefined || second === undefined) throw new Error('no replicas');
    sandbox.revokeAccessTokens();
    expect((await second.create(MESSAGE)).status).toBe(201);
    expect(sandbox.tokenCalls.map((call) => [grantOf(call), call.headers['client_id'], call.status])).toEqual(
      [
        ['password', 'first', 200],
        ['refresh_token', 'first', 200],
      ],
    );
  });
});

describe('the token in the database', () => {
  it('cannot be read by whoever reads the table, nor in any log', async () => {
    const sandbox = await startSandbox();
    const replicas = await startReplicas(2, sandbox);
    await createAtEach(replicas);
    sandbox.revokeAccessTokens();
    await createAtEach(replicas);
    const { rows } = await database.query<Record<string, unknown>>('select * from bff.token');
    expect(rows).toHaveLength(1);
    const text = Object.values(rows[0] ?? {})
      .map((value) => (Buffer.isBuffer(value) ? value.toString('latin1') : String(value)))
      .join();
    const refreshTokens = sandbox.tokenCalls.flatMap(
      ({ body }) => new URLSearchParams(body).get('refresh_token') ?? [],
    );
    const secrets = [OLD.username, OLD.password, ...sandbox.writes.map(tokenOf), ...refreshTokens];
    expect(secrets.length).toBeGreaterThan(6);
    for (const secret of secrets) {
      expect(text).not.toContain(secret);
      expect(text).not.toContain(Buffer.from(secret).toString('base64url'));
      for (const { rawLog } of replicas) expect(rawLog.join()).not.toContain(secret);
    }
  });

  it('outlives a new ledger key in front of the old one, and then the end of the old one', async () => {
    const sandbox = await startSandbox();
    const [oldKey, newKey] = ['old', 'new'].map((id) => `${id}:${randomBytes(32).toString('base64')}`);
    const use = async (keys: string): Promise<void> => {
      const [replica] = await startReplicas(1, sandbox, { LEDGER_KEYS: keys });
      expect((await replica?.create(MESSAGE))?.status).toBe(201);
    };
    await use(`${oldKey}`);
    await use(`${newKey},${oldKey}`);
    expect(sandbox.tokenCalls).toHaveLength(1);
    // The next one is closed with the new key.
    sandbox.revokeAccessTokens();
    await use(`${newKey},${oldKey}`);
    sandbox.clearCalls();
    await use(`${newKey}`);
    expect(sandbox.tokenCalls).toHaveLength(0);
    const { rows } = await database.query('select name from bff.token');
    expect(rows).toHaveLength(1);
  });

  it('that nobody can open is replaced by a login', async () => {
    const sandbox = await startSandbox();
    await startReplicas(1, sandbox);
    await storedAs('generation = 1');
    await database.query(`update bff.token set sealed = '\\x00'`);
    const [replica] = await startReplicas(1, sandbox);
    expect((await replica?.create(MESSAGE))?.status).toBe(201);
    expect(sandbox.tokenCalls.map(grantOf)).toEqual(['password', 'password']);
  });
});

describe('a database that is away', () => {
  it('leaves the token that is there in use, allows no other, and is no loss when it is back', async () => {
    const sandbox = await startSandbox();
    const cable = await Cable.start(postgres.port);
    const [replica] = await startReplicas(1, sandbox, { DATABASE_URL: cable.reroute(url) });
    if (replica === undefined) throw new Error('no replica');
    await replica.create(MESSAGE);
    sandbox.clearCalls();
    cable.cut();
    await until(() => logged(replica, 'The database is away'));
    expect(expiresInSeconds(await replica.manage('/metrics'))).toBeGreaterThan(1_000);

    sandbox.revokeAccessTokens();
    const answer = await replica.create(MESSAGE);
    expect(answer.json).toMatchObject({ type: UNAVAILABLE, outcome: 'not-sent', retryable: true });
    expect(sandbox.tokenCalls).toHaveLength(0);

    cable.join();
    await until(() => logged(replica, 'The database answers'));
    expect(await served(replica)).toBe(true);
    expect(sandbox.tokenCalls.map(grantOf)).toEqual(['refresh_token']);
  });

  it('just when Nexudus answers costs no login: what it answered is stored when the database is back', async () => {
    const sandbox = await startSandbox();
    const cable = await Cable.start(postgres.port);
    const [replica] = await startReplicas(1, sandbox, { DATABASE_URL: cable.reroute(url) });
    if (replica === undefined) throw new Error('no replica');
    await replica.create(MESSAGE);
    sandbox.revokeAccessTokens();
    sandbox.clearCalls();
    sandbox.next({ kind: 'hang' }, { on: 'token' });
    const answer = replica.create(MESSAGE);
    await sandbox.waitForCall(isRefresh);
    cable.cut();
    await until(() => logged(replica, 'The database is away'));
    sandbox.release();
    await metric(replica, 'nexudus_token_requests_total{grant="refresh_token",result="issued"} 1');
    // It is to be stored now, which is tried with a connection of its own.
    const refused = cable.refused;
    await until(() => cable.refused > refused + 2);
    cable.join();
    expect((await answer).status).toBe(201);
    expect(sandbox.tokenCalls.map(grantOf)).toEqual(['refresh_token']);
    await storedAs('generation = 2');
  });

  it('at the start is waited for', async () => {
    const sandbox = await startSandbox();
    const cable = await Cable.start(postgres.port);
    cable.cut();
    const [replica] = await startReplicas(1, sandbox, { DATABASE_URL: cable.reroute(url) });
    if (replica === undefined) throw new Error('no replica');
    expect((await replica.create(MESSAGE, { prefer: 'wait=1' })).json).toMatchObject({ type: UNAVAILABLE });
    // Nexudus has nothing to do with it, and is not blamed for it.
    expect(logged(replica, 'The token endpoint of Nexudus')).toBe(false);
    cable.join();
    expect(await served(replica)).toBe(true);
    expect(sandbox.tokenCalls.map(grantOf)).toEqual(['password']);
  });
});

/** Resolves when the row of the token is so. */
async function storedAs(condition: string): Promise<void> {
  for (;;) {
    const { rows } = await database.query(`select 1 from bff.token where ${condition}`);
    if (rows.length > 0) return;
  }
}

/** Resolves when the metrics say so. */
async function metric({ manage }: TestService, line: string): Promise<void> {
  while (!(await manage('/metrics')).text.split('\n').includes(line));
}

/** Asks until a message is created. */
async function served({ create }: TestService): Promise<boolean> {
  for (;;) if ((await create(MESSAGE)).status === 201) return true;
}

/** The way to the database, which can be cut. */
class Cable {
  static async start(toPort: number): Promise<Cable> {
    const sockets = new Set<Socket>();
    const state = { isCut: false, refused: 0 };
    const server = createServer((near) => {
      if (state.isCut) {
        state.refused += 1;
        near.destroy();
        return;
      }
      const far = connect(toPort, '127.0.0.1');
      for (const [one, another] of [
        [near, far],
        [far, near],
      ] as const) {
        sockets.add(one);
        one.on('error', () => undefined);
        one.on('close', () => {
          sockets.delete(one);
          another.destroy();
        });
        one.pipe(another);
      }
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    // Nothing goes through it after its test.
    server.unref();
    return new Cable(server, sockets, state);
  }

  private constructor(
    private readonly server: Server,
    private readonly sockets: ReadonlySet<Socket>,
    private readonly state: { isCut: boolean; refused: number },
  ) {}

  /** The same connection string, through the cable. */
  reroute(connectionString: string): string {
    const address = this.server.address();
    if (address === null || typeof address === 'string') throw new Error('no port');
    return connectionString.replace(/:\d+\//, `:${address.port}/`);
  }

  /** Connections that were not made, since it is cut. */
  get refused(): number {
    return this.state.refused;
  }

  cut(): void {
    this.state.isCut = true;
    for (const socket of this.sockets) socket.destroy();
  }

  join(): void {
    this.state.isCut = false;
  }
}
