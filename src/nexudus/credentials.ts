import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isHeaderValue } from '../config/header-value.js';
import type { CredentialsOrigin } from '../config/sections.js';
import { isTotpSecret, TOTP_SECRET_EXPECTED } from '../config/totp-secret.js';

/** What a password login at Nexudus takes. */
export interface Credentials {
  readonly username: string;
  readonly password: string;
  /** Base32, where the account has two-factor on. */
  readonly totpSecret: string | undefined;
  /** Names this process at the token endpoint: a login with the same one pushes the other's refresh token out. */
  readonly clientId: string;
}

/** The credentials are not there, or not all of them, or not as they must be. Holds no value. */
export class CredentialsUnusable extends Error {
  override readonly name = 'CredentialsUnusable';
}

/**
 * Reads the credentials. From a directory: one file each (`username`, `password`, optional `totp-secret` and
 * `client-id`), trailing line ends stripped, since editors and `echo` add them.
 *
 * @param clientId where the directory brings none
 * @throws CredentialsUnusable with all that is wrong: a file that must be there is missing or empty, another cannot be used
 */
export async function readCredentials(origin: CredentialsOrigin, clientId: string): Promise<Credentials> {
  if (origin.kind === 'fixed') {
    const { username, password, totpSecret } = origin;
    return { username, password, totpSecret, clientId };
  }
  const read = async (name: string): Promise<string | undefined> => readSecret(join(origin.path, name));
  const [username, password, totpSecret, ownClientId] = await Promise.all(
    ['username', 'password', 'totp-secret', 'client-id'].map(read),
  );
  const faults: string[] = [];
  if (username === undefined) faults.push('the file "username" is missing or empty');
  if (password === undefined) faults.push('the file "password" is missing or empty');
  if (totpSecret !== undefined && !isTotpSecret(totpSecret)) {
    faults.push(`the content of the file "totp-secret" ${TOTP_SECRET_EXPECTED}`);
  }
  if (ownClientId !== undefined && !isHeaderValue(ownClientId)) {
    faults.push('the file "client-id" must hold visible ASCII characters without spaces');
  }
  if (username === undefined || password === undefined || faults.length > 0) {
    throw new CredentialsUnusable(faults.join('; '));
  }
  return { username, password, totpSecret, clientId: ownClientId ?? clientId };
}

async function readSecret(path: string): Promise<string | undefined> {
  try {
    const text = (await readFile(path, 'utf8')).replace(/[\r\n]+$/, '');
    return text === '' ? undefined : text;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new CredentialsUnusable(
      `a file cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unknown'})`,
    );
  }
}
