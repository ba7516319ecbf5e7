/** Longer ones are ignored, not searched. */
const LONGEST = 1_000;
/** One preference: what a quoted string holds never ends it. */
const PREFERENCE = /(?:"(?:[^"\\]|\\.)*"|[^",])+/g;
const WAIT = /^\s*wait\s*=\s*(?:"(\w*)"|(\w*))\s*(?:;.*)?$/i;

/**
 * Reads the `wait` of a `Prefer` header (RFC 7240 section 4.3) as whole seconds. The first one counts
 * (section 2). `undefined` when there is none, or it is 0 or cannot be read: then it is ignored.
 */
export function parsePreferWaitSeconds(prefer: string | undefined): number | undefined {
  // Quotes that do not pair up leave nothing to be sure of.
  if (
    prefer === undefined ||
    prefer.length > LONGEST ||
    prefer.replace(/"(?:[^"\\]|\\.)*"/g, '').includes('"')
  )
    return undefined;
  for (const preference of prefer.match(PREFERENCE) ?? []) {
    const [match, quoted, bare] = WAIT.exec(preference) ?? [];
    if (match === undefined) continue;
    const value = quoted ?? bare ?? '';
    return /^\d{1,9}$/.test(value) && Number(value) > 0 ? Number(value) : undefined;
  }
  return undefined;
}
