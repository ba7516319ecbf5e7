import 'reflect-metadata';
import { readFileSync } from 'node:fs';
import { inspect } from 'node:util';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { Environment } from './environment.js';
import { ConfigError, KNOWN, loadConfig, namedFiles } from './load-config.js';
import type { AppConfig } from './sections.js';

type Variables = Readonly<Record<string, string | undefined>>;

/** The least that the service starts with. */
const LEAST = {
  NEXUDUS_CREDENTIALS_DIR: '/run/secrets/nexudus',
  AUTH_API_KEYS_FILE: '/run/secrets/api-keys.json',
} as const;
const HOST_NAME = 'bff-0';

const load = (variables: Variables = {}): AppConfig => loadConfig({ ...LEAST, ...variables }, HOST_NAME);

function errorOf(variables: Variables): ConfigError {
  try {
    loadConfig(variables, HOST_NAME);
  } catch (error) {
    if (error instanceof ConfigError) return error;
    throw error;
  }
  throw new Error('the configuration was accepted');
}

const faultyWith = (variables: Variables): string[] =>
  errorOf({ ...LEAST, ...variables })
    .faults.map((fault) => fault.variable)
    .sort();

describe('the defaults', () => {
  it('are those of `.env.example` where nothing but the least is set', () => {
    expect(load()).toEqual({
      http: {
        host: '0.0.0.0',
        port: 3000,
        bodyLimitBytes: 262_144,
        requestDeadlineMs: 25_000,
        shutdownTimeoutMs: 25_000,
        callerWaitingLimit: 1000,
        corsOrigins: [],
      },
      chatMessages: { contentMaxLength: 16_384, updateReadFirst: 'restricted' },
      nexudus: {
        baseUrl: 'https://spaces.nexudus.com',
        credentials: { kind: 'directory', path: LEAST.NEXUDUS_CREDENTIALS_DIR },
        clientId: HOST_NAME,
        writeLimits: [
          { limit: 60, periodMs: 60_000 },
          { limit: 2500, periodMs: 86_400_000 },
        ],
        callLimits: [
          { limit: 1, periodMs: 100 },
          { limit: 120, periodMs: 60_000 },
          { limit: 5000, periodMs: 3_600_000 },
        ],
        reserveShare: 0.1,
        connectTimeoutMs: 3000,
        attemptTimeoutMs: 10_000,
        responseLimitBytes: 1_048_576,
      },
      clientAuth: { modes: ['api-key'], apiKeysFile: LEAST.AUTH_API_KEYS_FILE, jwt: undefined },
      idempotency: { ttlMs: 86_400_000 },
      problems: { typeBaseUrl: '/problems/' },
      observability: { host: '0.0.0.0', managementPort: 9464, logLevel: 'info' },
      deliveries: {
        ttlMs: 86_400_000,
        contentRetentionMs: 3_600_000,
        unknownHoldMs: 60_000,
        backlogLimit: 100_000,
        backlogLimitPerCaller: 10_000,
        tagSystemId: false,
      },
      database: undefined,
    });
  });

  it.each<[keyof Environment, unknown]>([
    ['NEXUDUS_UPDATE_READ_FIRST', 'restricted'],
    ['OTEL_EXPORTER_OTLP_ENDPOINT', undefined],
  ])('of %s is that of `.env.example`', (name, value) => {
    expect(new Environment()[name]).toEqual(value);
  });

  it.each(['', ' ', '\t\n', undefined])('hold for a variable that is empty (%j)', (empty) => {
    const others = [...KNOWN].filter((name) => !(name in LEAST));
    expect(load(Object.fromEntries(others.map((name) => [name, empty])))).toEqual(load());
  });

  it('hold whatever else stands in the environment', () => {
    expect(load({ PATH: '/bin', port: '1', NEXUDUS_TIMEOUT: 'x', constructor: 'x', toString: 'x' })).toEqual(
      load(),
    );
  });

  it.each<[string, string, (config: AppConfig) => unknown, unknown]>([
    ['PORT', '0', (c) => c.http.port, 0],
    ['PORT', ' 8080 ', (c) => c.http.port, 8080],
    ['HOST', '::1', (c) => c.http.host, '::1'],
    ['MANAGEMENT_PORT', '65535', (c) => c.observability.managementPort, 65_535],
    ['BODY_LIMIT_BYTES', '1', (c) => c.http.bodyLimitBytes, 1],
    ['REQUEST_DEADLINE_MS', '5000', (c) => c.http.requestDeadlineMs, 5000],
    ['SHUTDOWN_TIMEOUT_MS', '0', (c) => c.http.shutdownTimeoutMs, 0],
    ['CHAT_MESSAGE_MAX_LENGTH', '1', (c) => c.chatMessages.contentMaxLength, 1],
    ['NEXUDUS_CLIENT_ID', 'bff-blue', (c) => c.nexudus.clientId, 'bff-blue'],
    ['NEXUDUS_WRITE_LIMITS', 'off', (c) => c.nexudus.writeLimits, []],
    ['NEXUDUS_CALL_LIMITS', '2/1s', (c) => c.nexudus.callLimits, [{ limit: 2, periodMs: 1000 }]],
    ['NEXUDUS_CONNECT_TIMEOUT_MS', '1', (c) => c.nexudus.connectTimeoutMs, 1],
    ['NEXUDUS_ATTEMPT_TIMEOUT_MS', '1', (c) => c.nexudus.attemptTimeoutMs, 1],
    ['UPSTREAM_RESPONSE_LIMIT_BYTES', '1', (c) => c.nexudus.responseLimitBytes, 1],
    ['NEXUDUS_BASE_URL', 'https://eu.example.com', (c) => c.nexudus.baseUrl, 'https://eu.example.com'],
    ['NEXUDUS_BASE_URL', 'https://eu.example.com/', (c) => c.nexudus.baseUrl, 'https://eu.example.com'],
    ['NEXUDUS_BASE_URL', 'https://eu.example.com/a//', (c) => c.nexudus.baseUrl, 'https://eu.example.com/a'],
    ['PROBLEM_TYPE_BASE_URL', 'https://e.example/p/', (c) => c.problems.typeBaseUrl, 'https://e.example/p/'],
    ['LOG_LEVEL', 'debug', (c) => c.observability.logLevel, 'debug'],
    ['DELIVERY_TTL_S', '60', (c) => c.deliveries.ttlMs, 60_000],
    ['DELIVERY_CONTENT_RETENTION_S', '0', (c) => c.deliveries.contentRetentionMs, 0],
    ['DELIVERY_UNKNOWN_HOLD_S', '0', (c) => c.deliveries.unknownHoldMs, 0],
    ['DELIVERY_BACKLOG_LIMIT', '1', (c) => c.deliveries.backlogLimit, 1],
    ['DELIVERY_BACKLOG_LIMIT_PER_CALLER', '1', (c) => c.deliveries.backlogLimitPerCaller, 1],
    ['NEXUDUS_TAG_SYSTEM_ID', 'true', (c) => c.deliveries.tagSystemId, true],
  ])('give way to %s=%s', (name, text, read, value) => {
    expect(read(load({ [name]: text }))).toEqual(value);
  });
});

