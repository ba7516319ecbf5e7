import { readFileSync, writeFileSync } from 'node:fs';
import 'reflect-metadata';

// Run by `npm run openapi`, from the build.
const { openApiDocument } = await import('./document.js');
const root = new URL('../../', import.meta.url);
const { version } = JSON.parse(readFileSync(new URL('package.json', root), 'utf8')) as { version: string };
writeFileSync(new URL('openapi.json', root), `${JSON.stringify(openApiDocument(version), undefined, 2)}\n`);
