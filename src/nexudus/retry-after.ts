const LONGEST_MS = 24 * 3_600_000;

/**
 * Reads a `Retry-After` header (RFC 9110 section 10.2.3: whole seconds, or a date) as milliseconds from now.
 * `undefined` when there is none or it is neither; at most a day, since a typing error upstream must not
 * silence the service for good.
 *
 * @param epochMs the present, in milliseconds since the Unix epoch
 */
export function parseRetryAfterMs(value: string | string[] | undefined, epochMs: number): number | undefined {
  const text = (Array.isArray(value) ? value[0] : value)?.trim();
  if (text === undefined || text === '') return undefined;
  const delayMs = /^\d{1,12}$/.test(text) ? Number(text) * 1000 : dateMs(text) - epochMs;
  return Number.isNaN(delayMs) ? undefined : Math.min(Math.max(delayMs, 0), LONGEST_MS);
}

/** Only the forms of an HTTP date, which all begin with a day's name: Date.parse alone takes `-5` for a year. */
function dateMs(text: string): number {
  return /^(Mon|Tue|Wed|Thu|Fri|Sat|Sun)/.test(text) ? Date.parse(text) : NaN;
}
