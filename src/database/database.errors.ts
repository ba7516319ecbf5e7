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

/** The settings name a file that does not hold what it must. */
export class DatabaseSettingsUnusable extends Error {
  override readonly name = 'DatabaseSettingsUnusable';

  constructor(
    readonly variable: 'DATABASE_URL_FILE' | 'LEDGER_KEYS_FILE',
    readonly expected: string,
  ) {
    super(`${variable} ${expected}`);
  }
}

/** SQLSTATE classes (PostgreSQL manual, appendix A) that say that the server, and not the question, is at fault. */
const SERVER_AT_FAULT = /^(08|53|57|58)|^25006$|^55P03$|^XX/;
/** Somebody else was in the way, and everything was undone: simply try again. */
const IN_THE_WAY = /^40(001|P01)$/;

/** Whether a transaction was undone for no fault of its own. */
export function isTransient(error: unknown): boolean {
  return IN_THE_WAY.test(sqlState(error) ?? '');
}

/** Whether an error says that there is no usable server behind the connection. */
export function isUnavailable(error: unknown): boolean {
  if (error instanceof DatabaseUnavailable) return true;
  const state = sqlState(error);
  // What is not of the server itself is of the way to it: refused, cut, timed out.
  return state === undefined ? error instanceof Error && !isFaultOfOurs(error) : SERVER_AT_FAULT.test(state);
}

function sqlState(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined;
  const { code } = error;
  return typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code) && 'severity' in error ? code : undefined;
}

function isFaultOfOurs(error: Error): boolean {
  return error instanceof TypeError || error instanceof RangeError || error instanceof SyntaxError;
}