describe('a fault', () => {
  it.each([
    ['NODE_ENV', 'staging'],
    ['PORT', '-1'],
    ['PORT', '65536'],
    ['PORT', '3000x'],
    ['PORT', '0x10'],
    ['PORT', '1e3'],
    ['PORT', '80.5'],
    ['MANAGEMENT_PORT', 'http'],
    ['NEXUDUS_BASE_URL', 'spaces.nexudus.com'],
    ['NEXUDUS_BASE_URL', 'ftp://spaces.nexudus.com'],
    ['NEXUDUS_BASE_URL', 'https://user:pass@spaces.nexudus.com'],
    ['NEXUDUS_BASE_URL', 'https://spaces.nexudus.com/?a=b'],
    ['NEXUDUS_BASE_URL', 'https://spaces.nexudus.com/#top'],
    ['NEXUDUS_WRITE_LIMITS', '60/1w'],
    ['NEXUDUS_CALL_LIMITS', 'none'],
    ['NEXUDUS_TOTP_SECRET', '1!'],
    ['NEXUDUS_TOTP_SECRET', '===='],
    ['NEXUDUS_CONNECT_TIMEOUT_MS', '0'],
    ['NEXUDUS_ATTEMPT_TIMEOUT_MS', '3600001'],
    ['NEXUDUS_UPDATE_READ_FIRST', 'never'],
    ['UPSTREAM_RESPONSE_LIMIT_BYTES', '0'],
    ['UPSTREAM_RESPONSE_LIMIT_BYTES', '1MiB'],
    ['REQUEST_DEADLINE_MS', '25s'],
    ['BODY_LIMIT_BYTES', '0'],
    ['BODY_LIMIT_BYTES', '99999999999999999999'],
    ['CHAT_MESSAGE_MAX_LENGTH', '0'],
    ['PROBLEM_TYPE_BASE_URL', '/problems'],
    ['PROBLEM_TYPE_BASE_URL', '//elsewhere.example/'],
    ['CORS_ORIGINS', '*'],
    ['CORS_ORIGINS', 'https://app.example.com/'],
    ['CORS_ORIGINS', 'https://app.example.com,nonsense'],
    ['IDEMPOTENCY_TTL_S', '0'],
    ['AUTH_MODES', 'password'],
    ['AUTH_MODES', 'api-key,password'],
    ['AUTH_MODES', ','],
    ['AUTH_JWT_ISSUER', 'login.example.com'],
    ['AUTH_JWT_ISSUER', 'https://login.example.com/?tenant=1'],
    ['AUTH_JWKS_URI', 'file:///jwks.json'],
    ['AUTH_JWKS_URI', 'https://user:pass@id.example.com/keys'],
    ['AUTH_JWKS_URI', 'https://id.example.com/keys#top'],
    ['LOG_LEVEL', 'verbose'],
    ['SHUTDOWN_TIMEOUT_MS', '-1'],
    ['OTEL_EXPORTER_OTLP_ENDPOINT', 'collector:4318'],
    ['DATABASE_BACKEND', 'mysql'],
    ['DELIVERY_TTL_S', '0'],
    ['DELIVERY_TTL_S', '31536001'],
    ['DELIVERY_CONTENT_RETENTION_S', '-1'],
    ['DELIVERY_UNKNOWN_HOLD_S', '86401'],
    ['DELIVERY_BACKLOG_LIMIT', '0'],
    ['DELIVERY_BACKLOG_LIMIT_PER_CALLER', '1e9'],
    ['NEXUDUS_TAG_SYSTEM_ID', 'yes'],
    ['NEXUDUS_TAG_SYSTEM_ID', 'TRUE'],
  ])('is found in %s=%s, and says what was expected', (variable, text) => {
    const { faults } = errorOf({ ...LEAST, AUTH_MODES: 'api-key', [variable]: text });
    expect(faults).toEqual([{ variable, expected: expect.stringMatching(/^must /) }]);
  });

  it.each([
    '<your password>',
    'changeme',
    'CHANGE-ME',
    'change_me',
    'your-password',
    'xxx',
    'TODO',
    '...',
    '${SECRET}',
  ])('is a value that nobody filled in: %s', (placeholder) => {
    expect(faultyWith({ NEXUDUS_CREDENTIALS_DIR: placeholder })).toEqual(['NEXUDUS_CREDENTIALS_DIR']);
    const local = {
      NEXUDUS_CREDENTIALS_DIR: '',
      NEXUDUS_USERNAME: placeholder,
      NEXUDUS_PASSWORD: placeholder,
    };
    expect(faultyWith({ ...local, NEXUDUS_TOTP_SECRET: placeholder })).toEqual([
      'NEXUDUS_PASSWORD',
      'NEXUDUS_TOTP_SECRET',
      'NEXUDUS_USERNAME',
    ]);
  });

  it('is reported together with every other, each variable once, by its name', () => {
    const everything = Object.fromEntries([...KNOWN].map((name) => [name, '<fill me in>']));
    expect(
      errorOf(everything)
        .faults.map((fault) => fault.variable)
        .sort(),
    ).toEqual([...KNOWN].sort());
  });

  it('of a single variable does not hide those between variables', () => {
    expect(
      errorOf({ PORT: 'x', LOG_LEVEL: 'loud' })
        .faults.map((fault) => fault.variable)
        .sort(),
    ).toEqual(['AUTH_MODES', 'LOG_LEVEL', 'NEXUDUS_CREDENTIALS_DIR', 'PORT']);
  });

  it('of a file is reported with those of the variables', () => {
    const ofFile = { variable: 'AUTH_API_KEYS_FILE', expected: 'is not JSON' };
    const failure = (variables: Variables): unknown => {
      try {
        return loadConfig({ ...LEAST, ...variables }, HOST_NAME, [ofFile]);
      } catch (error) {
        return error;
      }
    };
    expect(failure({})).toMatchObject({ name: 'ConfigError', faults: [ofFile] });
    expect(failure({ PORT: 'x' })).toMatchObject({ faults: [{ variable: 'PORT' }, ofFile] });
  });

  it('of a variable that cannot be read is the only one of it: no rule is applied to what is not there', () => {
    expect(faultyWith({ AUTH_MODES: 'password', AUTH_API_KEYS_FILE: '' })).toEqual(['AUTH_MODES']);
  });

  it('in production does not hide the others either', () => {
    const variables = { NODE_ENV: 'production', NEXUDUS_BASE_URL: 'nonsense', AUTH_MODES: 'none', PORT: 'x' };
    expect(faultyWith(variables)).toEqual(['AUTH_MODES', 'NEXUDUS_BASE_URL', 'PORT']);
  });

  it('never repeats a value: it may be a secret', () => {
    const canary = 'hunter2-canary';
    // In every variable, and in forms that fail for different reasons.
    for (const form of [`<${canary}>`, `https://user:${canary}@host/?${canary}`, canary]) {
      const error = errorOf({
        ...Object.fromEntries([...KNOWN].map((name) => [name, form])),
        [canary]: canary,
      });
      expect(inspect(error, { depth: 9, showHidden: true })).not.toContain(canary);
      expect(JSON.stringify(error.faults)).not.toContain(canary);
    }
  });

  it('is the only way to fail: any environment gives a configuration or a ConfigError', () => {
    const text = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.webUrl({ withQueryParameters: true }),
      fc.nat().map(String),
      fc.constantFrom('production', 'none', 'api-key', 'jwt,none', 'off', '60/1m', 'changeme'),
    );
    const environment = fc.dictionary(fc.constantFrom(...KNOWN), text, { noNullPrototype: true });
    fc.assert(
      fc.property(environment, (variables) => {
        try {
          loadConfig(variables, HOST_NAME);
        } catch (error) {
          expect(error).toBeInstanceOf(ConfigError);
          expect((error as ConfigError).faults.length).toBeGreaterThan(0);
        }
      }),
      { numRuns: 500 },
    );
  });
});

