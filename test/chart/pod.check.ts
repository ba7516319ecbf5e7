import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, it } from '@jest/globals';
import {
  environmentOf,
  only,
  podLabelsOf,
  podOf,
  render,
  VALUE_SETS,
  type Container,
  type PodSpec,
  type Values,
  type ValueSet,
} from './render.js';

const RESTRICTED = {
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
  capabilities: { drop: ['ALL'] },
};

describe('the pod', () => {
  it.each(VALUE_SETS)('meets the restricted Pod Security standard with the %s values', (set) => {
    const pod = podOf(render(set));
    expect(pod).toMatchObject({
      automountServiceAccountToken: false,
      securityContext: { runAsNonRoot: true, runAsUser: 1000, seccompProfile: { type: 'RuntimeDefault' } },
    });
    expect(pod.containers).toHaveLength(1);
    expect(pod.containers[0]['securityContext']).toEqual({ ...RESTRICTED, privileged: false });
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
      { name: 'database', mountPath: '/etc/nexudus-bff/database', readOnly: true },
    ]);
    expect(pod.volumes).toEqual([
      { name: 'credentials', secret: { secretName: 'nexudus-account', defaultMode: 0o440 } },
      { name: 'api-keys', secret: { secretName: 'bff-api-keys', defaultMode: 0o440 } },
      { name: 'database', secret: { secretName: 'bff-database', defaultMode: 0o440 } },
    ]);
    // What lets user 1000 read a file of root's with that mode.
    expect(pod).toMatchObject({ securityContext: { fsGroup: 1000 } });
  });

  it('is told where the mounted files are', () => {
    const manifests = render('full');
    const environment = environmentOf(manifests);
    const [credentials, apiKeys, database] = podOf(manifests).containers[0].volumeMounts;
    expect(environment['NEXUDUS_CREDENTIALS_DIR']).toBe(credentials?.mountPath);
    expect(environment['AUTH_API_KEYS_FILE']).toBe(`${apiKeys?.mountPath ?? ''}/keys.json`);
    expect(environment).toMatchObject({
      DATABASE_URL_FILE: `${database?.mountPath ?? ''}/uri`,
      LEDGER_KEYS_FILE: `${database?.mountPath ?? ''}/ledger-keys`,
      DATABASE_BACKEND: 'citus',
    });
  });

  it('mounts what the External Secrets Operator is asked to write, under the same names', () => {
    const manifests = render('full');
    const secrets = manifests.filter(({ kind }) => kind === 'ExternalSecret').map(({ spec }) => spec);
    expect(secrets).toMatchObject([
      { target: { name: 'nexudus-account' }, dataFrom: [{ extract: { key: 'nexudus/account' } }] },
      {
        target: { name: 'bff-api-keys' },
        data: [{ secretKey: 'keys.json', remoteRef: { key: 'nexudus-bff/api-keys' } }],
      },
      { target: { name: 'bff-database' }, dataFrom: [{ extract: { key: 'nexudus-bff/database' } }] },
    ]);
  });

  it('is probed on the management port only', () => {
    const manifests = render('minimal');
    const [container] = podOf(manifests).containers;
    expect(container.ports).toEqual([
      { name: 'http', containerPort: 3000 },
      { name: 'management', containerPort: 9464 },
    ]);
    expect(container).toMatchObject({
      startupProbe: { httpGet: { path: '/health/live', port: 'management' } },
      livenessProbe: { httpGet: { path: '/health/live', port: 'management' } },
      readinessProbe: { httpGet: { path: '/health/ready', port: 'management' } },
    });
    expect(environmentOf(manifests)).toMatchObject({ PORT: '3000', MANAGEMENT_PORT: '9464' });
  });

  it('serves on while the proxies take it out of their endpoints, without a shell to sleep in', () => {
    const lifecycle = (values: object): unknown =>
      podOf(render('minimal', { ...values })).containers[0]['lifecycle'];
    expect(lifecycle({})).toEqual({ preStop: { sleep: { seconds: 5 } } });
    expect(lifecycle({ preStopSleepSeconds: 0 })).toBeUndefined();
  });

  it.each([
    [undefined, 5, 40],
    [25_000, 5, 40],
    [40_500, 5, 56],
    [120_000, 0, 130],
    [0, 5, 15],
  ])(
    'is given longer to stop than it takes (SHUTDOWN_TIMEOUT_MS %p, sleep %d s: %d s)',
    (shutdownTimeoutMs, preStopSleepSeconds, seconds) => {
      const config = shutdownTimeoutMs === undefined ? {} : { shutdownTimeoutMs };
      const manifests = render('minimal', { config, preStopSleepSeconds });
      expect(podOf(manifests).terminationGracePeriodSeconds).toBe(seconds);
    },
  );

  it('has a memory limit and no CPU limit, which would stop the event loop', () => {
    expect(podOf(render('minimal')).containers[0]['resources']).toEqual({
      requests: { cpu: '100m', memory: '192Mi' },
      limits: { memory: '512Mi' },
    });
  });

  it('takes the image of the chart’s version, unless a tag or a digest is named', () => {
    const image = (values: object): string => podOf(render('minimal', { image: values })).containers[0].image;
    const digest = `sha256:${'0'.repeat(64)}`;
    expect(image({})).toMatch(/^nexudus-bff:\d+\.\d+\.\d+$/);
    expect(image({ tag: '9.9.9' })).toBe('nexudus-bff:9.9.9');
    expect(image({ tag: '9.9.9', digest })).toBe(`nexudus-bff@${digest}`);
  });
});

