import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { freePort } from './service-process.js';

const CHILD = fileURLToPath(new URL('postgres.child.js', import.meta.url));

const START_WITHIN_MS = 30_000;

/** A PostgreSQL server that npm brought, new and empty; nothing stays of it. */
export class Postgres {
  /** Resolves with `undefined` where it does not start: npm has none for every platform. */
  static async start(): Promise<Postgres | undefined> {
    const directory = await mkdtemp(join(tmpdir(), 'nexudus-sandbox-postgres-'));
    const child = fork(CHILD, [directory, String(await freePort(0))], {
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
      // As with the service: Ctrl-C is for the parent.
      detached: process.platform !== 'win32',
    });
    const ended = once(child, 'exit').catch(() => undefined);
    const impatience = setTimeout(() => child.kill(), START_WITHIN_MS);
    const url = await Promise.race([
      once(child, 'message').then(([message]) => String(message)),
      ended.then(() => undefined),
    ]);
    clearTimeout(impatience);
    if (url !== undefined) return new Postgres(url, child, ended, directory);
    await removed(directory);
    return undefined;
  }

  private constructor(
    /** The connection string of its one database. */
    readonly url: string,
    private readonly child: ChildProcess,
    private readonly ended: Promise<unknown>,
    private readonly directory: string,
  ) {}

  async stop(): Promise<void> {
    this.child.kill('SIGTERM');
    await this.ended;
    await removed(this.directory);
  }
}

async function removed(directory: string): Promise<void> {
  await rm(directory, { recursive: true, force: true, maxRetries: 5 });
}
