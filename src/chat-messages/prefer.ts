import type { FastifyRequest } from 'fastify';

/** Longer ones are ignored, not searched. */
const LONGEST = 1_000;
/** One preference: what a quoted string holds never ends it. */
const PREFERENCE = /(?:"(?:[^"\\]|\\.)*"|[^",])+/g;
const RESPOND_ASYNC = /^\s*respond-async\s*(?:=\s*(?:"")?\s*)?(?:;.*)?$/i;
const WAIT = /^\s*wait\s*=\s*(?:"(\w*)"|(\w*))\s*(?:;.*)?$/i;

/**
 * Reads the `wait` of a `Prefer` header (RFC 7240 section 4.3) as whole seconds. The first one counts
 * (section 2). `undefined` when there is none, or it is 0 or cannot be read: then it is ignored.
 */
export function parsePreferWaitSeconds(prefer: string | undefined): number | undefined {
  for (const preference of preferencesOf(prefer)) {
    const [match, quoted, bare] = WAIT.exec(preference) ?? [];
    if (match === undefined) continue;
    const value = quoted ?? bare ?? '';
    return /^\d{1,9}$/.test(value) && Number(value) > 0 ? Number(value) : undefined;
  }
  return undefined;
}

/** Whether a `Prefer` header asks for `respond-async` (RFC 7240 section 4.1): not to be waited for. */
export function prefersRespondAsync(prefer: string | undefined): boolean {
  return preferencesOf(prefer).some((preference) => RESPOND_ASYNC.test(preference));
}

function preferencesOf(prefer: string | undefined): readonly string[] {
  // Quotes that do not pair up leave nothing to be sure of.
  if (
    prefer === undefined ||
    prefer.length > LONGEST ||
    prefer.replace(/"(?:[^"\\]|\\.)*"/g, '').includes('"')
  )
    return [];
  return prefer.match(PREFERENCE) ?? [];
}

/** The `Prefer` header of a request, all of its lines. */
export function preferOf({ headers: { prefer } }: FastifyRequest): string | undefined {
  return Array.isArray(prefer) ? prefer.join() : prefer;
}