describe('the credentials', () => {
  const LOCAL = {
    NEXUDUS_CREDENTIALS_DIR: '',
    NEXUDUS_USERNAME: 'me@example.com',
    NEXUDUS_PASSWORD: ' pass word ',
  };

  it('come from the environment for local work, the password with its spaces', () => {
    expect(load({ ...LOCAL, NEXUDUS_TOTP_SECRET: 'JBSWY3DP' }).nexudus.credentials).toEqual({
      kind: 'fixed',
      username: 'me@example.com',
      password: ' pass word ',
      totpSecret: 'JBSWY3DP',
    });
    expect(load(LOCAL).nexudus.credentials).toMatchObject({ kind: 'fixed', totpSecret: undefined });
  });

  it('come from the directory where both are set', () => {
    expect(load({ ...LOCAL, NEXUDUS_CREDENTIALS_DIR: '/secrets' }).nexudus.credentials).toEqual({
      kind: 'directory',
      path: '/secrets',
    });
  });

  it.each<[string, Variables]>([
    ['nothing', {}],
    ['the name alone', { NEXUDUS_USERNAME: 'me@example.com' }],
    ['the password alone', { NEXUDUS_PASSWORD: 'secret' }],
    ['a blank password', { NEXUDUS_USERNAME: 'me@example.com', NEXUDUS_PASSWORD: '  ' }],
  ])('are missing with %s', (_, variables) => {
    expect(faultyWith({ NEXUDUS_CREDENTIALS_DIR: '', ...variables })).toEqual(['NEXUDUS_CREDENTIALS_DIR']);
  });
});

