/**
 * Makes an API key: the key itself on the first line, shown this once, and its entry for AUTH_API_KEYS_FILE on the
 * second. The file holds the SHA-256 alone, which is enough for a key of 256 random bits: see src/client-auth/api-keys.ts.
 */
import { createHash, randomBytes } from 'node:crypto';
import { parseArgs } from 'node:util';

const USAGE = `usage: npm run -s api-key -- create <id> --businesses <1,2 | '*'> [--expires <2027-01-01>]
  <id>          names the caller in logs: 1 to 64 letters, digits, ".", "_" or "-"
  --businesses  the businesses that it may write for
  --expires     until when: a day of the future (from its first second, UTC, the key is refused)`;

/** Somebody who finds it in a log or a repository can tell what it is. */
const PREFIX = 'nbff_';

/** @returns the entry's id, businesses and expiry; nothing where an argument is not as it must be */
function readArguments() {
  try {
    const { positionals, values } = parseArgs({
      allowPositionals: true,
      options: { businesses: { type: 'string' }, expires: { type: 'string' } },
    });
    const [command, id = '', ...rest] = positionals;
    const { businesses = '', expires } = values;
    const isUsable =
      command === 'create' &&
      rest.length === 0 &&
      /^[\w.-]{1,64}$/.test(id) &&
      /^(\*|[1-9]\d{0,9}(,[1-9]\d{0,9})*)$/.test(businesses) &&
      (expires === undefined || (/^\d{4}-\d{2}-\d{2}$/.test(expires) && Date.parse(expires) > Date.now()));
    return (
      isUsable && { id, businesses: businesses === '*' ? '*' : businesses.split(',').map(Number), expires }
    );
  } catch {
    return undefined;
  }
}

const entry = readArguments();
if (entry) {
  const { id, businesses, expires } = entry;
  const key = PREFIX + randomBytes(32).toString('base64url');
  const sha256 = createHash('sha256').update(key).digest('hex');
  console.log(key);
  console.log(JSON.stringify({ id, sha256, businesses, expiresAt: expires }));
} else {
  console.error(USAGE);
  process.exitCode = 2;
}
