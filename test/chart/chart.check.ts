import { describe, expect, it } from '@jest/globals';
import { parse } from 'yaml';
import { manifestFaults } from './manifest-faults.js';
import { CHART, fileAtRoot, helm, only, render, VALUE_SETS, valueSetFile, type ValueSet } from './render.js';

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
    const always = ['ConfigMap', 'Deployment', 'Pod', 'Service', 'Service', 'ServiceAccount'];
    expect(kinds('minimal')).toEqual(always);
    expect(kinds('several')).toEqual([...always, 'PodDisruptionBudget'].sort());
    expect(kinds('autoscaling')).toEqual(
      [...always, 'PodDisruptionBudget', 'HorizontalPodAutoscaler'].sort(),
    );
    expect(kinds('shared')).toEqual(
      [...always, 'HorizontalPodAutoscaler', 'Job', 'PodDisruptionBudget'].sort(),
    );
    expect(kinds('full')).toEqual(
      [
        ...always,
        'ConfigMap',
        'ExternalSecret',
        'ExternalSecret',
        'ExternalSecret',
        'Ingress',
        'Job',
        'NetworkPolicy',
        'NetworkPolicy',
        'PrometheusRule',
        'ServiceMonitor',
      ].sort(),
    );
  });

  it('keeps every name within the 63 characters that Kubernetes allows', () => {
    for (const { metadata } of render('full', { fullnameOverride: 'x'.repeat(70) })) {
      expect(metadata.name.length).toBeLessThanOrEqual(63);
    }
  });

  it('says in its notes where the API is, and how to find out whether it works', () => {
    const { output } = helm([
      'install',
      'bff',
      CHART,
      '--dry-run=client',
      '--namespace',
      'apps',
      '--values',
      valueSetFile('full'),
    ]);
    const notes = output.slice(output.indexOf('NOTES:'));
    expect(notes).toContain('https://bff.example.com/problems');
    expect(notes).toContain('helm -n apps test bff');
    expect(notes).not.toContain('WARNING');
  });
});

describe('the manifests', () => {
  it('are what the Kubernetes API knows, to the last property', () => {
    expect(manifestFaults(VALUE_SETS.flatMap((set) => render(set)))).toEqual([]);
  });

  it('would be found out if they were not', () => {
    const service = only(render('minimal'), 'ServiceAccount');
    const misspelt = { ...service, automountServiceAccountTokens: false };
    const mistyped = { ...service, automountServiceAccountToken: 'false' };
    const unheardOf = { ...service, kind: 'ServiceAcount' };
    expect(manifestFaults([misspelt, mistyped, unheardOf])).toEqual([
      expect.stringContaining('v1/ServiceAcount'),
      expect.stringContaining('Object literal may only specify known properties'),
      expect.stringContaining("Type 'string' is not assignable to type 'boolean"),
    ]);
  });
});