describe('AUTH_MODES', () => {
  const JWT = { AUTH_JWT_ISSUER: 'https://id.example.com/', AUTH_JWT_AUDIENCE: 'nexudus-bff' };
  const NO_FILE = { AUTH_API_KEYS_FILE: '' };
  const apiKeysFile = LEAST.AUTH_API_KEYS_FILE;
  const jwt = { issuer: JWT.AUTH_JWT_ISSUER, audience: JWT.AUTH_JWT_AUDIENCE, jwksUri: undefined };
  const jwksUri = 'https://id.example.com/keys?p=b2c';

  it.each<[string, Variables, AppConfig['clientAuth']]>([
    ['api-key where a file is named', {}, { modes: ['api-key'], apiKeysFile, jwt: undefined }],
    [
      'jwt where an issuer is named, as it is written',
      { ...NO_FILE, ...JWT },
      { modes: ['jwt'], apiKeysFile: undefined, jwt },
    ],
    ['both where both are named', JWT, { modes: ['jwt', 'api-key'], apiKeysFile, jwt }],
    [
      'jwt with keys at an address with a query',
      { ...NO_FILE, ...JWT, AUTH_JWKS_URI: jwksUri },
      { modes: ['jwt'], apiKeysFile: undefined, jwt: { ...jwt, jwksUri } },
    ],
    [
      'api-key as asked, whatever else is there',
      { ...JWT, AUTH_MODES: ' api-key ' },
      { modes: ['api-key'], apiKeysFile, jwt: undefined },
    ],
    [
      'jwt as asked, whatever else is there',
      { ...JWT, AUTH_MODES: 'jwt' },
      { modes: ['jwt'], apiKeysFile: undefined, jwt },
    ],
    [
      'none for local work',
      { AUTH_MODES: 'none' },
      { modes: ['none'], apiKeysFile: undefined, jwt: undefined },
    ],
  ])('may be %s', (_, variables, clientAuth) => {
    expect(load(variables).clientAuth).toEqual(clientAuth);
  });

  it.each<[string, Variables, string[]]>([
    ['nothing is configured', NO_FILE, ['AUTH_MODES']],
    ['none stands beside another', { AUTH_MODES: 'none,api-key' }, ['AUTH_MODES']],
    ['jwt has no issuer', { AUTH_MODES: 'jwt', AUTH_JWT_AUDIENCE: 'x' }, ['AUTH_JWT_ISSUER']],
    ['jwt has no audience', { AUTH_MODES: 'jwt', AUTH_JWT_ISSUER: 'https://x.test' }, ['AUTH_JWT_AUDIENCE']],
    ['jwt has neither', { AUTH_MODES: 'jwt,api-key' }, ['AUTH_JWT_AUDIENCE', 'AUTH_JWT_ISSUER']],
    ['an issuer is named without an audience', { AUTH_JWT_ISSUER: 'https://x.test' }, ['AUTH_JWT_AUDIENCE']],
    ['an audience is named without an issuer', { AUTH_JWT_AUDIENCE: 'x' }, ['AUTH_JWT_ISSUER']],
    ['api-key has no file', { AUTH_MODES: 'api-key', ...NO_FILE }, ['AUTH_API_KEYS_FILE']],
    ['none is asked for in production', { AUTH_MODES: 'none', NODE_ENV: 'production' }, ['AUTH_MODES']],
  ])('is refused when %s', (_, variables, faulty) => {
    expect([...new Set(faultyWith(variables))]).toEqual(faulty);
  });
});

