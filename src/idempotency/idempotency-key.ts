/** An SF string (RFC 9651 section 3.3.3), its inside; without the space that a key cannot hold. */
const QUOTED = /^"((?:[\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"$/;
/** The bare form that many clients send. What begins with a quotation mark is meant to be a string. */
const BARE = /^[\x21\x23-\x7e][\x21-\x7e]*$/;
const LONGEST = 255;

/**
 * Reads the value of an `Idempotency-Key` header (draft-ietf-httpapi-idempotency-key-header, section 2.1): a quoted
 * string or the same without its quotes, 1 to 255 visible ASCII characters. `undefined` when it is anything else.
 */
export function parseIdempotencyKey(header: string): string | undefined {
  const quoted = QUOTED.exec(header)?.[1];
  const key = quoted?.replace(/\\(["\\])/g, '$1') ?? (BARE.test(header) ? header : '');
  return key.length >= 1 && key.length <= LONGEST ? key : undefined;
}
