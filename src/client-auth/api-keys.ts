import { hash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { Caller } from './caller.js';

/** The file of API keys is not usable. Says where in it, never what stands there. */
export class ApiKeysUnusable extends Error {
  override readonly name = 'ApiKeysUnusable';
}

interface ApiKey {
  readonly caller: Caller;
  /** Milliseconds since the Unix epoch. */
  readonly expiresAtMs: number;
}

const ID = /^[\w.-]{1,64}$/;
const SHA256_HEX = /^[0-9a-f]{64}$/i;

/**
 * The API keys that are accepted. Only their SHA-256 is known here: right for keys of 256 random bits, which
 * nobody can guess from a hash (a slow hash is for passwords that people choose).
 */
export class ApiKeys {
  readonly #byHash: ReadonlyMap<string, ApiKey>;

  private constructor(
    byHash: ReadonlyMap<string, ApiKey>,
    /** The text that they were read from. */
    readonly source: string,
  ) {
    this.#byHash = byHash;
  }

  get size(): number {
    return this.#byHash.size;
  }

  /** @throws ApiKeysUnusable when the file cannot be read or is not in the form that the README shows */
  static async read(path: string): Promise<ApiKeys> {
    const text = await readFile(path, 'utf8').catch((error: unknown) => {
      throw new ApiKeysUnusable(`cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unknown'})`);
    });
    return ApiKeys.parse(text);
  }

  /** @throws ApiKeysUnusable */
  static parse(text: string): ApiKeys {
    const entries = parseArray(text);
    const byHash = new Map<string, ApiKey>();
    for (const [index, entry] of entries.entries()) {
      const { id, sha256, businesses, expiresAt } = entry;
      const at = `entry ${index + 1}`;
      if (typeof id !== 'string' || !ID.test(id)) {
        throw new ApiKeysUnusable(`${at}: "id" must be 1 to 64 letters, digits, ".", "_" or "-"`);
      }
      if (typeof sha256 !== 'string' || !SHA256_HEX.test(sha256)) {
        throw new ApiKeysUnusable(`${at}: "sha256" must be 64 hexadecimal digits`);
      }
      if (
        businesses !== '*' &&
        !(Array.isArray(businesses) && businesses.every((item) => Number.isInteger(item)))
      ) {
        throw new ApiKeysUnusable(`${at}: "businesses" must be "*" or an array of integers`);
      }
      const expiresAtMs = expiresAt === undefined ? Infinity : parseIsoMs(expiresAt);
      if (Number.isNaN(expiresAtMs)) throw new ApiKeysUnusable(`${at}: "expiresAt" must be an ISO 8601 date`);
      if (byHash.has(sha256.toLowerCase()))
        throw new ApiKeysUnusable(`${at}: its "sha256" stands there twice`);
      byHash.set(sha256.toLowerCase(), {
        caller: {
          kind: 'api-key',
          id,
          businesses: businesses === '*' ? '*' : new Set(businesses as number[]),
        },
        expiresAtMs,
      });
    }
    return new ApiKeys(byHash, text);
  }

  /**
   * The caller that a key belongs to, or `undefined`.
   *
   * Looked up by its hash: what the time of a look-up could tell is something about SHA-256 values, from which
   * nobody gets nearer to a key. That is as good as a comparison in constant time, and does not grow with the keys.
   */
  find(key: string, epochMs: number): Caller | undefined {
    const entry = this.#byHash.get(hash('sha256', key, 'hex'));
    return entry && epochMs < entry.expiresAtMs ? entry.caller : undefined;
  }
}

const ISO_DATE = /^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:\d{2}))?$/;

/** NaN where it is not a date of ISO 8601; one with a time must have a zone, since ours is not the author's. */
function parseIsoMs(value: unknown): number {
  return typeof value === 'string' && ISO_DATE.test(value) ? Date.parse(value) : NaN;
}

function parseArray(text: string): Record<string, unknown>[] {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw new ApiKeysUnusable('is not JSON');
  }
  const isEntry = (item: unknown): boolean =>
    typeof item === 'object' && item !== null && !Array.isArray(item);
  if (!Array.isArray(json) || !json.every(isEntry))
    throw new ApiKeysUnusable('must be a JSON array of objects');
  return json as Record<string, unknown>[];
}
