import { createHash } from 'node:crypto';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach } from '@jest/globals';
import pg from 'pg';
import { startApp, type RunningApp } from '../../src/app.setup.js';
import { loadConfig, namedFiles } from '../../src/config/load-config.js';
import { fileFaults } from '../../src/file-faults.js';
import { createLogger } from '../../src/observability/json-logger.js';
import { contradictions } from './documented.js';
import { NexudusSandbox, type SandboxOptions } from '../../src/sandbox/nexudus-sandbox.js';
import { until } from './until.js';

/** The API keys that every test service accepts. */
export const KEYS = {
  everything: 'key-for-everything',
  businessesOneAndTwo: 'key-for-one-and-two',
  expired: 'key-expired',
};

/** An answer of the service, whole. */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** The body as JSON; an empty object where it is not. */
  readonly json: Record<string, unknown>;
}

/** A service that runs in this process against a fake Nexudus of its own. */
export interface TestService {
  readonly sandbox: NexudusSandbox;
  readonly app: RunningApp;
  readonly url: string;
  /** Each line that it logged. */
  readonly log: readonly Record<string, unknown>[];
  /** The same, as it was written. */
  readonly rawLog: readonly string[];
  /** A page of the management port; `GET` where no other method is given. */
  readonly manage: (path: string, method?: string) => Promise<Answer>;
  /** Resolves when so many writes wait for their turn. */
  readonly untilWaiting: (count: number) => Promise<void>;
  readonly create: (body: unknown, headers?: Record<string, string>) => Promise<Answer>;
  readonly replace: (id: number | string, body: unknown, headers?: Record<string, string>) => Promise<Answer>;
  readonly call: (
    method: string,
    path: string,
    init?: { headers?: Record<string, string>; body?: string },
  ) => Promise<Answer>;
}

const running: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const stop of running.splice(0).reverse()) await stop();
});

/**
 * Starts a service and its fake Nexudus on free ports, exactly as main does; both end with the test. Replicas are
 * given the same one. Where there is a database that answers, its tables are there.
 */
export async function startService(
  given: { env?: Record<string, string>; sandbox?: SandboxOptions | NexudusSandbox } = {},
): Promise<TestService> {
  const sandbox = given.sandbox instanceof NexudusSandbox ? given.sandbox : await startSandbox(given.sandbox);
  const log: Record<string, unknown>[] = [];
  const rawLog: string[] = [];
  const env = { ...environmentFor(sandbox.url), ...given.env };
  const config = loadConfig(env, 'test-host', await fileFaults(namedFiles(env)));
  const app = await startApp(
    config,
    createLogger(given.env?.['LOG_LEVEL'] ?? 'debug', {
      write: (line) => {
        rawLog.push(line);
        log.push(JSON.parse(line) as Record<string, unknown>);
      },
    }),
  );
  running.push(() => app.stop());
  const manage: TestService['manage'] = async (path, method = 'GET') =>
    wholeAnswer(await fetch(`http://127.0.0.1:${app.managementPort}${path}`, { method }));
  const databaseUrl = given.env?.['DATABASE_URL'];
  // A start waits for them for a while only.
  while (databaseUrl !== undefined && !(await hasTables(manage)) && (await canConnect(databaseUrl)));
  const url = `http://127.0.0.1:${app.apiPort}`;
  const call: TestService['call'] = async (method, path, init = {}) => {
    const answer = await wholeAnswer(await fetch(url + path, { method, redirect: 'manual', ...init }));
    const { status, headers, text } = answer;
    // Whatever a test is about: no answer contradicts the description that callers build on.
    const described = text.replaceAll(config.problems.typeBaseUrl, '/problems/');
    const faults = contradictions({ method, path, status, headers, text: described });
    if (faults.length > 0)
      throw new Error(`${method} ${path} contradicts openapi.json: ${faults.join('\n')}`);
    return answer;
  };
  const write = (
    method: string,
    path: string,
    body: unknown,
    headers: Record<string, string> = {},
  ): Promise<Answer> =>
    call(method, path, {
      headers: { authorization: `Bearer ${KEYS.everything}`, 'content-type': 'application/json', ...headers },
      body: typeof body === 'string' ? body : JSON.stringify(body),
    });
  return {
    sandbox,
    app,
    url,
    log,
    rawLog,
    manage,
    untilWaiting: (count) =>
      until(async () => {
        const { quota } = (await manage('/info')).json as { quota: { waiting: number } };
        return quota.waiting === count;
      }),
    call,
    create: (body, headers) => write('POST', '/v1/chat-messages', body, headers),
    replace: (id, body, headers) => write('PUT', `/v1/chat-messages/${id}`, body, headers),
  };
}

