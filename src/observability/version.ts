import { readFileSync } from 'node:fs';

/** The version of the service, as its package.json says. */
export const VERSION = readVersion(new URL('../../package.json', import.meta.url));

function readVersion(file: URL): string {
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
}
