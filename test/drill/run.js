/** `npm run drill -- --seeds 300`: the kill drill, as long as wanted. Takes the service from dist. */
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build } from 'esbuild';

// Below node_modules, where packages are found from.
const directory = mkdtempSync('node_modules/.drill-');
const outfile = join(directory, 'drill.mjs');
process.once('exit', () => rmSync(directory, { recursive: true }));
await build({
  entryPoints: ['test/drill/main.ts'],
  outfile,
  bundle: true,
  format: 'esm',
  platform: 'node',
  target: 'node20',
  packages: 'external',
  sourcemap: 'inline',
});
await import(pathToFileURL(outfile).href);
