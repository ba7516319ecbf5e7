import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { MIGRATIONS } from '../../src/database/migrate.js';
import { NexudusSandbox } from '../../src/sandbox/nexudus-sandbox.js';
import { databaseEnvironment, TestPostgres } from '../support/postgres.js';
import { environmentFor, KEYS } from '../support/service.js';
import { Container, image } from './container.js';

const LIMIT_BYTES = 200_000_000;
const ELF = Buffer.from('\x7fELF', 'latin1');

const files = readdirSync(image.root, { recursive: true, encoding: 'utf8' }).filter((path) =>
  statSync(join(image.root, path)).isFile(),
);
const packages = files.filter((path) => path.startsWith('app/node_modules/'));

describe('the image', () => {
  it('is smaller than 200 MB, uncompressed', () => {
    expect(image.sizeBytes).toBeLessThan(LIMIT_BYTES);
    // The layers hold the whole of it, and not a smaller one of before.
    expect(image.sizeBytes).toBeGreaterThan(statSync(join(image.root, 'usr/local/bin/node')).size);
  });

  it('holds one program, which is node, with its libraries, and so no shell', () => {
    const binaries = files.filter((path) =>
      readFileSync(join(image.root, path)).subarray(0, ELF.length).equals(ELF),
    );
    expect(
      binaries.map((path) => basename(path)).filter((name) => !/^(lib|ld-linux).*\.so\.\d+$/.test(name)),
    ).toEqual(['node']);
    expect(
      files.filter((path) => !/^(app|etc|lib|lib64|usr\/share\/doc|var\/lib\/dpkg)\//.test(path)),
    ).toEqual(['usr/local/bin/node']);
  });

  it('holds the built service alone: no fake Nexudus, no source, no test, no development dependency', () => {
    expect(readdirSync(join(image.root, 'app')).filter((name) => name !== 'openapi.json')).toEqual([
      'LICENSE',
      'dist',
      'node_modules',
      'package.json',
    ]);
    expect(files.filter((path) => /^app\/dist\/(?!main\.js$|bundle\/[\w.-]+\.js)/.test(path))).toEqual([]);
    expect(
      packages.filter((path) => /^app\/node_modules\/(typescript|jest|@nestjs\/cli)\//.test(path)),
    ).toEqual([]);
    expect(existsSync(join(image.root, 'app/openapi.json'))).toBe(existsSync('openapi.json'));
  });

  it('holds of the packages what the page at /docs is made of, their names, and their licences', () => {
    expect(
      packages.filter(
        (path) => !/(licen[cs]e|notice|copying)[^/]*$/i.test(path) && !path.endsWith('/package.json'),
      ),
    ).toEqual(
      ['favicon-32x32.png', 'swagger-ui-bundle.js', 'swagger-ui.css'].map(
        (name) => `app/node_modules/swagger-ui-dist/${name}`,
      ),
    );
    expect(packages.filter((path) => /licen[cs]e/i.test(path)).length).toBeGreaterThan(100);
  });

  it('belongs to root, and nobody else can write to it', () => {
    const writable = files.filter((path) => {
      const { uid, gid, mode } = statSync(join(image.root, path));
      return uid !== 0 || gid !== 0 || (mode & 0o022) !== 0;
    });
    expect(writable).toEqual([]);
  });

  it('says what it is, which ports it has, and how to stop it', () => {
    expect(image.config).toMatchObject({
      User: '1000:1000',
      StopSignal: 'SIGTERM',
      Env: expect.arrayContaining(['NODE_ENV=production']),
      ExposedPorts: { '3000/tcp': {}, '9464/tcp': {} },
      Labels: {
        'org.opencontainers.image.title': 'nexudus-bff',
        'org.opencontainers.image.licenses': 'MIT',
        'org.opencontainers.image.version': (
          JSON.parse(readFileSync('package.json', 'utf8')) as { version: string }
        ).version,
        'org.opencontainers.image.revision': expect.stringMatching(/^[0-9a-f]{40}$/),
      },
    });
  });
});

describe('a container', () => {
  it('creates a message as user 1000, with nothing to write to and no capability, and ends with 0 at SIGTERM', async () => {
    const sandbox = await NexudusSandbox.start();
    try {
      const { AUTH_API_KEYS_FILE: keys = '', ...env } = environmentFor(sandbox.url);
      const keysAt = '/etc/nexudus-bff/api-keys.json';
      const container = new Container(
        {
          ...env,
          NODE_ENV: 'production',
          // By its name, so that the libraries in the image have to resolve one.
          NEXUDUS_BASE_URL: sandbox.url.replace('127.0.0.1', 'localhost'),
          AUTH_API_KEYS_FILE: keysAt,
          // Loads what is loaded for those alone who ask for traces.
          OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:9',
        },
        { [keysAt]: keys },
      );
      const ready = await container.process.line((line) => line.includes('"ready"'));
      const { port } = JSON.parse(ready) as { port: number };

      const answer = await fetch(`http://127.0.0.1:${port}/v1/chat-messages`, {
        method: 'POST',
        headers: { authorization: `Bearer ${KEYS.everything}`, 'content-type': 'application/json' },
        body: JSON.stringify({ businessId: 1, content: 'from a container' }),
      });
      expect(answer.status).toBe(201);
      expect(sandbox.writes).toMatchObject([{ executed: true, json: { Content: 'from a container' } }]);

      for (const path of ['/openapi.json', '/docs', '/docs/swagger-ui-bundle.js', '/docs/swagger-ui.css']) {
        const page = await fetch(`http://127.0.0.1:${port}${path}`);
        await page.arrayBuffer();
        expect([path, page.status]).toEqual([path, 200]);
      }

      const status = container.proc('status');
      expect(status).toMatch(/^Uid:\t1000\t1000\t1000\t1000$/m);
      expect(status).toMatch(/^NSpid:\t\d+\t1$/m);
      expect(status).toMatch(/^CapEff:\t0+$/m);
      expect(status).toMatch(/^NoNewPrivs:\t1$/m);
      const mounts = container.proc('mountinfo').split('\n');
      expect(mounts.find((line) => line.split(' ')[4] === '/')).toMatch(/ \/ ro,/);

      container.stop();
      expect(await container.process.exit()).toBe(0);
      expect(container.process.records().at(-1)).toMatchObject({ message: 'stopped' });
    } finally {
      await sandbox.close();
    }
  });

  it('makes the tables of a database when told to migrate, and serves on them', async () => {
    const postgres = await TestPostgres.start();
    try {
      const { AUTH_API_KEYS_FILE: keys = '', ...env } = environmentFor('http://127.0.0.1:9');
      const urlAt = '/etc/nexudus-bff/database/url';
      const directory = mkdtempSync(join(tmpdir(), 'image-'));
      const { LEDGER_KEYS = '', DATABASE_URL = '' } = databaseEnvironment(await postgres.createDatabase());
      writeFileSync(join(directory, 'url'), DATABASE_URL);
      const files = { '/etc/nexudus-bff/api-keys.json': keys, [urlAt]: join(directory, 'url') };
      const settings = {
        ...env,
        NODE_ENV: 'production',
        AUTH_API_KEYS_FILE: '/etc/nexudus-bff/api-keys.json',
        DATABASE_URL_FILE: urlAt,
        LEDGER_KEYS,
      };
      const migration = new Container(settings, files, ['migrate']);
      expect(await migration.process.exit()).toBe(0);
      expect(migration.process.records().at(-1)).toMatchObject({ steps: MIGRATIONS.length });

      const service = new Container(settings, files);
      const ready = await service.process.line((line) => line.includes('"ready"'));
      const { managementPort } = JSON.parse(ready) as { managementPort: number };
      expect((await fetch(`http://127.0.0.1:${managementPort}/health/ready`)).status).toBe(200);
      service.stop();
      expect(await service.process.exit()).toBe(0);
      rmSync(directory, { recursive: true });
    } finally {
      await postgres.stop();
    }
  });
});
