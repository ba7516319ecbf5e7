import { describe, expect, it } from '@jest/globals';
import { ConfigError, loadConfig } from '../../src/config/load-config.js';
import { environmentOf, fileAtRoot, only, render, template, VALUE_SETS, type Values } from './render.js';

/** Every variable that the service knows: `.env.example` names them all, those without a default commented out. */
const knownVariables = [...fileAtRoot('.env.example').matchAll(/^#?\s*([A-Z][A-Z0-9_]*)=/gm)].map(
  (match) => match[1] ?? '',
);

/** Secrets have no place in a manifest, and the listeners are the chart's own affair. */
const NOT_A_VALUE = [
  'NODE_ENV',
  'HOST',
  'NEXUDUS_USERNAME',
  'NEXUDUS_PASSWORD',
  'NEXUDUS_TOTP_SECRET',
  'NEXUDUS_CLIENT_ID',
  'DATABASE_URL',
  'LEDGER_KEYS',
];

describe('the environment', () => {
  it('names only variables that the service knows', () => {
    expect(knownVariables).toContain('NEXUDUS_BASE_URL');
    for (const name of Object.keys(environmentOf(render('full')))) expect(knownVariables).toContain(name);
  });

  it('can name every variable that is not a secret', () => {
    const settable = knownVariables.filter((name) => !NOT_A_VALUE.includes(name));
    expect(Object.keys(environmentOf(render('full'))).sort()).toEqual(settable.sort());
  });

  it('leaves the service’s own defaults alone', () => {
    expect(Object.keys(environmentOf(render('minimal')))).toEqual([
      'PORT',
      'MANAGEMENT_PORT',
      'NEXUDUS_CREDENTIALS_DIR',
      'AUTH_MODES',
      'AUTH_API_KEYS_FILE',
    ]);
  });

  it('writes numbers as digits and lists with commas', () => {
    expect(environmentOf(render('full'))).toMatchObject({
      UPSTREAM_RESPONSE_LIMIT_BYTES: '1048576',
      IDEMPOTENCY_TTL_S: '86400',
      CORS_ORIGINS: 'https://app.example.com,https://desk.example.com',
      NEXUDUS_CALL_LIMITS: 'off',
    });
  });

  it.each([
    [
      'jwt',
      { jwt: { issuer: 'https://login.example.com', audience: 'bff' }, apiKeys: { existingSecret: '' } },
    ],
    ['api-key', {}],
    ['jwt,api-key', { jwt: { issuer: 'https://login.example.com', audience: 'bff' } }],
  ])('switches on %s by what is filled in', (modes, auth) => {
    expect(environmentOf(render('minimal', { auth }))['AUTH_MODES']).toBe(modes);
  });

  it('takes no value from a Secret, so that none is in a manifest or in the process’s environment', () => {
    for (const set of VALUE_SETS) {
      const manifests = render(set);
      expect(manifests.map(({ kind }) => kind)).not.toContain('Secret');
      expect(JSON.stringify(manifests)).not.toMatch(/secretKeyRef|secretRef|PASSWORD|TOTP|postgres(ql)?:/);
    }
  });

  it('is read at start, so a change of it replaces the pod, and nothing else does', () => {
    const annotations = (values: Values): unknown => {
      const { template } = only(render('minimal', values), 'Deployment').spec as {
        template: { metadata: { annotations: unknown } };
      };
      return template.metadata.annotations;
    };
    expect(annotations({ config: { logLevel: 'debug' } })).not.toEqual(annotations({}));
    expect(annotations({ service: { port: 8080 } })).toEqual(annotations({}));
  });
});

/** What the service finds wrong with its environment, in the image. */
function faultsOf(environment: Record<string, string>): string[] {
  try {
    loadConfig({ NODE_ENV: 'production', ...environment }, 'pod');
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return error.faults.map(({ variable }) => variable);
    throw error;
  }
}

describe('the service', () => {
  it.each(VALUE_SETS)('starts with the %s values', (set) => {
    expect(faultsOf(environmentOf(render(set)))).toEqual([]);
  });

  const bounds = (least: number, most: number): number[] => [least - 1, least, most, most + 1];
  const HOUR_MS = 3_600_000;

  it.each<[string, readonly (string | number | boolean | readonly string[])[]]>([
    ['nexudusConnectTimeoutMs', bounds(1, HOUR_MS)],
    ['nexudusAttemptTimeoutMs', bounds(1, HOUR_MS)],
    ['requestDeadlineMs', bounds(1, HOUR_MS)],
    ['shutdownTimeoutMs', bounds(0, HOUR_MS)],
    ['nexudusDailyReservePercent', bounds(0, 90)],
    ['callerWaitingLimit', bounds(1, 1_000_000)],
    ['bodyLimitBytes', bounds(1, 2 ** 30)],
    ['upstreamResponseLimitBytes', bounds(1, 2 ** 30)],
    ['chatMessageMaxLength', bounds(1, 2 ** 28)],
    ['idempotencyTtlS', bounds(1, 365 * 86_400)],
    ['deliveryTtlS', bounds(1, 365 * 86_400)],
    ['deliveryContentRetentionS', bounds(0, 365 * 86_400)],
    ['deliveryUnknownHoldS', bounds(0, 86_400)],
    ['deliveryBacklogLimit', bounds(1, 100_000_000)],
    ['deliveryBacklogLimitPerCaller', bounds(1, 100_000_000)],
    ['nexudusTagSystemId', [true, false, 'yes']],
    ['nexudusWriteLimits', ['off', '1/1s', '999999999/1d', '1000000000/1d', '60/1min', '60/1m,']],
    ['nexudusBaseUrl', ['https://a.example/x', 'https://a:b@a.example', 'https://a.example?b', 'https://']],
    ['otelExporterOtlpEndpoint', ['http://a:4318', 'http://a:b@c:4318', 'http://a:4318/#b']],
    ['problemTypeBaseUrl', ['/', '/a/b/', 'https://a.example/', '//a/', '/a', 'a/', 'https://a.example']],
    [
      'corsOrigins',
      [[], ['http://a.example:81', 'https://b.example'], ['https://A.example'], ['https://a/']],
    ],
  ])('takes of config.%s what the chart takes, and nothing else: %j', (name, values) => {
    const variable = name.replace(/[A-Z]/g, (capital) => `_${capital}`).toUpperCase();
    const environment = environmentOf(render('minimal'));
    const taken = values.filter((value) => template('minimal', { config: { [name]: value } }).ok);
    expect(taken).toEqual(
      values.filter((value) => faultsOf({ ...environment, [variable]: String(value) }).length === 0),
    );
    expect(taken.length).toBeGreaterThan(0);
    expect(taken.length).toBeLessThan(values.length);
  });
});

describe('what is refused', () => {
  it('is whatever the schema does not name, at every depth', () => {
    const open: string[] = [];
    const walk = (schema: unknown, path: string): void => {
      if (typeof schema !== 'object' || schema === null) return;
      if (
        'properties' in schema &&
        (schema as { additionalProperties?: unknown }).additionalProperties !== false
      )
        open.push(path);
      for (const [key, part] of Object.entries(schema)) walk(part, `${path}/${key}`);
    };
    walk(JSON.parse(fileAtRoot('helm/nexudus-bff/values.schema.json')), '#');
    expect(open).toEqual([]);
  });

  it.each<[string, Values, string]>([
    ['a misspelt value', { replicas: 1 }, 'replicas'],
    ['a misspelt variable', { config: { loglevel: 'info' } }, 'loglevel'],
    ['a secret among the variables', { config: { nexudusPassword: 'x' } }, 'nexudusPassword'],
    ['a number that is a text', { config: { bodyLimitBytes: '1' } }, 'bodyLimitBytes'],
    ['a wildcard origin', { config: { corsOrigins: ['*'] } }, 'corsOrigins'],
    ['a base URL without TLS', { config: { nexudusBaseUrl: 'http://nexudus.example' } }, 'nexudusBaseUrl'],
    ['a strategy that Kubernetes does not have', { updateStrategy: 'BlueGreen' }, 'updateStrategy'],
    ['a backend that nobody knows', { database: { backend: 'mysql' } }, 'backend'],
    [
      'a URL where a name of a Secret belongs',
      { database: { existingSecret: 'postgresql://x/y' } },
      'existingSecret',
    ],
    ['a key of the database that would be a path', { database: { urlKey: '../url' } }, 'urlKey'],
    ['a key that would be a path', { auth: { apiKeys: { key: '../keys.json' } } }, 'apiKeys'],
    ['no credentials', { credentials: { existingSecret: '' } }, 'credentials.existingSecret'],
    ['nobody who may call', { auth: { apiKeys: { existingSecret: '' } } }, 'auth: say who may call'],
    [
      'an issuer without an audience',
      { auth: { jwt: { issuer: 'https://a.example' } } },
      'auth.jwt.audience',
    ],
    ['an audience without an issuer', { auth: { jwt: { audience: 'bff' } } }, 'auth.jwt.issuer'],
    ['a network policy that lets nobody in', { networkPolicy: { enabled: true } }, 'networkPolicy.apiFrom'],
    ['an Ingress for every host name', { ingress: { enabled: true } }, 'ingress.hosts'],
    ['external secrets from nowhere', { externalSecrets: { enabled: true } }, 'externalSecrets.store.name'],
    ['a target that nothing can miss', { prometheusRule: { availabilityTarget: 100 } }, 'availabilityTarget'],
    ['a second replica, unless its price is accepted', { replicaCount: 2 }, 'acceptSeparateMemory'],
    ['autoscaling, unless its price is accepted', { autoscaling: { enabled: true } }, 'acceptSeparateMemory'],
    [
      'a limit of which nothing is left for one replica',
      { replicaCount: 3, acceptSeparateMemory: true, config: { nexudusWriteLimits: '2/1s' } },
      'config.nexudusWriteLimits: 2/1s cannot be divided among 3 replicas',
    ],
  ])('%s', (_, values, fault) => {
    const run = template('minimal', values);
    expect(run.ok).toBe(false);
    expect(run.faults).toContain(fault);
  });

  it.each<[string, Values, string]>([
    ['a database behind a closed port', { networkPolicy: { databaseTo: [] } }, 'networkPolicy.databaseTo'],
    [
      'a database whose Secret nobody writes',
      { externalSecrets: { databaseEntry: '' } },
      'externalSecrets.databaseEntry',
    ],
    ['a collector behind a closed port', { networkPolicy: { otlpTo: [] } }, 'networkPolicy.otlpTo'],
    ['a Prometheus before a closed port', { networkPolicy: { managementFrom: [] } }, 'managementFrom'],
  ])('%s', (_, values, fault) => {
    const run = template('full', values);
    expect(run.ok).toBe(false);
    expect(run.faults).toContain(fault);
  });
});
