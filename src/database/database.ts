import pg from 'pg';
import type { Clock } from '../clock/clock.js';
import type { AppLogger } from '../observability/app-logger.js';
import { DatabaseUnavailable, isTransient, isUnavailable, mayHaveBeenDone } from './database.errors.js';

/** A row as it came: 64-bit integers and exact numbers as text. */
export type Row = Readonly<Record<string, unknown>>;

/** Asks questions, all in one transaction or each in its own. */
export interface Queries {
  /**
   * @param values for `$1`, `$2` and so on
   * @throws DatabaseUnavailable
   */
  readonly query: <R extends Row = Row>(text: string, values?: readonly unknown[]) => Promise<R[]>;
}

/** Runs work in one transaction. */
export type InTransaction = <T>(work: (queries: Queries) => Promise<T>) => Promise<T>;

const CONNECT_TIMEOUT_MS = 3_000;
/** Of the server, for one statement; longer than a frozen replica can hold a lock. */
const STATEMENT_TIMEOUT_MS = 5_000;
/** Of the client: a connection that is half open never answers. */
const ANSWER_TIMEOUT_MS = 6_000;
/** A replica that is frozen within a transaction is thrown out of it by the server: its locks hold up all others. */
const FROZEN_TRANSACTION_MS = 2_000;
/** An index over many rows takes its time. */
const PREPARE_TIMEOUT_MS = 600_000;
/** Until the kernel asks whether the other side of a silent connection is still there; it gives up about 10 s later. */
const KEEP_ALIVE_MS = 10_000;
/** So that a password that was replaced is forgotten. */
export const CONNECTION_LIFETIME_S = 600;
const LOOK_EVERY_MS = 1_000;
/** A start does not wait longer for the server: the probes want to be answered. */
const START_WITHIN_MS = 5_000;
const MOST_TRIES = 10;

/** A PostgreSQL server, or what speaks its protocol. */
export class Database implements Queries {
  readonly #pool: pg.Pool;
  /** Unknown until the first look. */
  #isReachable: boolean | undefined;
  #isPrepared = false;
  /** What was last said against the tables, so that it is said once. */
  #complaint = '';
  #stopLooking: () => void = () => undefined;
  #stopped = false;
  readonly #beforeStop: (() => Promise<void>)[] = [];