describe('the database', () => {
  const URL = 'postgresql://bff:pass@db.example.com:5432/bff';
  const secret = (byte: number): Buffer => Buffer.alloc(32, byte);
  const key = (id: string, byte: number): string => `${id}:${secret(byte).toString('base64')}`;
  const LEDGER_KEYS = key('2026', 1);

  it.each<[string, Variables, AppConfig['database']]>([
    ['nothing', {}, undefined],
    ['keys alone, which nobody uses', { LEDGER_KEYS }, undefined],
    [
      'values',
      { DATABASE_URL: ` ${URL} `, LEDGER_KEYS: ` ${key('new', 2)} , ${LEDGER_KEYS}` },
      {
        url: { kind: 'value', value: URL },
        keys: {
          kind: 'value',
          value: [
            { id: 'new', secret: secret(2) },
            { id: '2026', secret: secret(1) },
          ],
        },
        backend: 'postgres',
      },
    ],
    [
      'files, which are not read here',
      { DATABASE_URL_FILE: '/db/url', LEDGER_KEYS_FILE: '/db/keys', DATABASE_BACKEND: 'citus' },
      {
        url: { kind: 'file', path: '/db/url' },
        keys: { kind: 'file', path: '/db/keys' },
        backend: 'citus',
      },
    ],
  ])('is made of %s', (_, variables, database) => {
    expect(load(variables).database).toEqual(database);
  });

  it.each([
    'postgres://localhost/db',
    'postgresql://localhost/db',
    'postgresql://bff@db.example.com/bff',
    'postgresql://bff:p%40ss%2Fword@db.example.com:6432/bff',
    'postgresql://bff:pass@[::1]:5432/bff',
    'postgresql://bff:pass@db.example.com/bff?sslmode=verify-full&sslrootcert=/etc/ca.pem',
    'postgresql://bff:pass@db.example.com/bff?sslmode=disable&application_name=x&options=-c%20geqo%3Doff',
  ])('is at %s', (url) => {
    // Also without TLS in production: it is often a sidecar's socket, or a network that encrypts by itself.
    expect(load({ NODE_ENV: 'production', DATABASE_URL: url, LEDGER_KEYS }).database?.url).toEqual({
      kind: 'value',
      value: url,
    });
  });

  it.each([
    'db.example.com',
    'localhost:5432/db',
    'mysql://bff:pass@db.example.com/bff',
    'https://db.example.com/bff',
    'postgresql://bff:pass@db.example.com',
    'postgresql://bff:pass@db.example.com/',
    'postgresql://bff:pass@db.example.com:port/bff',
    'host=db.example.com dbname=bff',
  ])('is not at %s', (url) => {
    expect(faultyWith({ DATABASE_URL: url, LEDGER_KEYS })).toEqual(['DATABASE_URL']);
  });

  it.each([
    ['no id', secret(1).toString('base64')],
    ['an empty id', key('', 1)],
    ['an id with a blank', key('a b', 1)],
    ['an id that is too long', key('x'.repeat(33), 1)],
    ['31 bytes', `a:${Buffer.alloc(31).toString('base64')}`],
    ['33 bytes', `a:${Buffer.alloc(33).toString('base64')}`],
    ['hexadecimal', `a:${secret(1).toString('hex')}`],
    ['base64url without the end', `a:${secret(255).toString('base64url')}`],
    ['the same id twice', `${key('a', 1)},${key('a', 2)}`],
    ['nothing behind a comma', `${key('a', 1)},`],
    ['one bad key among good ones', `${key('a', 1)},b:x`],
  ])('has no keys of %s', (_, keys) => {
    expect(faultyWith({ DATABASE_URL: URL, LEDGER_KEYS: keys })).toEqual(['LEDGER_KEYS']);
  });

  it.each<[string, Variables, string[]]>([
    ['without keys', { DATABASE_URL: URL }, ['LEDGER_KEYS']],
    ['in a file without keys', { DATABASE_URL_FILE: '/db/url' }, ['LEDGER_KEYS']],
    [
      'in two places',
      { DATABASE_URL: URL, DATABASE_URL_FILE: '/db/url', LEDGER_KEYS },
      ['DATABASE_URL_FILE'],
    ],
    [
      'with keys in two places',
      { DATABASE_URL: URL, LEDGER_KEYS, LEDGER_KEYS_FILE: '/db/keys' },
      ['LEDGER_KEYS_FILE'],
    ],
    [
      'with keys in two places, without being needed',
      { LEDGER_KEYS, LEDGER_KEYS_FILE: '/db/keys' },
      ['LEDGER_KEYS_FILE'],
    ],
    [
      'where nobody filled in the files',
      { DATABASE_URL_FILE: '<file>', LEDGER_KEYS_FILE: '<file>' },
      ['DATABASE_URL_FILE', 'LEDGER_KEYS_FILE'],
    ],
  ])('is refused %s', (_, variables, faulty) => {
    expect(faultyWith(variables)).toEqual(faulty);
  });

  it('never gets into a fault with its password or its keys', () => {
    const error = errorOf({
      ...LEAST,
      DATABASE_URL: 'postgresql://bff:canary@db.example.com',
      LEDGER_KEYS: `a:canary,${LEDGER_KEYS}`,
    });
    expect(error.faults.map(({ variable }) => variable).sort()).toEqual(['DATABASE_URL', 'LEDGER_KEYS']);
    expect(inspect(error, { depth: 9, showHidden: true })).not.toMatch(
      new RegExp(`canary|${secret(1).toString('base64').slice(0, 40)}`),
    );
  });
});

