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

/** The three forms of an HTTP date (RFC 9110 section 5.6.7), all of them in UTC; Date.parse takes much more. */
function dateMs(text: string): number {
  if (IMF_FIXDATE.test(text) || RFC_850_DATE.test(text)) return Date.parse(text);
  return ASCTIME_DATE.test(text) ? Date.parse(`${text} GMT`) : NaN;
}

const IMF_FIXDATE = /^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/;
const RFC_850_DATE = /^[A-Z][a-z]{5,8}, \d{2}-[A-Z][a-z]{2}-\d{2} \d{2}:\d{2}:\d{2} GMT$/;
const ASCTIME_DATE = /^[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d{2}:\d{2}:\d{2} \d{4}$/;
