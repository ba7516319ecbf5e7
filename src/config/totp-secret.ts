import { Secret } from 'otpauth';

export const TOTP_SECRET_EXPECTED = 'must be base32: the letters A to Z and the digits 2 to 7';

/** Whether one-time codes can be made of a text (RFC 4648 section 6, any case, spaces ignored). */
export function isTotpSecret(text: string): boolean {
  try {
    return Secret.fromBase32(text).bytes.length > 0;
  } catch {
    return false;
  }
}
