import pg from 'pg';
import type { Clock } from '../clock/clock.js';
import type { AppLogger } from '../observability/app-logger.js';
import { DatabaseUnavailable, isTransient, isUnavailable } from './database.errors.js';

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
/** So that a password that was replaced is forgotten. */
const CONNECTION_LIFETIME_S = 600;
const LOOK_EVERY_MS = 1_000;
const MOST_TRIES = 10;

/** A PostgreSQL server, or what speaks its protocol. */
export class Database implements Queries {
  readonly #pool: pg.Pool;
  #isReachable = false;
  #isPrepared = false;
  #stopLooking: () => void = () => undefined;
  #stopped = false;
  readonly #beforeStop: (() => Promise<void>)[] = [];

  /**
   * @param connectionString asked for each new connection: it may change
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
    return this.#isReachable;
  }

  /**
   * Looks for the server, and goes on looking. Resolves also when it is not there yet.
   *
   * @throws whatever the server says against the tables
   */
  async start(): Promise<void> {
    await this.#look();
    const again = (): void => {
      this.#stopLooking = this.clock.after(LOOK_EVERY_MS, () => {
        void this.#look()
          .catch((error: unknown) => {
            this.log.error({ err: error }, 'The tables in the database could not be prepared');
          })
          .then(() => {
            if (!this.#stopped) again();
          });
      });
    };
    again();
  }

  async query<R extends Row = Row>(text: string, values: readonly unknown[] = []): Promise<R[]> {
    if (!this.#isPrepared) throw new DatabaseUnavailable(false);
    try {
      const { rows } = await this.#pool.query<R>(text, [...values]);
      return rows;
    } catch (error) {
      throw this.#explained(error, true);
    }
  }

  /**
   * All or nothing. Where somebody else was in the way it is done again from the start, so `work` has no effects of
   * its own.
   *
   * @throws DatabaseUnavailable
   * @throws whatever the work does; all is undone then
   */
  async transaction<T>(work: (queries: Queries) => Promise<T>): Promise<T> {
    if (!this.#isPrepared) throw new DatabaseUnavailable(false);
    return this.#retried(work);
  }

  async #retried<T>(work: (queries: Queries) => Promise<T>): Promise<T> {
    for (let tried = 1; ; tried += 1) {
      try {
        return await this.#once(work);
      } catch (error) {
        if (tried === MOST_TRIES || !isTransient(error)) throw error;
      }
    }
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
    for (const work of this.#beforeStop) await work();
    this.#stopped = true;
    this.#stopLooking();
    await this.#pool.end();
  }

  async #once<T>(work: (queries: Queries) => Promise<T>): Promise<T> {
    const client = await this.#pool.connect().catch((error: unknown) => {
      throw this.#explained(error, false);
    });
    let committing = false;
    const query = async <R extends Row>(text: string, values: readonly unknown[] = []): Promise<R[]> => {
      try {
        return (await client.query<R>(text, [...values])).rows;
      } catch (error) {
        throw this.#explained(error, committing);
      }
    };
    try {
      await query('begin');
      const result = await work({ query });
      committing = true;
      await query('commit');
      client.release();
      return result;
    } catch (error) {
      await this.#undo(client);
      throw error;
    }
  }

  /** A connection that cannot even undo is not used again. */
  async #undo(client: pg.PoolClient): Promise<void> {
    try {
      await client.query('rollback');
      client.release();
    } catch {
      client.release(true);
    }
  }

  async #look(): Promise<void> {
    try {
      if (!this.#isPrepared) {
        await this.prepare((work) => this.#retried(work));
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
    if (this.#isReachable && !this.#stopped) {
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
          statement_timeout: STATEMENT_TIMEOUT_MS,
          query_timeout: ANSWER_TIMEOUT_MS,
          idle_in_transaction_session_timeout: FROZEN_TRANSACTION_MS,
        });
      }
    };
  }
}
