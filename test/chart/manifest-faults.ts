import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import type { Manifest } from './render.js';

/** Where the type of each kind that the chart may render is found; a kind that is missing here is a fault. */
const TYPES: Readonly<Record<string, string>> = {
  'v1/ConfigMap': 'kubernetes-types/core/v1.js',
  'v1/Pod': 'kubernetes-types/core/v1.js',
  'v1/Service': 'kubernetes-types/core/v1.js',
  'v1/ServiceAccount': 'kubernetes-types/core/v1.js',
  'apps/v1/Deployment': 'kubernetes-types/apps/v1.js',
  'batch/v1/Job': 'kubernetes-types/batch/v1.js',
  'autoscaling/v2/HorizontalPodAutoscaler': 'kubernetes-types/autoscaling/v2.js',
  'networking.k8s.io/v1/Ingress': 'kubernetes-types/networking/v1.js',
  'networking.k8s.io/v1/NetworkPolicy': 'kubernetes-types/networking/v1.js',
  'policy/v1/PodDisruptionBudget': 'kubernetes-types/policy/v1.js',
  'monitoring.coreos.com/v1/ServiceMonitor': './custom-resources.js',
  'monitoring.coreos.com/v1/PrometheusRule': './custom-resources.js',
  'external-secrets.io/v1/ExternalSecret': './custom-resources.js',
};

const FILE = fileURLToPath(new URL('manifests.generated.ts', import.meta.url));

/**
 * What the Kubernetes API would not take: properties that it does not know, values of the wrong type, what is missing.
 * Each manifest is written down as a literal of its API type, and TypeScript says what is wrong with it: an offline
 * `kubectl apply --dry-run=server`, in as far as types can say it. Quantities and the like are texts to it.
 */
export function manifestFaults(manifests: readonly Manifest[]): string[] {
  const unknown = manifests.map(typeName).filter((name) => TYPES[name] === undefined);
  const source = manifests
    .filter((manifest) => TYPES[typeName(manifest)] !== undefined)
    .map((manifest, n) => {
      const { kind } = manifest;
      return (
        `import type { ${kind} as Type${n} } from '${TYPES[typeName(manifest)] ?? ''}';\n` +
        `export const manifest${n}: Type${n} = ${JSON.stringify(manifest, undefined, 1)};\n`
      );
    })
    .join('');
  return [...unknown.map((name) => `${name}: not a kind that the chart may render`), ...typeFaults(source)];
}

const typeName = ({ apiVersion, kind }: Manifest): string => `${apiVersion}/${kind}`;

function typeFaults(source: string): string[] {
  const options: ts.CompilerOptions = {
    strict: true,
    noEmit: true,
    skipLibCheck: true,
    target: ts.ScriptTarget.ES2023,
    lib: ['lib.es5.d.ts'],
    module: ts.ModuleKind.ESNext,
    moduleResolution: ts.ModuleResolutionKind.Bundler,
    types: [],
  };
  const disk = ts.createCompilerHost(options);
  const host: ts.CompilerHost = {
    ...disk,
    fileExists: (name) => name === FILE || disk.fileExists(name),
    getSourceFile: (name, language) =>
      name === FILE ? ts.createSourceFile(name, source, language, true) : disk.getSourceFile(name, language),
  };
  return ts.getPreEmitDiagnostics(ts.createProgram([FILE], options, host)).map(({ messageText, start }) => {
    const line = source.slice(0, start).split('\n').length;
    return `${source.split('\n')[line - 1]?.trim() ?? ''} -- ${ts.flattenDiagnosticMessageText(messageText, ' ')}`;
  });
}