describe('the Job that migrates', () => {
  const manifests = render('full');
  const job = only(manifests, 'Job');
  const pod = podOf(manifests, 'Job');

  it('is as restricted as the service, and is not taken for a part of it', () => {
    const service = podOf(manifests);
    expect(pod['securityContext']).toEqual(service['securityContext']);
    expect(pod.containers[0]['securityContext']).toEqual(service.containers[0]['securityContext']);
    expect(pod['automountServiceAccountToken']).toBe(false);
    const [api] = manifests.filter(({ kind }) => kind === 'Service');
    expect(podLabelsOf(job)).not.toMatchObject(api?.spec['selector'] as object);
    expect(podLabelsOf(only(manifests, 'Deployment'))).toMatchObject(api?.spec['selector'] as object);
  });

  it('runs the image of the service with its environment, and of its Secrets with the database’s alone', () => {
    const [container] = pod.containers;
    expect(container.image).toBe(podOf(manifests).containers[0].image);
    expect(container['args']).toEqual(['migrate']);
    const variables = container['env'] as { name: string; value: string }[];
    expect(Object.fromEntries(variables.map(({ name, value }) => [name, value]))).toEqual(
      environmentOf(manifests),
    );
    expect(container.volumeMounts).toEqual([
      { name: 'database', mountPath: '/etc/nexudus-bff/database', readOnly: true },
    ]);
  });

  it('takes the Secret of the service, unless it has one of its own', () => {
    const volumes = (migrationJob: object): unknown =>
      podOf(render('shared', { database: { migrationJob } }), 'Job').volumes;
    const named = (secretName: string): unknown => [
      { name: 'database', secret: { secretName, defaultMode: 0o440 } },
    ];
    expect(volumes({})).toEqual(named('bff-database'));
    expect(volumes({ existingSecret: 'owner' })).toEqual(named('owner'));
  });

  it('needs nothing that Helm makes after its hooks', () => {
    expect(pod).not.toHaveProperty('serviceAccountName');
    expect(JSON.stringify(pod)).not.toMatch(/configMap/i);
  });

  it('runs before the roll, and before an install unless its Secret comes with it', () => {
    const hook = (values: Values): unknown =>
      (only(render('shared', values), 'Job').metadata as unknown as { annotations: unknown }).annotations;
    expect(hook({})).toMatchObject({ 'helm.sh/hook': 'pre-install,pre-upgrade' });
    const externalSecrets = {
      enabled: true,
      store: { name: 'vault' },
      credentialsEntry: 'a',
      apiKeysEntry: 'b',
      databaseEntry: 'c',
    };
    expect(hook({ externalSecrets })).toMatchObject({ 'helm.sh/hook': 'pre-upgrade' });
  });

  it('ends by itself, and is cleared away', () => {
    expect(job.spec).toMatchObject({
      backoffLimit: 3,
      activeDeadlineSeconds: 900,
      ttlSecondsAfterFinished: 86_400,
      template: { spec: { restartPolicy: 'Never' } },
    });
  });

  it('is there with a database alone, and can be left out', () => {
    const kinds = (set: ValueSet, values: Values = {}): string[] =>
      render(set, values).map(({ kind }) => kind);
    expect(kinds('several')).not.toContain('Job');
    expect(kinds('shared', { database: { migrationJob: { enabled: false } } })).not.toContain('Job');
    expect(kinds('shared')).toContain('Job');
  });
});

describe('the pod of helm test', () => {
  const manifests = render('full');
  const { spec, metadata } = only(manifests, 'Pod');
  const pod = spec as unknown as PodSpec & { containers: readonly [Container & { command: string[] }] };

  it('is as restricted as the service, and is not taken for a part of it', () => {
    expect(pod).toMatchObject({
      automountServiceAccountToken: false,
      securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
    });
    expect(pod.containers[0]['securityContext']).toEqual(RESTRICTED);
    expect(pod.containers[0].image).toBe(podOf(manifests).containers[0].image);
    const [service] = manifests.filter(({ kind }) => kind === 'Service');
    expect(metadata.labels).not.toMatchObject(service?.spec['selector'] as object);
  });

  it.each([
    [200, 0],
    [503, 1],
  ])('asks the service, and ends accordingly (%d: exit code %d)', async (status, exitCode) => {
    const { command } = pod.containers[0];
    const asked: string[] = [];
    const server = createServer(({ url = '' }, response) => {
      asked.push(url);
      response.writeHead(status).end();
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const here = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const [, ...given] = command.map((argument) => argument.replace(/^http:\/\/[^/]+/, here));
    const child = spawn(process.execPath, given, { stdio: 'ignore' });
    expect(await once(child, 'exit')).toEqual([exitCode, null]);
    expect(asked).toEqual(['/health/ready', '/problems']);
    server.close();
  });

  it('calls Services that are there', () => {
    const hosts = pod.containers[0].command.slice(-2).map((url) => new URL(url).hostname);
    const services = manifests
      .filter(({ kind }) => kind === 'Service')
      .map((service) => service.metadata.name);
    expect(hosts.sort()).toEqual(services.sort());
  });
});