  /**
   * @param connectionString asked for each new connection: it may change. Must not throw: the pool also connects
   *   where nobody waits for it
   * @param prepare done once, before anything else, as soon as the server can be reached
   */
  constructor(
    private readonly connectionString: () => string,
    private readonly prepare: (inTransaction: InTransaction) => Promise<unknown>,
    private readonly clock: Clock,
    private readonly log: AppLogger,
    connections = 10,
  ) {
    this.#pool = new pg.Pool({
      Client: this.#clientClass(),
      max: connections,
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      maxLifetimeSeconds: CONNECTION_LIFETIME_S,
    });
    // An idle connection that breaks; the pool forgets it by itself.
    this.#pool.on('error', () => undefined);
  }

  /** Whether the server answered last, and is prepared. */
  get isReachable(): boolean {
    return this.#isReachable === true;
  }

  /**
   * Looks for the server, and goes on looking. Resolves also when it is not there yet.
   *
   * @throws whatever the server says against the tables
   */
  async start(): Promise<void> {
    const first = this.#look();
    void this.#lookAfter(first);
    try {
      await Promise.race([first, this.clock.sleep(START_WITHIN_MS)]);
    } catch (error) {
      await this.stop();
      throw error;
    }
  }

  /** Bound: whoever is given queries takes `query` out of them, and those may be this database's own. */
  readonly query = async <R extends Row = Row>(
    text: string,
    values: readonly unknown[] = [],
  ): Promise<R[]> => {
    if (!this.#isPrepared) throw new DatabaseUnavailable(false);
    const client = await this.#connection();
    try {
      const { rows } = await client.query<R>(text, [...values]);
      client.release();
      return rows;
    } catch (error) {
      client.release(isUnavailable(error));
      throw this.#explained(error, mayHaveBeenDone(error));
    }
  };

  /**
   * All or nothing. Where somebody else was in the way it is done again from the start, so `work` has no effects of
   * its own.
   *
   * @throws DatabaseUnavailable
   * @throws whatever the work does; all is undone then
   */
  async transaction<T>(work: (queries: Queries) => Promise<T>): Promise<T> {
    if (!this.#isPrepared) throw new DatabaseUnavailable(false);
    return this.#retried(work, ANSWER_TIMEOUT_MS);
  }

  /** A connection of its own, for whoever listens on it. The caller ends it. */
  async connect(): Promise<pg.Client> {
    const client = new (this.#clientClass())({ connectionTimeoutMillis: CONNECT_TIMEOUT_MS });
    await client.connect();
    return client;
  }

  /** What is to be written down in the end, when nobody calls any more; the last to come is the first to go. */
  beforeStop(work: () => Promise<void>): void {
    this.#beforeStop.unshift(work);
  }

  async stop(): Promise<void> {
    if (this.#stopped) return;
    for (const work of this.#beforeStop) await work();
    this.#stopped = true;
    this.#stopLooking();
    await this.#pool.end();
  }

  /** @param answerTimeoutMs of the client, for each statement */
  async #retried<T>(work: (queries: Queries) => Promise<T>, answerTimeoutMs: number): Promise<T> {
    for (let tried = 1; ; tried += 1) {
      try {
        return await this.#once(work, answerTimeoutMs);
      } catch (error) {
        if (!isTransient(error)) throw error;
        if (tried === MOST_TRIES) throw new DatabaseUnavailable(false, { cause: error });
      }
    }
  }

  async #once<T>(work: (queries: Queries) => Promise<T>, answerTimeoutMs: number): Promise<T> {
    const client = await this.#connection();
    const connection = { isLost: false };
    const ask = async <R extends Row>(text: string, values: readonly unknown[] = []): Promise<R[]> => {
      try {
        const question = { text, values: [...values], query_timeout: answerTimeoutMs };
        return (await client.query<R>(question)).rows;
      } catch (error) {
        connection.isLost ||= isUnavailable(error);
        throw this.#explained(error, false);
      }
    };
    let result: T;
    try {
      await ask('begin');
      result = await work({ query: ask });
    } catch (error) {
      // Of one that has not answered nothing more is asked: that would only wait behind.
      client.release(connection.isLost || !(await canUndo(client)));
      throw error;
    }
    await this.#commit(client);
    return result;
  }

  async #commit(client: pg.PoolClient): Promise<void> {
    let command: string;
    try {
      ({ command } = await client.query('commit'));
    } catch (error) {
      client.release(isUnavailable(error));
      throw this.#explained(error, mayHaveBeenDone(error));
    }
    client.release();
    // That is how the server answers where a statement had failed, and the work went on all the same.
    if (command !== 'COMMIT') throw new Error('the transaction had failed, and was undone');
  }

  async #connection(): Promise<pg.PoolClient> {
    try {
      return await this.#pool.connect();
    } catch (error) {
      throw this.#explained(error, false);
    }
  }

  async #lookAfter(before: Promise<void>): Promise<void> {
    try {
      await before;
    } catch (error) {
      const complaint = String(error);
      if (complaint !== this.#complaint) {
        this.log.error({ err: error }, 'The tables in the database could not be prepared');
      }
      this.#complaint = complaint;
    }
    if (this.#stopped) return;
    this.#stopLooking = this.clock.after(LOOK_EVERY_MS, () => {
      void this.#lookAfter(this.#look());
    });
  }

  async #look(): Promise<void> {
    try {
      if (!this.#isPrepared) {
        await this.prepare((work) => this.#retried(patiently(work), PREPARE_TIMEOUT_MS));
        this.#isPrepared = true;
      }
      await this.#pool.query('select 1');
      if (!this.#isReachable) this.log.info({}, 'The database answers');
      this.#isReachable = true;
    } catch (error) {
      this.#explained(error, false);
      if (!isUnavailable(error)) throw error;
    }
  }

  /** What the way to the server did is one kind of error to everybody. */
  #explained(error: unknown, mayHaveCommitted: boolean): unknown {
    if (!isUnavailable(error)) return error;
    if (this.#isReachable !== false && !this.#stopped) {
      this.log.error({ err: error }, 'The database is away: what needs it is refused until it is back');
    }
    this.#isReachable = false;
    return error instanceof DatabaseUnavailable
      ? error
      : new DatabaseUnavailable(mayHaveCommitted, { cause: error });
  }

  #clientClass(): typeof pg.Client {
    const { connectionString } = this;
    return class extends pg.Client {
      constructor(settings?: pg.ClientConfig) {
        super({
          ...settings,
          connectionString: connectionString(),
          application_name: 'nexudus-bff',
          keepAlive: true,
          keepAliveInitialDelayMillis: KEEP_ALIVE_MS,
          statement_timeout: STATEMENT_TIMEOUT_MS,
          query_timeout: ANSWER_TIMEOUT_MS,
          idle_in_transaction_session_timeout: FROZEN_TRANSACTION_MS,
        });
        // A broken connection fails what is asked of it. It says so here as well, and unheard that ends the process.
        this.on('error', () => undefined);
      }
    };
  }
}

/** Whether what was begun is undone, so that the connection can be used again. */
async function canUndo(client: pg.PoolClient): Promise<boolean> {
  try {
    await client.query('rollback');
    return true;
  } catch {
    return false;
  }
}

/** With time for each statement; but whoever waits for a lock on a table has everybody else wait behind: not for long. */
function patiently<T>(work: (queries: Queries) => Promise<T>): (queries: Queries) => Promise<T> {
  return async (queries) => {
    await queries.query(`set local statement_timeout = ${PREPARE_TIMEOUT_MS}`);
    await queries.query(`set local lock_timeout = ${FROZEN_TRANSACTION_MS}`);
    return work(queries);
  };
}
