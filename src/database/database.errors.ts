/** The database did not answer, or could not be reached. */
export class DatabaseUnavailable extends Error {
  override readonly name = 'DatabaseUnavailable';

  constructor(
    /** Whether what was asked for may have been done all the same. */
    readonly mayHaveCommitted: boolean,
    options?: ErrorOptions,
  ) {
    super('The database is not available', options);
  }
}

/** Something in the database was closed with a ledger key that this process has not, or not yet. */
export class LedgerKeyMissing extends Error {
  override readonly name = 'LedgerKeyMissing';

  /** @param keyId of the key */
  constructor(readonly keyId: string) {
    super(`The ledger key ${JSON.stringify(keyId)} is not there`);
  }
}

/** The settings name a file that does not hold what it must. */
export class DatabaseSettingsUnusable extends Error {
  override readonly name = 'DatabaseSettingsUnusable';

  constructor(
    readonly variable: 'DATABASE_URL' | 'DATABASE_URL_FILE' | 'LEDGER_KEYS_FILE',
    readonly expected: string,
  ) {
    super(`${variable} ${expected}`);
  }
}

/**
 * SQLSTATE codes and classes (PostgreSQL manual, appendix A) that say that the server, or our way into it, is at
 * fault, and not the question: no connection, no entry (28: a password that is being replaced; 3D000: a database that
 * is being restored), no room, no write (a replica of it), no time (25P03: frozen within
 * a transaction).
 */
const SERVER_AT_FAULT = /^(08|28|53|57|58|XX)|^(25006|25P03|25P04|3D000|40003|55P03)$/;
/** Of these, those after which nobody knows whether it was done: a lost connection, a shutdown, 40003 by its meaning. */
const UNKNOWN_END = /^(08|57P)|^40003$/;
/** Somebody else was in the way, and everything was undone: simply try again. */
const IN_THE_WAY = /^40(001|P01)$/;
/** Somebody else has just made it: a row of the system's tables, a schema, a table. */
const ALREADY_THERE = /^(23505|42P06|42P07)$/;

/** Whether a transaction was undone for no fault of its own. */
export function isTransient(error: unknown): boolean {
  return IN_THE_WAY.test(sqlState(error) ?? '');
}

/** Whether what was to be made was made by somebody else at the same time. */
export function isAlreadyThere(error: unknown): boolean {
  return ALREADY_THERE.test(sqlState(error) ?? '');
}

/** Whether an error that a connection ended with says that there is no usable server behind it. */
export function isUnavailable(error: unknown): boolean {
  if (error instanceof DatabaseUnavailable) return true;
  const state = sqlState(error);
  // What is not of the server itself is of the way to it: refused, cut, timed out.
  return state === undefined ? !isFaultOfOurs(error) : SERVER_AT_FAULT.test(state);
}

/** Whether a statement that ended with this error may have been carried out all the same. */
export function mayHaveBeenDone(error: unknown): boolean {
  const state = sqlState(error);
  return state === undefined || UNKNOWN_END.test(state);
}

function sqlState(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined;
  const { code } = error;
  return typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code) && 'severity' in error ? code : undefined;
}

/** A question that cannot be put: a value, say, that cannot be written down. */
function isFaultOfOurs(error: unknown): boolean {
  if (typeof error !== 'object' || error === null || !('name' in error)) return false;
  return ['TypeError', 'RangeError', 'SyntaxError'].includes(String(error.name));
}
