import type { Queries } from '../database/database.js';
import type { Sealer } from '../database/sealer.js';
import type { AccessDeniedReason } from '../nexudus/nexudus.errors.js';
import type { KeptToken, LoginRefusal, TokenPair } from '../nexudus/token.vault.js';

/** Who may write: the row as it was found, and the number that was given out for it. */
export interface Fence {
  readonly name: string;
  readonly number: number;
}

/** What stands in the row, told on the scale of this process's clock. */
export interface FoundToken {
  readonly kept: KeptToken;
  readonly isLeased: boolean;
  /** When the last lease ends, or has ended. */
  readonly leaseEndsAtMs: number | undefined;
  /** The last who could write. */
  readonly fence: Fence;
}

/** A refresh token lives 15 days: of credentials that nobody has used for longer nothing is kept. */
const KEPT_UNUSED = '30 days';

// Not `now()`: a transaction that has waited for a lock would tell the time before.
const NOW = 'clock_timestamp()';
const MS = `interval '1 millisecond'`;
const msOf = (interval: string): string => `(extract(epoch from ${interval}) * 1000)::float8`;

const COLUMNS = `
  name, generation, sealed, fence,
  ${msOf(`${NOW} - issued_at`)} as age_ms,
  ${msOf('expires_at - issued_at')} as lifetime_ms,
  ${msOf(`${NOW} - logged_in_at`)} as login_age_ms,
  refusal, refusals,
  ${msOf(`refused_until - ${NOW}`)} as refused_for_ms,
  ${msOf(`lease_until - ${NOW}`)} as leased_for_ms`;

/** Of two, which replicas may make while they do not agree on the first key, all take the same. */
const READ = `select ${COLUMNS} from bff.token where name = any($1) order by issued_at desc nulls last, name`;

/** Nobody's that took the lease later. */
const FENCED = `name = $1 and fence = $2 and lease_until > ${NOW}`;

/** The row of one set of credentials. Each method is one step in the transaction that it is given. */
export class TokenRow {
  constructor(
    private readonly sealer: Sealer,
    /** What tells the credentials apart; a secret. */
    private readonly identity: string,
    /** On the monotonic scale on which moments are told. */
    private readonly nowMs: () => number,
    private readonly unreadable: (error: unknown) => void,
  ) {}

