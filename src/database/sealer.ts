import { createCipheriv, createDecipheriv, createHmac, hkdfSync, randomBytes } from 'node:crypto';
import type { LedgerKey } from '../config/ledger-keys.js';
import { LedgerKeyMissing } from './database.errors.js';

const CIPHER = 'aes-256-gcm';
const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
/** In no id of a key. */
const MARK_SEPARATOR = ':';

/** What is made of one ledger key: one key for each purpose (NIST SP 800-57 part 1, section 5.2). */
interface DerivedKey {
  readonly id: string;
  readonly forSealing: Buffer;
  readonly forNames: Buffer;
}

/**
 * Encrypts what is kept in the database (AES-256-GCM, NIST SP 800-38D). What was encrypted begins with the length and
 * the id of its key, so that a new key can be put in front while the old one still opens what it closed.
 */
export class Sealer {
  #keys: readonly DerivedKey[];

  /** @param keys the first encrypts, all decrypt */
  constructor(keys: readonly LedgerKey[]) {
    this.#keys = keys.map(derived);
  }

  /** Other keys from now on. */
  replace(keys: readonly LedgerKey[]): void {
    this.#keys = keys.map(derived);
  }

  /**
   * @param place what it belongs to: it opens there alone, so that nobody can move it to another row
   */
  seal(text: string, place: string): Buffer {
    const [{ id, forSealing } = missing()] = this.#keys;
    const nonce = randomBytes(NONCE_BYTES);
    const cipher = createCipheriv(CIPHER, forSealing, nonce).setAAD(Buffer.from(place));
    const sealed = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()]);
    const name = Buffer.from(id);
    return Buffer.concat([Buffer.of(name.length), name, nonce, cipher.getAuthTag(), sealed]);
  }

  /**
   * @throws LedgerKeyMissing
   * @throws Error when it belongs elsewhere, or somebody changed it
   */
  open(sealed: Buffer, place: string): string {
    const nonceAt = 1 + (sealed[0] ?? 0);
    const key = this.#key(sealed.subarray(1, nonceAt).toString());
    const tagAt = nonceAt + NONCE_BYTES;
    const textAt = tagAt + TAG_BYTES;
    const decipher = createDecipheriv(CIPHER, key.forSealing, sealed.subarray(nonceAt, tagAt), {
      authTagLength: TAG_BYTES,
    })
      .setAAD(Buffer.from(place))
      .setAuthTag(sealed.subarray(tagAt, textAt));
    return Buffer.concat([decipher.update(sealed.subarray(textAt)), decipher.final()]).toString('utf8');
  }

  /** The same text as the same name in every replica, and nobody can guess the text from it. One for each key. */
  names(text: string): string[] {
    return this.#keys.map((key) => nameUnder(key, text));
  }

  /** One name, which says under what key it was given: whether another text is the same can be told with that alone. */
  mark(text: string): string {
    const [key = missing()] = this.#keys;
    return `${key.id}${MARK_SEPARATOR}${nameUnder(key, text)}`;
  }

  /** @throws LedgerKeyMissing when nobody can tell here */
  isMarkOf(mark: string, text: string): boolean {
    const [id = '', name] = mark.split(MARK_SEPARATOR);
    return nameUnder(this.#key(id), text) === name;
  }

  #key(id: string): DerivedKey {
    const key = this.#keys.find((candidate) => candidate.id === id);
    if (key === undefined) throw new LedgerKeyMissing(id);
    return key;
  }
}

function nameUnder({ forNames }: DerivedKey, text: string): string {
  return createHmac('sha256', forNames).update(text).digest('base64url');
}

function derived({ id, secret }: LedgerKey): DerivedKey {
  const keyFor = (purpose: string): Buffer => Buffer.from(hkdfSync('sha256', secret, '', purpose, KEY_BYTES));
  return { id, forSealing: keyFor('nexudus-bff seal'), forNames: keyFor('nexudus-bff name') };
}

function missing(): never {
  throw new Error('there is no ledger key');
}
