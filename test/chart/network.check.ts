import { describe, expect, it } from '@jest/globals';
import { only, podLabelsOf, render, type Values } from './render.js';

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

  it('lets Prometheus find the management Service and no other, under the name that the alerts expect', () => {
    const manifests = render('full');
    const { selector } = only(manifests, 'ServiceMonitor').spec as {
      selector: { matchLabels: Record<string, string> };
    };
    const found = manifests.filter(
      ({ kind, metadata }) =>
        kind === 'Service' &&
        Object.entries(selector.matchLabels).every(([key, value]) => metadata.labels[key] === value),
    );
    const [name, ...others] = found.map(({ metadata }) => metadata.name);
    expect([name, ...others]).toEqual(['bff-nexudus-bff-management']);
    // The operator's job label is the Service's name.
    expect(JSON.stringify(only(manifests, 'PrometheusRule'))).toContain(
      `up{namespace=\\"apps\\",job=\\"${name ?? ''}\\"}`,
    );
  });

  it('has the proxy in front wait longer and take more than the service does, at the least', () => {
    const annotations = (values: Values): unknown => only(render('full', values), 'Ingress').metadata;
    const annotated = (seconds: string, bytes: string): unknown => ({
      annotations: {
        'cert-manager.io/cluster-issuer': 'letsencrypt',
        'nginx.ingress.kubernetes.io/proxy-read-timeout': seconds,
        'nginx.ingress.kubernetes.io/proxy-send-timeout': seconds,
        'nginx.ingress.kubernetes.io/proxy-body-size': bytes,
      },
    });
    expect(annotations({})).toMatchObject(annotated('35', '524288') as object);
    const config = { requestDeadlineMs: 60_000, bodyLimitBytes: 4096 };
    expect(annotations({ config })).toMatchObject(annotated('70', '8192') as object);
    expect(annotations({ ingress: { nginx: false } })).toMatchObject({
      annotations: { 'cert-manager.io/cluster-issuer': 'letsencrypt' },
    });
    const stated = { 'nginx.ingress.kubernetes.io/proxy-body-size': '9m' };
    expect(annotations({ ingress: { annotations: stated } })).toMatchObject({ annotations: stated });
  });

  it('is closed by default, both ways, but for who is named', () => {
    const { spec } = only(render('full'), 'NetworkPolicy', 'bff');
    expect(spec['policyTypes']).toEqual(['Ingress', 'Egress']);
    const namespace = (name: string): object => ({
      namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': name } },
    });
    // Equal, not alike: to Kubernetes a rule without "from" is a rule for everybody.
    expect(spec['ingress']).toEqual([
      { from: [namespace('ingress-nginx')], ports: [{ protocol: 'TCP', port: 'http' }] },
      { from: [namespace('monitoring')], ports: [{ protocol: 'TCP', port: 'management' }] },
      {
        from: [
          {
            podSelector: {
              matchLabels: expect.objectContaining({ 'app.kubernetes.io/name': 'nexudus-bff-test' }),
            },
          },
        ],
        ports: [
          { protocol: 'TCP', port: 'http' },
          { protocol: 'TCP', port: 'management' },
        ],
      },
    ]);
    expect(spec['egress']).toEqual([
      {
        ports: [
          { protocol: 'UDP', port: 53 },
          { protocol: 'TCP', port: 53 },
        ],
      },
      {
        to: [{ ipBlock: { cidr: '0.0.0.0/0' } }, { ipBlock: { cidr: '::/0' } }],
        ports: [{ protocol: 'TCP', port: 443 }],
      },
      { to: [namespace('observability')], ports: [{ protocol: 'TCP', port: 4318 }] },
      { to: [{ ipBlock: { cidr: '10.0.0.5/32' } }], ports: [{ protocol: 'TCP', port: 6432 }] },
      { to: [namespace('login')], ports: [{ protocol: 'TCP', port: 8443 }] },
    ]);
  });

  it('lets whoever migrates reach the database, and nothing else', () => {
    const manifests = render('full');
    const { spec } = only(manifests, 'NetworkPolicy', 'migrate');
    expect(spec).toEqual({
      podSelector: { matchLabels: podLabelsOf(only(manifests, 'Job')) },
      policyTypes: ['Ingress', 'Egress'],
      egress: [
        {
          ports: [
            { protocol: 'UDP', port: 53 },
            { protocol: 'TCP', port: 53 },
          ],
        },
        { to: [{ ipBlock: { cidr: '10.0.0.5/32' } }], ports: [{ protocol: 'TCP', port: 6432 }] },
      ],
    });
  });

  it('opens the port of the collector’s URL, also where that is the default one', () => {
    const ports = (otelExporterOtlpEndpoint: string): unknown => {
      const { egress } = only(
        render('full', { config: { otelExporterOtlpEndpoint } }),
        'NetworkPolicy',
        'bff',
      ).spec as {
        egress: { to?: unknown; ports: unknown }[];
      };
      return egress.find(({ to }) => JSON.stringify(to ?? '').includes('observability'))?.ports;
    };
    expect(ports('https://collector.example.com/otlp')).toEqual([{ protocol: 'TCP', port: 443 }]);
    expect(ports('http://collector.observability')).toEqual([{ protocol: 'TCP', port: 80 }]);
    expect(ports('http://[::1]:4319/x')).toEqual([{ protocol: 'TCP', port: 4319 }]);
  });
});
