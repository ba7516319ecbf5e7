import { readdirSync, readFileSync } from 'node:fs';
import { join, normalize, relative } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import ts from 'typescript';

const SRC = 'src';

interface SourceFile {
  /** Relative to src, with forward slashes. */
  readonly path: string;
  readonly text: string;
  /** Files of ours, relative to src. */
  readonly imports: readonly string[];
  readonly packages: readonly string[];
}

const files: readonly SourceFile[] = readdirSync(SRC, { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('.ts') && !path.endsWith('.spec.ts'))
  .map((path) => {
    const text = readFileSync(join(SRC, path), 'utf8');
    const names = ts.preProcessFile(text, true, true).importedFiles.map(({ fileName }) => fileName);
    const own = names.filter((name) => name.startsWith('.'));
    return {
      path,
      text,
      imports: own.map((name) => normalize(join(path, '..', name)).replace(/\.js$/, '.ts')),
      packages: names.filter((name) => !name.startsWith('.')),
    };
  });

const folderOf = (path: string): string => (path.includes('/') ? (path.split('/')[0] ?? '') : '');
const GROUND = ['clock', 'config', 'database', 'files', 'observability'];
const CAPABILITIES = [
  'nexudus',
  'problem-details',
  'client-auth',
  'request-body',
  'idempotency',
  'api-docs',
  'fleet',
  'ledger',
];
/** Implementations of a port on the database, each named with the capabilities that the ports belong to. */
const IMPLEMENTS: Readonly<Record<string, readonly string[]>> = {
  fleet: ['nexudus'],
  ledger: ['idempotency', 'nexudus'],
};
/** The map and the ways to start it: they may know everything. */
const TOP = '';

/** Every import that goes where `forbidden` says, as `from -> to`. */
function offences(forbidden: (from: SourceFile, to: string) => boolean): string[] {
  return files.flatMap((file) =>
    file.imports.filter((to) => forbidden(file, to)).map((to) => `${file.path} -> ${to}`),
  );
}

describe('the arrows between the folders of src', () => {
  it('begin and end in folders that this test knows', () => {
    const known = [TOP, 'chat-messages', 'deliveries', 'sandbox', 'openapi', ...CAPABILITIES, ...GROUND];
    expect(
      [...new Set(files.map(({ path }) => folderOf(path)))].filter((folder) => !known.includes(folder)),
    ).toEqual([]);
    expect(files.length).toBeGreaterThan(40);
  });

  it('lead to chat-messages from the app alone, and what describes it: a feature is what the rest is for', () => {
    expect(
      offences(
        ({ path }, to) =>
          folderOf(to) === 'chat-messages' && ![TOP, 'chat-messages', 'openapi'].includes(folderOf(path)),
      ),
    ).toEqual([]);
  });

  it('lead from the ground to the ground alone: what everybody stands on knows nobody', () => {
    expect(
      offences(({ path }, to) => GROUND.includes(folderOf(path)) && !GROUND.includes(folderOf(to))),
    ).toEqual([]);
  });

  it('do not join two capabilities, save that what speaks HTTP may throw a problem, problems know the failures of Nexudus, and what is kept in the database implements a port', () => {
    const allowed = (from: SourceFile, to: string): boolean =>
      (to === 'problem-details/problem.ts' && folderOf(from.path) !== 'nexudus') ||
      (folderOf(from.path) === 'problem-details' && to === 'nexudus/nexudus.errors.ts') ||
      (IMPLEMENTS[folderOf(from.path)] ?? []).includes(folderOf(to));
    expect(
      offences(
        (from, to) =>
          CAPABILITIES.includes(folderOf(from.path)) &&
          CAPABILITIES.includes(folderOf(to)) &&
          folderOf(from.path) !== folderOf(to) &&
          !allowed(from, to),
      ),
    ).toEqual([]);
  });

  it('do not lead to the sandbox from any file of the service: a fake cannot be switched on in production', () => {
    expect(offences(({ path }, to) => folderOf(to) === 'sandbox' && folderOf(path) !== 'sandbox')).toEqual(
      [],
    );
  });

  it('do not lead to openapi: what describes the service is not a part of it, and is not in the image', () => {
    expect(offences(({ path }, to) => folderOf(to) === 'openapi' && folderOf(path) !== 'openapi')).toEqual(
      [],
    );
  });

  it('do not lead from the sandbox into the service: a fake that shares code shares its faults', () => {
    expect(offences(({ path }, to) => folderOf(path) === 'sandbox' && folderOf(to) !== 'sandbox')).toEqual(
      [],
    );
  });

  it('do not go in circles', () => {
    const byPath = new Map(files.map((file) => [file.path, file]));
    const circles = new Set<string>();
    const visit = (path: string, trail: readonly string[]): void => {
      if (trail.includes(path)) circles.add([...trail.slice(trail.indexOf(path)), path].join(' -> '));
      else for (const next of byPath.get(path)?.imports ?? []) visit(next, [...trail, path]);
    };
    for (const { path } of files) visit(path, []);
    expect([...circles]).toEqual([]);
  });
});

describe('the files of src', () => {
  it('in nexudus know nothing of the HTTP server in front: it must run in a worker, too', () => {
    const http = ['fastify', '@nestjs/platform-fastify', '@nestjs/core'];
    const offending = files.filter(
      ({ path, packages }) => folderOf(path) === 'nexudus' && packages.some((name) => http.includes(name)),
    );
    expect(offending.map(({ path }) => path)).toEqual([]);
    expect(
      files.filter(({ path, text }) => folderOf(path) === 'nexudus' && text.includes('HttpException')),
    ).toEqual([]);
  });

  it("do not read process.env, save main.ts and the sandbox's own start: the configuration is a value", () => {
    const readers = files.filter(({ text }) =>
      text.replace(/^\s*(\/\/|\*|\/\*).*$/gm, '').includes('process.env'),
    );
    expect(readers.map(({ path }) => path).sort()).toEqual([
      'main.ts',
      ...readers.map(({ path }) => path).filter((path) => folderOf(path) === 'sandbox'),
    ]);
  });

  it('are not barrels: an index.ts hides who knows whom', () => {
    expect(
      files.filter(({ path }) => path.endsWith('index.ts')).map(({ path }) => relative('.', path)),
    ).toEqual([]);
  });
});
