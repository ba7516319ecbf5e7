/**
 * Puts dist/main.js and all that it loads into a few files: most of a start is spent on finding, reading and linking
 * a thousand modules. The modules that tsc wrote stay beside it, for the sandbox and for the generator of
 * openapi.json.
 */
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

await build({
  entryPoints: ['dist/main.js'],
  outdir: 'dist',
  allowOverwrite: true,
  bundle: true,
  // What main loads only when it is needed stays a file of its own; as deep as the modules, which look for files
  // beside dist.
  splitting: true,
  chunkNames: 'bundle/[name]-[hash]',
  format: 'esm',
  platform: 'node',
  target: 'node20',
  // Less text to hold: 10 MB of memory. Names stay and lines are short, so that a stack in the log says where without
  // a source map, which would take 20 MB to have at hand.
  minifyWhitespace: true,
  minifySyntax: true,
  lineLimit: 120,
  sourcemap: false,
  external: NOT_INSTALLED.flatMap((name) => [name, `${name}/*`]),
  banner: {
    js: "import{createRequire as __createRequire}from'node:module';const require=__createRequire(import.meta.url);",
  },
});