async function hasTables(manage: TestService['manage']): Promise<boolean> {
  return /^nexudus_database_up\{.*\} 1$/m.test((await manage('/metrics')).text);
}

async function canConnect(connectionString: string): Promise<boolean> {
  const client = new pg.Client({ connectionString, connectionTimeoutMillis: 5_000 });
  client.on('error', () => undefined);
  try {
    await client.connect();
    return true;
  } catch {
    return false;
  } finally {
    await client.end();
  }
}

/** A fake Nexudus that ends with the test. */
export async function startSandbox(options?: SandboxOptions): Promise<NexudusSandbox> {
  const sandbox = await NexudusSandbox.start(options);
  running.push(() => sandbox.close());
  return sandbox;
}

/** The bytes of a request to create a message; with a longer `length` than the body, of one that is not all there. */
export function rawCreate(body: string, length = body.length): string {
  return rawWrite('POST /v1/chat-messages', body, {}, length);
}

/** The same of any write, which names its method and path. */
export function rawWrite(
  request: string,
  body: string,
  headers: Readonly<Record<string, string>> = {},
  length = Buffer.byteLength(body),
): string {
  const all = {
    host: 'x',
    authorization: `Bearer ${KEYS.everything}`,
    'content-type': 'application/json',
    'content-length': length,
    ...headers,
  };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  return `${request} HTTP/1.1\r\n${lines.join('')}\r\n${body}`;
}

/** What a service needs from its environment to run against a fake Nexudus. */
export function environmentFor(nexudusUrl: string): Record<string, string> {
  return {
    NODE_ENV: 'test',
    PORT: '0',
    HOST: '127.0.0.1',
    MANAGEMENT_PORT: '0',
    NEXUDUS_BASE_URL: nexudusUrl,
    NEXUDUS_USERNAME: 'service@example.com',
    NEXUDUS_PASSWORD: 'sandbox-password',
    NEXUDUS_WRITE_LIMITS: 'off',
    NEXUDUS_CALL_LIMITS: 'off',
    AUTH_MODES: 'api-key',
    AUTH_API_KEYS_FILE: apiKeysFile(),
  };
}

function apiKeysFile(): string {
  const path = join(mkdtempSync(join(tmpdir(), 'api-keys-')), 'api-keys.json');
  const sha256 = (key: string): string => createHash('sha256').update(key).digest('hex');
  writeFileSync(
    path,
    JSON.stringify([
      { id: 'everything', sha256: sha256(KEYS.everything), businesses: '*' },
      { id: 'one-and-two', sha256: sha256(KEYS.businessesOneAndTwo), businesses: [1, 2] },
      { id: 'expired', sha256: sha256(KEYS.expired), businesses: '*', expiresAt: '2020-01-01T00:00:00Z' },
    ]),
  );
  return path;
}

async function wholeAnswer(response: Response): Promise<Answer> {
  const text = await response.text();
  return { status: response.status, headers: response.headers, text, json: parseObject(text) };
}

function parseObject(text: string): Record<string, unknown> {
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch {
    return {};
  }
}
