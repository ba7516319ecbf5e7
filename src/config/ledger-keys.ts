/** A key that data is encrypted with at rest. */
export interface LedgerKey {
  /** Stands beside what was encrypted with it, so that keys can be replaced one after the other. */
  readonly id: string;
  /** 32 bytes: AES-256. */
  readonly secret: Buffer;
}

export const LEDGER_KEYS_EXPECTED =
  'must be a comma-separated list of id:key, each key 32 bytes in base64, each id 1 to 32 of [A-Za-z0-9._-] and there once';

const KEY_BYTES = 32;

/** The keys, of which the first encrypts and all decrypt; `undefined` where the text holds none. */
export function parseLedgerKeys(text: string): LedgerKey[] | undefined {
  const keys = text.split(',').map((item) => parseKey(item.trim()));
  if (!keys.every((key) => key !== undefined)) return undefined;
  return new Set(keys.map(({ id }) => id)).size === keys.length ? keys : undefined;
}

function parseKey(item: string): LedgerKey | undefined {
  const [, id, base64] = /^([A-Za-z0-9._-]{1,32}):([A-Za-z0-9+/]{43}=)$/.exec(item) ?? [];
  if (id === undefined || base64 === undefined) return undefined;
  const secret = Buffer.from(base64, 'base64');
  return secret.length === KEY_BYTES ? { id, secret } : undefined;
}
