import type pg from 'pg';
import type { Clock } from '../clock/clock.js';
import type { DatabaseBackend } from '../config/sections.js';
import { CONNECTION_LIFETIME_S, type Database } from './database.js';

/** Called with what was announced; without, when something may have been missed, and from time to time. */
export type Listener = (announcement: string | undefined) => void;

/** However all goes well: an announcement may get lost with its connection. */
const LOOK_EVERY_MS = 1_000;
/** Where the database cannot announce anything. */
const POLL_EVERY_MS = 200;
const AGAIN_AFTER_MS = 500;
/** A connection on which nothing is said looks the same as one that is half open. */
const PROBE_EVERY_MS = 5_000;
const PROBE = { text: 'select 1', query_timeout: 2_000 };
const CANNOT_ANNOUNCE: readonly DatabaseBackend[] = ['cockroachdb', 'yugabytedb'];

/**
 * Hears what other replicas announce (`NOTIFY`), on a connection of its own. Whoever listens must not rely on it: it
 * says when to look sooner, not what there is.
 */
export class Announcements {
  readonly #listeners = new Map<string, Listener>();
  readonly #canAnnounce: boolean;
  #client: pg.Client | undefined;
  #cancelTick: () => void = () => undefined;
  #cancelNext: () => void = () => undefined;
  #stopped = false;

  constructor(
    private readonly database: Database,
    backend: DatabaseBackend,
    private readonly clock: Clock,
  ) {
    this.#canAnnounce = !CANNOT_ANNOUNCE.includes(backend);
  }

  /** Before the start; one listener for each channel, whose name is a plain word. */
  on(channel: string, listener: Listener): void {
    this.#listeners.set(channel, listener);
  }

  /** The statement that announces, for a transaction: `$1` is the channel, `$2` the text. */
  get statement(): string {
    return this.#canAnnounce ? 'select pg_notify($1, $2)' : 'select $1::text, $2::text';
  }

  start(): void {
    this.#tick();
    if (this.#canAnnounce) void this.#listen();
  }

  stop(): void {
    this.#stopped = true;
    this.#cancelTick();
    this.#cancelNext();
    letGo(this.#client);
  }

  #tick(): void {
    this.#cancelTick = this.clock.after(this.#canAnnounce ? LOOK_EVERY_MS : POLL_EVERY_MS, () => {
      this.#lookAll();
      this.#tick();
    });
  }

  #lookAll(): void {
    for (const listener of this.#listeners.values()) listener(undefined);
  }

  async #listen(): Promise<void> {
    let client: pg.Client | undefined;
    try {
      client = await this.database.connect();
      if (this.#stopped) {
        letGo(client);
        return;
      }
      this.#client = client;
      client.on('notification', ({ channel, payload }) => this.#listeners.get(channel)?.(payload ?? ''));
      client.on('end', () => {
        this.#again(client);
      });
      for (const channel of this.#listeners.keys()) await client.query(`listen ${channel}`);
      // What was announced while nobody listened.
      this.#lookAll();
      this.#probeLater(client, this.clock.nowMs() + 1_000 * CONNECTION_LIFETIME_S);
    } catch {
      this.#again(client);
    }
  }

  /** @param endsAtMs when another one is to take its place; on the clock's monotonic scale */
  #probeLater(client: pg.Client, endsAtMs: number): void {
    if (this.#stopped || client !== this.#client) return;
    this.#cancelNext = this.clock.after(PROBE_EVERY_MS, () => {
      if (this.clock.nowMs() >= endsAtMs) {
        this.#again(client);
        return;
      }
      client.query(PROBE).then(
        () => {
          this.#probeLater(client, endsAtMs);
        },
        () => {
          this.#again(client);
        },
      );
    });
  }

  /** @param client of which this is the end, once: it may say so in several ways */
  #again(client: pg.Client | undefined): void {
    if (this.#stopped || client !== this.#client) return;
    this.#client = undefined;
    letGo(client);
    this.#cancelNext();
    this.#cancelNext = this.clock.after(AGAIN_AFTER_MS, () => void this.#listen());
  }
}

/** Nobody waits for the goodbye of a server that may be gone. */
function letGo(client: pg.Client | undefined): void {
  void client?.end().catch(() => undefined);
}
