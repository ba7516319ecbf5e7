import { build } from 'esbuild';

/** Looked for by packages that can do without. */
const NOT_INSTALLED = [
  '@nestjs/microservices',
  '@nestjs/websockets',
  '@nestjs/platform-express',
  '@fastify/static',
  '@fastify/view',
  '@fastify/multipart',
  'pino-pretty',
  'pg-native',
];

/**
 * Puts a replica and all that it loads into one file: replicas are started by the dozen, and most of a start is spent
 * on finding and reading a thousand modules.
 *
 * @returns the file, as deep in dist as the modules, which look for files beside it
 */
export async function bundleReplica(): Promise<string> {
  const outfile = `dist/drill/replica-${process.pid}.js`;
  await build({
    entryPoints: ['test/drill/replica.child.js'],
    outfile,
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    keepNames: true,
    logLevel: 'error',
    external: NOT_INSTALLED.flatMap((name) => [name, `${name}/*`]),
    banner: {
      js: "import{createRequire as __createRequire}from'node:module';const require=__createRequire(import.meta.url);",
    },
  });
  return outfile;
}
