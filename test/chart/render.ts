import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseAllDocuments } from 'yaml';

export const CHART = fileURLToPath(new URL('../../helm/nexudus-bff', import.meta.url));

/** Values as a values file holds them; they win over those of the value set. */
export type Values = Record<string, unknown>;

export interface Container {
  readonly image: string;
  readonly envFrom: readonly [{ readonly configMapRef: { readonly name: string } }];
  readonly ports: readonly { readonly name: string; readonly containerPort: number }[];
  readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string }[];
  readonly [key: string]: unknown;
}

/** As much of a manifest's shape as the checks look at. */
export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly labels: Readonly<Record<string, string>> };
  readonly spec: Readonly<Record<string, unknown>>;
  readonly [key: string]: unknown;
}

export interface PodSpec {
  readonly containers: readonly [Container];
  readonly volumes: readonly unknown[];
  readonly terminationGracePeriodSeconds: number;
  readonly [key: string]: unknown;
}

export interface HelmRun {
  readonly ok: boolean;
  readonly output: string;
  readonly faults: string;
}

/** Runs helm with `values` as its last values file. */
export function helm(args: readonly string[], values: Values = {}): HelmRun {
  const run = spawnSync(process.env['HELM'] ?? 'helm', [...args, '--values', '-'], {
    encoding: 'utf8',
    input: JSON.stringify(values),
  });
  if (run.error) throw new Error('helm cannot be started: set HELM=$(scripts/helm)', { cause: run.error });
  return { ok: run.status === 0, output: run.stdout, faults: run.stderr };
}

/**
 * The value sets that come with the chart: `minimal` is the least that works, `full` sets everything that one replica
 * can have, the others have more than one: `shared` with a database, the rest without.
 */
export const VALUE_SETS = ['minimal', 'full', 'several', 'autoscaling', 'shared'] as const;
export type ValueSet = (typeof VALUE_SETS)[number];

export const valueSetFile = (set: ValueSet): string => `${CHART}/ci/${set}-values.yaml`;

/** `helm template` of one of the chart's value sets, changed by `values`. */
export function template(set: ValueSet, values: Values = {}, ...options: readonly string[]): HelmRun {
  return helm(
    ['template', 'bff', CHART, '--namespace', 'apps', '--values', valueSetFile(set), ...options],
    values,
  );
}

export function render(set: ValueSet, values: Values = {}, ...options: readonly string[]): Manifest[] {
  const run = template(set, values, ...options);
  if (!run.ok) throw new Error(run.faults);
  // YAML 1.1, as Kubernetes reads it: there 0440 is octal.
  return parseAllDocuments(run.output, { version: '1.1' }).map((document) => document.toJS() as Manifest);
}

/** The one of its kind; where there are more, `nameEnd` says which. */
export function only(manifests: readonly Manifest[], kind: string, nameEnd = ''): Manifest {
  const [found, another] = manifests.filter(
    (manifest) => manifest.kind === kind && manifest.metadata.name.endsWith(nameEnd),
  );
  if (!found || another) throw new Error(`not exactly one ${kind}`);
  return found;
}

export function podOf(manifests: readonly Manifest[], kind: 'Deployment' | 'Job' = 'Deployment'): PodSpec {
  const { spec } = only(manifests, kind) as unknown as {
    spec: { template: { spec: PodSpec } };
  };
  return spec.template.spec;
}

/** What the pods of a Deployment or a Job are labelled with. */
export function podLabelsOf({ spec }: Manifest): Readonly<Record<string, string>> {
  return (spec as unknown as { template: Manifest }).template.metadata.labels;
}

/** What the container reads from its environment: all of it comes from the one ConfigMap that it names. */
export function environmentOf(manifests: readonly Manifest[]): Record<string, string> {
  const [{ configMapRef }] = podOf(manifests).containers[0].envFrom;
  const configMap = manifests.find(
    ({ kind, metadata }) => kind === 'ConfigMap' && metadata.name === configMapRef.name,
  );
  if (!configMap) throw new Error(`the ConfigMap ${configMapRef.name} is not rendered`);
  return configMap['data'] as Record<string, string>;
}

export const fileAtRoot = (name: string): string =>
  readFileSync(fileURLToPath(new URL(`../../${name}`, import.meta.url)), 'utf8');
