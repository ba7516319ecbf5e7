import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { NexudusSandbox } from '../../src/sandbox/nexudus-sandbox.js';
import { databaseEnvironment, type TestPostgres } from '../support/postgres.js';
import { TcpProxy } from '../support/tcp-proxy.js';
import type { Disturbance, LedgerRow } from './history.js';
import { type PointPlan, Replica } from './replica.js';

/** The callers that take turns, and their API keys. */
export const CALLERS = ['reception', 'kiosk'] as const;
export const keyOf = (caller: string): string => `key-of-the-${caller}`;

/**
 * Both of Nexudus and of the replicas: small, so that they are met, and not so small that the slots of one that is
 * dead, which count until its lease is over, are all there are.
 */
export const LIMITS = { write: '40/5s', call: '50/5s' };
/** An unknown head is not to hold a session up for the whole run. */
const UNKNOWN_HOLD_S = 1;
const REQUEST_DEADLINE_MS = 6_000;

/** What all worlds stand on. */
export interface Ground {
  readonly postgres: TestPostgres;
  /** That each replica runs. */
  readonly script: string;
}

/** A place for one replica after the other, with its own way to the database. */
export interface Seat {
  readonly name: string;
  readonly proxy: TcpProxy;
  replica: Replica | undefined;
  /** How many it has had. */
  lives: number;
}

/** A fake Nexudus, a database, and replicas that share it. */
export class World {
  readonly disturbances: Disturbance[] = [];
  readonly past: Replica[] = [];
  readonly #directory = mkdtempSync(join(tmpdir(), 'drill-'));
  readonly #keysFile: string;

