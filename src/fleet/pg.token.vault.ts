import type { Clock } from '../clock/clock.js';
import type { NexudusConfig } from '../config/sections.js';
import type { Announcements } from '../database/announcements.js';
import { DatabaseUnavailable } from '../database/database.errors.js';
import type { Database } from '../database/database.js';
import type { Sealer } from '../database/sealer.js';
import type { Credentials } from '../nexudus/credentials.js';
import { type TokenBox, TokenVault } from '../nexudus/token.vault.js';
import type { AppLogger } from '../observability/app-logger.js';
import { PgTokenBox } from './pg.token.box.js';
import { TokenRow } from './token.row.js';

/** Says that a token was issued, or that the lease is free. */
const CHANNEL = 'bff_token';

/** Keeps one token for all replicas: whoever has the lease asks Nexudus, and the others use what it was told. */
export class PgTokenVault extends TokenVault {
  readonly #boxes = new Set<PgTokenBox>();

  constructor(
    private readonly database: Database,
    private readonly announcements: Announcements,
    private readonly sealer: Sealer,
    private readonly config: Pick<NexudusConfig, 'baseUrl'>,
    private readonly clock: Clock,
    private readonly log: AppLogger,
  ) {
    super();
    announcements.on(CHANNEL, (announcement) => {
      for (const box of this.#boxes) box.wake(announcement !== undefined);
    });
  }

  open({ username, password, totpSecret }: Credentials, changed: () => void): TokenBox {
    const identity = JSON.stringify(['token', this.config.baseUrl, username, password, totpSecret]);
    const row = new TokenRow(
      this.sealer,
      identity,
      () => this.clock.nowMs(),
      (error) => {
        this.log.error({ err: error }, 'The token in the database cannot be opened: another is asked for');
      },
    );
    const box = new PgTokenBox(this.database, row, this.clock, {
      announce: async ({ query }) => {
        await query(this.announcements.statement, [CHANNEL, '']);
      },
      changed,
      failed: (error) => {
        // That it is away is said once, by the database.
        if (error instanceof DatabaseUnavailable) return;
        this.log.error({ err: error }, 'The token in the database cannot be read or written');
      },
      closed: () => this.#boxes.delete(box),
    });
    this.#boxes.add(box);
    return box;
  }
}