  async read({ query }: Queries): Promise<FoundToken | undefined> {
    const nowMs = this.nowMs();
    const [row] = await query<Columns>(READ, [this.#names]);
    return row && this.#found(row, nowMs);
  }

  /** Makes the row where there is none, and keeps all others from it until the end of the transaction. */
  async lock({ query }: Queries): Promise<FoundToken> {
    const names = this.#names;
    const locked = async (): Promise<FoundToken | undefined> => {
      const nowMs = this.nowMs();
      const [row] = await query<Columns>(`${READ} for update`, [names]);
      return row && this.#found(row, nowMs);
    };
    const found = await locked();
    if (found !== undefined) return found;
    await query('insert into bff.token (name) values ($1) on conflict do nothing', [names[0]]);
    const made = await locked();
    if (made === undefined) throw new Error('the row of the token was not made');
    return made;
  }

  /** Nobody who took it before can write from now on. */
  async lease({ query }: Queries, { name, number }: Fence, forMs: number): Promise<Fence> {
    const next = number + 1;
    await query(
      `update bff.token set fence = $2, lease_until = ${NOW} + $3::float8 * ${MS}, used_at = ${NOW} where name = $1`,
      [name, next, forMs],
    );
    return { name, number: next };
  }

  /** Makes a lease last anew; false when it has ended. */
  async extend({ query }: Queries, { name, number }: Fence, forMs: number): Promise<boolean> {
    const rows = await query(
      `update bff.token set lease_until = ${NOW} + $3::float8 * ${MS} where ${FENCED} returning name`,
      [name, number, forMs],
    );
    return rows.length > 0;
  }

  /** Gives the lease back, with nothing to show for it; false when it has ended. */
  async release({ query }: Queries, { name, number }: Fence): Promise<boolean> {
    const rows = await query(`update bff.token set lease_until = ${NOW} where ${FENCED} returning name`, [
      name,
      number,
    ]);
    return rows.length > 0;
  }

  /** Keeps a pair, under the name of the first key, and gives the lease back; false when it has ended. */
  async keep({ query }: Queries, { name, number }: Fence, pair: TokenPair): Promise<boolean> {
    const names = this.#names;
    const [first = name] = names;
    const nowMs = this.nowMs();
    const rows = await query(
      `update bff.token set generation = $3, sealed = $4,
         issued_at = ${NOW} - $5::float8 * ${MS},
         expires_at = ${NOW} + $6::float8 * ${MS},
         logged_in_at = ${NOW} - $7::float8 * ${MS},
         refusal = null, refusals = 0, refused_until = null, lease_until = ${NOW}, used_at = ${NOW}
       where ${FENCED} returning name`,
      [
        name,
        number,
        pair.generation,
        this.sealer.seal(JSON.stringify(secretsOf(pair)), placeOf(first)),
        nowMs - pair.sentAtMs,
        pair.sentAtMs + pair.lifetimeMs - nowMs,
        nowMs - pair.loggedInAtMs,
      ],
    );
    if (rows.length === 0) return false;
    await query('delete from bff.token where name = any($1) and name <> $2', [names, name]);
    await query('update bff.token set name = $2 where name = $1', [name, first]);
    await query(`delete from bff.token where used_at < ${NOW} - interval '${KEPT_UNUSED}'`);
    return true;
  }

  /** Keeps that Nexudus refuses the credentials, and gives the lease back; false when it has ended. */
  async refuse({ query }: Queries, { name, number }: Fence, refusal: LoginRefusal): Promise<boolean> {
    const rows = await query(
      `update bff.token set refusal = $3, refusals = $4, refused_until = ${NOW} + $5::float8 * ${MS},
         lease_until = ${NOW}, used_at = ${NOW}
       where ${FENCED} returning name`,
      [name, number, refusal.reason, refusal.count, refusal.untilMs - this.nowMs()],
    );
    return rows.length > 0;
  }

  get #names(): string[] {
    return this.sealer.names(this.identity);
  }

  /** @param nowMs before the question: what it was told has happened no later */
  #found(row: Columns, nowMs: number): FoundToken {
    const pair = this.#pairOf(row, nowMs);
    const { refusal: reason, refusals: count, refused_for_ms: refusedForMs } = row;
    const { leased_for_ms: leasedForMs } = row;
    return {
      kept: {
        ...(pair && { pair }),
        ...(reason !== null && { refusal: { reason, count, untilMs: this.nowMs() + (refusedForMs ?? 0) } }),
      },
      isLeased: leasedForMs !== null && leasedForMs > 0,
      leaseEndsAtMs: leasedForMs === null ? undefined : this.nowMs() + leasedForMs,
      fence: { name: row.name, number: row.fence },
    };
  }

  /** One that cannot be opened, since its key is gone, is as good as none: a login makes another. */
  #pairOf(row: Columns, nowMs: number): TokenPair | undefined {
    if (row.sealed === null) return undefined;
    try {
      const secrets = JSON.parse(this.sealer.open(row.sealed, placeOf(row.name))) as Secrets;
      return {
        ...secrets,
        generation: row.generation,
        sentAtMs: nowMs - (row.age_ms ?? 0),
        lifetimeMs: row.lifetime_ms ?? 0,
        loggedInAtMs: nowMs - (row.login_age_ms ?? 0),
      };
    } catch (error) {
      this.unreadable(error);
      return undefined;
    }
  }
}

/** What nobody can read in the database. */
type Secrets = Pick<TokenPair, 'accessToken' | 'refreshToken' | 'clientId'>;

function secretsOf({ accessToken, refreshToken, clientId }: TokenPair): Secrets {
  return { accessToken, refreshToken, clientId };
}

function placeOf(name: string): string {
  return `token ${name}`;
}

interface Columns extends Record<string, unknown> {
  readonly name: string;
  readonly generation: number;
  readonly sealed: Buffer | null;
  readonly fence: number;
  readonly age_ms: number | null;
  readonly lifetime_ms: number | null;
  readonly login_age_ms: number | null;
  readonly refusal: AccessDeniedReason | null;
  readonly refusals: number;
  readonly refused_for_ms: number | null;
  readonly leased_for_ms: number | null;
}