  private constructor(
    readonly sandbox: NexudusSandbox,
    readonly seats: readonly Seat[],
    private readonly databaseUrl: string,
    private readonly script: string,
  ) {
    this.#keysFile = join(this.#directory, 'api-keys.json');
    const keys = CALLERS.map((id) => ({
      id,
      sha256: createHash('sha256').update(keyOf(id)).digest('hex'),
      businesses: '*',
    }));
    writeFileSync(this.#keysFile, JSON.stringify(keys));
  }

  static async build({ postgres, script }: Ground, seats: 2 | 3 | 4): Promise<World> {
    const sandbox = await NexudusSandbox.start({
      writeLimits: LIMITS.write,
      callLimits: LIMITS.call,
      // Renewed a few times in each run.
      tokenLifetimeSeconds: 12,
    });
    const databaseUrl = await postgres.createDatabase();
    const taken = ['a', 'b', 'c', 'd'].slice(0, seats).map(async (name) => ({
      name,
      proxy: await TcpProxy.before(databaseUrl),
      replica: undefined,
      lives: 0,
    }));
    return new World(sandbox, await Promise.all(taken), databaseUrl, script);
  }

  /** Replicas that a caller finds, as it would through a load balancer that has not noticed anything yet. */
  get up(): Replica[] {
    return this.seats.flatMap(({ replica }) => (replica?.isUp ? [replica] : []));
  }

  /** Those that really serve. */
  get serving(): Replica[] {
    return this.up.filter(({ isFrozen }) => !isFrozen);
  }

  /**
   * Puts a new replica into a seat whose former one is gone.
   *
   * @param onFrozen called when it has frozen itself, for somebody to thaw it
   */
  start(seat: Seat, plan?: PointPlan, onFrozen: (replica: Replica) => void = () => undefined): Replica {
    if (seat.replica !== undefined) this.past.push(seat.replica);
    seat.lives += 1;
    const name = `${seat.name}${seat.lives}`;
    seat.replica = Replica.spawn(
      this.script,
      name,
      this.#environment(seat),
      plan,
      (replica, { point, signal }) => {
        this.disturb(replica, `${signal} ${point}`, signal === 'SIGKILL' ? 0 : undefined);
        if (signal === 'SIGSTOP') onFrozen(replica);
      },
    );
    return seat.replica;
  }

  kill(replica: Replica): void {
    if (replica.hasEnded) return;
    this.disturb(replica, 'SIGKILL', 0);
    replica.kill();
  }

  freeze(replica: Replica): void {
    if (replica.hasEnded || replica.isFrozen) return;
    this.disturb(replica, 'SIGSTOP');
    replica.freeze();
  }

  thaw(replica: Replica): void {
    this.over(replica.name);
    replica.thaw();
  }

  /** Notes what is done to a replica: `forMs`, or until it is said to be over. */
  disturb(replica: { readonly name: string }, what: string, forMs?: number): void {
    const atMs = Date.now();
    this.disturbances.push({
      replica: replica.name,
      what,
      atMs,
      untilMs: forMs === undefined ? Infinity : atMs + forMs,
    });
  }

  over(name: string): void {
    for (const disturbance of this.disturbances) {
      if (disturbance.replica === name && disturbance.untilMs === Infinity) disturbance.untilMs = Date.now();
    }
  }

  /** The deliveries as they stand, read past all proxies; undefined while there is no table. */
  async ledger(): Promise<LedgerRow[]> {
    const { rows } = await this.#ask<Record<string, unknown>>('select * from bff.delivery');
    return rows.map((row) => ({
      id: String(row['id']),
      operation: String(row['operation']),
      mode: String(row['mode']),
      state: String(row['state']),
      attempts: Number(row['attempts']),
      messageId: row['result_id'] == null ? undefined : Number(row['result_id']),
      mergedInto: typeof row['merged_into'] === 'string' ? row['merged_into'] : undefined,
      settledAtMs: row['settled_at'] instanceof Date ? row['settled_at'].getTime() : undefined,
    }));
  }

  async end(): Promise<void> {
    for (const { replica } of this.seats) {
      replica?.kill();
      await replica?.ended;
    }
    for (const { proxy } of this.seats) await proxy.close();
    await this.sandbox.close();
    rmSync(this.#directory, { recursive: true, force: true });
    const { pathname } = new URL(this.databaseUrl);
    const drop = `drop database if exists ${pathname.slice(1)} with (force)`;
    // To make room. Where a connection does not end in time, it goes with the server.
    await this.#ask(drop, '/postgres').catch(() => undefined);
  }

  async #ask<R extends pg.QueryResultRow>(text: string, database?: string): Promise<pg.QueryResult<R>> {
    const url = new URL(this.databaseUrl);
    if (database !== undefined) url.pathname = database;
    const client = new pg.Client({ connectionString: url.href });
    await client.connect();
    try {
      return await client.query<R>(text);
    } finally {
      await client.end();
    }
  }

  #environment({ name, proxy }: Seat): Record<string, string> {
    const [account] = this.sandbox.accounts;
    if (account === undefined) throw new Error('a sandbox without an account');
    return {
      NODE_ENV: 'test',
      HOSTNAME: `drill-${name}`,
      PORT: '0',
      HOST: '127.0.0.1',
      MANAGEMENT_PORT: '0',
      LOG_LEVEL: 'debug',
      NEXUDUS_BASE_URL: this.sandbox.url,
      NEXUDUS_USERNAME: account.username,
      NEXUDUS_PASSWORD: account.password,
      NEXUDUS_WRITE_LIMITS: LIMITS.write,
      NEXUDUS_CALL_LIMITS: LIMITS.call,
      // Nothing hangs here: an answer that is late is held up by the machine.
      NEXUDUS_ATTEMPT_TIMEOUT_MS: '20000',
      REQUEST_DEADLINE_MS: String(REQUEST_DEADLINE_MS),
      DELIVERY_UNKNOWN_HOLD_S: String(UNKNOWN_HOLD_S),
      AUTH_MODES: 'api-key',
      AUTH_API_KEYS_FILE: this.#keysFile,
      ...databaseEnvironment(proxy.url),
    };
  }
}