describe('the files', () => {
  const file = (path: string): object => ({ kind: 'file', path });
  const DATABASE = { DATABASE_URL_FILE: '/db/url', LEDGER_KEYS_FILE: '/db/keys' };

  it.each<[string, Variables, object]>([
    [
      'of the least',
      LEAST,
      { credentialsDir: LEAST.NEXUDUS_CREDENTIALS_DIR, apiKeys: LEAST.AUTH_API_KEYS_FILE },
    ],
    ['of a database', DATABASE, { databaseUrl: file('/db/url'), ledgerKeys: file('/db/keys') }],
    [
      'beside variables that cannot be read',
      { ...LEAST, ...DATABASE, LOG_LEVEL: 'loud', AUTH_MODES: 'password', DATABASE_URL: 'x' },
      {
        credentialsDir: LEAST.NEXUDUS_CREDENTIALS_DIR,
        apiKeys: LEAST.AUTH_API_KEYS_FILE,
        databaseUrl: file('/db/url'),
        ledgerKeys: file('/db/keys'),
      },
    ],
    ['beside one that is missing', { DATABASE_URL_FILE: '/db/url' }, { databaseUrl: file('/db/url') }],
    ['that nobody filled in', { ...DATABASE, DATABASE_URL_FILE: '<file>' }, { ledgerKeys: file('/db/keys') }],
    ['that nobody needs', { AUTH_MODES: 'jwt', AUTH_API_KEYS_FILE: '/x', LEDGER_KEYS_FILE: '/db/keys' }, {}],
  ])('are known before a start: those %s', (_, variables, files) => {
    // Of those that are not there nothing is said.
    expect(JSON.parse(JSON.stringify(namedFiles(variables)))).toEqual(files);
  });
});

