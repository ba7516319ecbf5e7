import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from '@jest/globals';
import { parse } from 'yaml';
import {
  CHART,
  environmentOf,
  helm,
  only,
  podOf,
  render,
  template,
  type ValueSet,
  valueSetFile,
} from './render.js';

const VALUE_SETS: readonly ValueSet[] = ['minimal', 'full'];
const fileAtRoot = (name: string): string =>
  readFileSync(fileURLToPath(new URL(`../../${name}`, import.meta.url)), 'utf8');

/** Every variable that the service knows: `.env.example` names them all, those with a default commented out. */
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
];

/** Refused at start in this version: deliveries on a database. */
const isOfDeliveries = (name: string): boolean =>
  /^(DATABASE|LEDGER|DELIVERY)_|^NEXUDUS_TAG_SYSTEM_ID$/.test(name);

describe('the chart', () => {
  it.each(VALUE_SETS)('passes the strict linter with the %s values', (set) => {
    const run = helm(['lint', '--strict', CHART, '--values', valueSetFile(set)]);
    expect(run).toMatchObject({ ok: true });
  });

  it('carries the version of the service', () => {
    const chart = parse(fileAtRoot('helm/nexudus-bff/Chart.yaml')) as { appVersion: string };
    const service = JSON.parse(fileAtRoot('package.json')) as { version: string };
    expect(chart.appVersion).toBe(service.version);
  });

  it('renders only what was asked for', () => {
    const kinds = (set: ValueSet): string[] =>
      render(set)
        .map(({ kind }) => kind)
        .sort();
    expect(kinds('minimal')).toEqual(['Deployment', 'Service', 'Service', 'ServiceAccount']);
    expect(kinds('full')).toEqual([
      'Deployment',
      'Ingress',
      'NetworkPolicy',
      'Service',
      'Service',
      'ServiceAccount',
      'ServiceMonitor',
    ]);
  });

  it('keeps every name within the 63 characters that Kubernetes allows', () => {
    for (const { metadata } of render('full', { fullnameOverride: 'x'.repeat(70) })) {
      expect(metadata.name.length).toBeLessThanOrEqual(63);
    }
  });
});

describe('the pod', () => {
  it.each(VALUE_SETS)('meets the restricted Pod Security standard with the %s values', (set) => {
    const pod = podOf(render(set));
    expect(pod).toMatchObject({
      automountServiceAccountToken: false,
      securityContext: { runAsNonRoot: true, runAsUser: 1000, seccompProfile: { type: 'RuntimeDefault' } },
    });
    expect(pod.containers).toHaveLength(1);
    expect(pod.containers[0]['securityContext']).toEqual({
      allowPrivilegeEscalation: false,
      privileged: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    });
    for (const key of ['hostNetwork', 'hostPID', 'hostIPC']) expect(pod).not.toHaveProperty(key);
  });

  it('has no token for the Kubernetes API, from its account either', () => {
    expect(only(render('minimal'), 'ServiceAccount')).toMatchObject({ automountServiceAccountToken: false });
  });

  it('mounts whole directories, read-only, so that a changed Secret arrives', () => {
    const pod = podOf(render('full'));
    // Equal, not alike: a subPath would be one property more.
    expect(pod.containers[0].volumeMounts).toEqual([
      { name: 'credentials', mountPath: '/etc/nexudus-bff/credentials', readOnly: true },
      { name: 'api-keys', mountPath: '/etc/nexudus-bff/api-keys', readOnly: true },
    ]);
    expect(pod.volumes).toEqual([
      { name: 'credentials', secret: { secretName: 'nexudus-account', defaultMode: 0o440 } },
      { name: 'api-keys', secret: { secretName: 'bff-api-keys', defaultMode: 0o440 } },
    ]);
    // What lets user 1000 read a file of root's with that mode.
    expect(pod).toMatchObject({ securityContext: { fsGroup: 1000 } });
  });

  it('is told where the mounted files are', () => {
    const manifests = render('full');
    const environment = environmentOf(manifests);
    const [credentials, apiKeys] = podOf(manifests).containers[0].volumeMounts;
    expect(environment['NEXUDUS_CREDENTIALS_DIR']).toBe(credentials?.mountPath);
    expect(environment['AUTH_API_KEYS_FILE']).toBe(`${apiKeys?.mountPath ?? ''}/keys.json`);
  });

  it('is probed on the management port only', () => {
    const [container] = podOf(render('minimal')).containers;
    expect(container.ports).toEqual([
      { name: 'http', containerPort: 3000 },
      { name: 'management', containerPort: 9464 },
    ]);
    expect(container).toMatchObject({
      startupProbe: { httpGet: { path: '/health/live', port: 'management' } },
      livenessProbe: { httpGet: { path: '/health/live', port: 'management' } },
      readinessProbe: { httpGet: { path: '/health/ready', port: 'management' } },
    });
    expect(environmentOf(render('minimal'))).toMatchObject({ PORT: '3000', MANAGEMENT_PORT: '9464' });
  });

  it.each([
    [undefined, 35],
    [25_000, 35],
    [40_500, 51],
    [120_000, 130],
  ])(
    'is given longer to stop than the service takes (SHUTDOWN_TIMEOUT_MS %p: %d s)',
    (shutdownTimeoutMs, seconds) => {
      const manifests = render('minimal', {
        config: shutdownTimeoutMs === undefined ? {} : { shutdownTimeoutMs },
      });
      expect(podOf(manifests).terminationGracePeriodSeconds).toBe(seconds);
    },
  );

  it('has a memory limit and no CPU limit, which would stop the event loop', () => {
    expect(podOf(render('minimal')).containers[0]['resources']).toEqual({
      requests: { cpu: '100m', memory: '192Mi' },
      limits: { memory: '512Mi' },
    });
  });

  it('is replaced without a gap, or without an overlap where that is asked for', () => {
    expect(only(render('minimal'), 'Deployment').spec).toMatchObject({
      replicas: 1,
      strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } },
    });
    expect(only(render('full'), 'Deployment').spec['strategy']).toEqual({ type: 'Recreate' });
  });

  it('takes the image of the chart’s version, unless a tag or a digest is named', () => {
    const image = (values: object): string => podOf(render('minimal', { image: values })).containers[0].image;
    const digest = `sha256:${'0'.repeat(64)}`;
    expect(image({})).toMatch(/^nexudus-bff:\d+\.\d+\.\d+$/);
    expect(image({ tag: '9.9.9' })).toBe('nexudus-bff:9.9.9');
    expect(image({ tag: '9.9.9', digest })).toBe(`nexudus-bff@${digest}`);
  });
});

