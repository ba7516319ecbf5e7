import { createHmac } from 'node:crypto';

const BASE32 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
const STEP_MS = 30_000;

/** RFC 4648 base32, as authenticator apps show it: any case, spaces and padding ignored. */
function decodeBase32(text: string): Buffer {
  const bytes: number[] = [];
  let bits = 0;
  let bitCount = 0;
  for (const letter of text.toUpperCase().replace(/[\s=]/g, '')) {
    const value = BASE32.indexOf(letter);
    if (value < 0) throw new Error('a TOTP secret must be base32');
    bits = ((bits << 5) | value) & 0xfff;
    bitCount += 5;
    if (bitCount >= 8) {
      bitCount -= 8;
      bytes.push((bits >>> bitCount) & 0xff);
    }
  }
  return Buffer.from(bytes);
}

/** The six-digit code of a moment (RFC 6238: HMAC-SHA1, steps of 30 s). */
export function totpAt(secret: string, timeMs: number): string {
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(Math.max(0, Math.floor(timeMs / STEP_MS))));
  const hash = createHmac('sha1', decodeBase32(secret)).update(counter).digest();
  const offset = hash.readUInt8(hash.length - 1) & 0xf;
  return ((hash.readUInt32BE(offset) & 0x7fff_ffff) % 1_000_000).toString().padStart(6, '0');
}

/** Is it the code of now, or of the step before or after (RFC 6238 section 5.2: clocks drift)? */
export function totpMatches(secret: string, code: string, nowMs: number): boolean {
  return [0, -STEP_MS, STEP_MS].some((driftMs) => totpAt(secret, nowMs + driftMs) === code);
}