describe('with NODE_ENV=production', () => {
  const URLS = ['NEXUDUS_BASE_URL', 'AUTH_JWT_ISSUER', 'AUTH_JWKS_URI'];
  const each = (url: string): Variables => ({
    AUTH_JWT_AUDIENCE: 'nexudus-bff',
    ...Object.fromEntries(URLS.map((name) => [name, url])),
  });

  it.each([
    'https://id.example.com',
    'http://localhost:8080',
    'http://127.0.0.1:8080',
    'http://127.3.2.1',
    'http://[::1]:8080',
  ])('%s is good enough for an issuer and the base', (url) => {
    expect(load({ NODE_ENV: 'production', ...each(url) }).nexudus.baseUrl).toBe(url);
  });

  it.each([
    'http://id.example.com',
    'http://localhost.example.com',
    'http://127.0.0.1.example.com',
    'http://10.0.0.1',
    'http://[::2]',
  ])('%s is not', (url) => {
    expect(faultyWith({ NODE_ENV: 'production', ...each(url) })).toEqual([...URLS].sort());
  });

  it('and only then', () => {
    expect(load({ NODE_ENV: 'test', ...each('http://id.example.com') }).nexudus.baseUrl).toBe(
      'http://id.example.com',
    );
  });
});

describe('.env.example', () => {
  const lines = readFileSync(new URL('../../.env.example', import.meta.url), 'utf8')
    .split('\n')
    .map((line) => /^(# )?([A-Z][A-Z0-9_]*)=(.*)$/.exec(line))
    .filter((match) => match !== null)
    .map(([, comment, name = '', value = '']) => ({ name, value, active: comment === undefined }));

  it('names every variable that is read and can be set, once, and no other', () => {
    expect(lines.map(({ name }) => name).sort()).toEqual([...KNOWN].sort());
  });

  it('shows the defaults', () => {
    const shown = lines.filter(({ active, value }) => active && value !== '');
    expect(load(Object.fromEntries(shown.map(({ name, value }) => [name, value])))).toEqual(load());
  });
});
