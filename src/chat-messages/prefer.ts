/**
 * Reads the `wait` of a `Prefer` header (RFC 7240 section 4.3) as whole seconds. The first one counts
 * (section 2). `undefined` when there is none, or it is 0 or cannot be read: then it is ignored.
 */
export function parsePreferWaitSeconds(prefer: string | undefined): number | undefined {
  for (const preference of prefer?.split(',') ?? []) {
    const [token = ''] = preference.split(';');
    const [, value] = /^\s*wait\s*=\s*"?(\w*)"?\s*$/i.exec(token) ?? [];
    if (value === undefined) continue;
    return /^\d{1,9}$/.test(value) && Number(value) > 0 ? Number(value) : undefined;
  }
  return undefined;
}