describe('the environment', () => {
  it('names only variables that the service knows', () => {
    expect(knownVariables).toContain('NEXUDUS_BASE_URL');
    for (const name of Object.keys(environmentOf(render('full')))) expect(knownVariables).toContain(name);
  });

  it('can name every variable that is not a secret', () => {
    const settable = knownVariables.filter((name) => !NOT_A_VALUE.includes(name) && !isOfDeliveries(name));
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
      expect(JSON.stringify(manifests)).not.toMatch(/secretKeyRef|envFrom|PASSWORD|TOTP/);
    }
  });
});

describe('the network', () => {
  it('keeps the management port out of the API’s Service and of the Ingress', () => {
    const manifests = render('full');
    const [api, management] = manifests.filter(({ kind }) => kind === 'Service');
    expect(api?.spec['ports']).toEqual([{ name: 'http', port: 80, targetPort: 'http' }]);
    expect(management?.spec).toMatchObject({
      clusterIP: 'None',
      ports: [{ port: 9464, targetPort: 'management' }],
    });
    const ingress = JSON.stringify(only(manifests, 'Ingress'));
    expect(ingress).toContain(`"name":"${api?.metadata.name ?? ''}","port":{"name":"http"}`);
    expect(ingress).not.toMatch(/management|9464/);
  });

  it('lets Prometheus find the management Service and no other', () => {
    const manifests = render('full');
    const { selector } = only(manifests, 'ServiceMonitor').spec as {
      selector: { matchLabels: Record<string, string> };
    };
    const found = manifests.filter(
      ({ kind, metadata }) =>
        kind === 'Service' &&
        Object.entries(selector.matchLabels).every(([key, value]) => metadata.labels[key] === value),
    );
    expect(found.map(({ metadata }) => metadata.name)).toEqual(['bff-nexudus-bff-management']);
  });

  it('denies by default, both ways, and states who may pass', () => {
    const { spec } = only(render('full'), 'NetworkPolicy');
    expect(spec['policyTypes']).toEqual(['Ingress', 'Egress']);
    const { ingress, egress } = spec as Record<
      'ingress' | 'egress',
      { from?: unknown; to?: unknown; ports?: unknown }[]
    >;
    expect(ingress.map(({ ports }) => ports)).toEqual([
      [{ protocol: 'TCP', port: 'http' }],
      [{ protocol: 'TCP', port: 'management' }],
    ]);
    // To Kubernetes a rule without "from" is a rule for everybody.
    for (const { from } of ingress) expect(from).toEqual([expect.anything()]);
    expect(egress).toHaveLength(3);
  });

  it('opens the management port to nobody unless they are named', () => {
    const manifests = render('full', { networkPolicy: { managementFrom: [] } });
    expect(JSON.stringify(only(manifests, 'NetworkPolicy'))).not.toContain('management');
  });
});

describe('a disruption budget', () => {
  it('is left out for one replica, whose node could not be drained', () => {
    expect(render('minimal').map(({ kind }) => kind)).not.toContain('PodDisruptionBudget');
  });

  it('is there for more, once the schema lets them in', () => {
    const manifests = render('minimal', { replicaCount: 2 }, '--skip-schema-validation');
    expect(only(manifests, 'PodDisruptionBudget').spec['maxUnavailable']).toBe(1);
  });
});

describe('what is refused', () => {
  it.each([
    ['a second replica, as the quota is in memory', { replicaCount: 2 }, 'replicaCount'],
    ['a misspelt value', { replicas: 1 }, 'replicas'],
    ['a misspelt variable', { config: { loglevel: 'info' } }, 'loglevel'],
    ['a secret among the variables', { config: { nexudusPassword: 'x' } }, 'nexudusPassword'],
    ['a number that is a text', { config: { bodyLimitBytes: '1' } }, 'bodyLimitBytes'],
    ['a wildcard origin', { config: { corsOrigins: ['*'] } }, 'corsOrigins'],
    ['a base URL without TLS', { config: { nexudusBaseUrl: 'http://nexudus.example' } }, 'nexudusBaseUrl'],
    ['a strategy that Kubernetes does not have', { updateStrategy: 'BlueGreen' }, 'updateStrategy'],
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
  ])('%s', (_, values, fault) => {
    const run = template('minimal', values);
    expect(run.ok).toBe(false);
    expect(run.faults).toContain(fault);
  });
});
