import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { type Credentials, CredentialsUnusable, readCredentials } from './credentials.js';

const CLIENT_ID = 'bff-0';
const GOOD = { username: 'service@example.com', password: 'pa ss' };

let path: string;
beforeEach(async () => {
  path = await mkdtemp(join(tmpdir(), 'credentials-'));
});
afterEach(() => rm(path, { recursive: true }));

async function read(files: Readonly<Record<string, string>>): Promise<Credentials> {
  await Promise.all(Object.entries(files).map(([name, text]) => writeFile(join(path, name), text)));
  return readCredentials({ kind: 'directory', path }, CLIENT_ID);
}

async function refusal(files: Readonly<Record<string, string>>): Promise<CredentialsUnusable> {
  const outcome = await read(files).catch((error: unknown) => error);
  expect(outcome).toBeInstanceOf(CredentialsUnusable);
  return outcome as CredentialsUnusable;
}

describe('credentials from a directory', () => {
  it('are read from one file each', async () => {
    expect(await read({ ...GOOD, 'totp-secret': 'JBSWY3DP', 'client-id': 'bff-blue' })).toEqual({
      ...GOOD,
      totpSecret: 'JBSWY3DP',
      clientId: 'bff-blue',
    });
  });

  it('need neither a TOTP secret nor a client id', async () => {
    expect(await read(GOOD)).toEqual({ ...GOOD, totpSecret: undefined, clientId: CLIENT_ID });
  });

  it('take an empty optional file for none', async () => {
    expect(await read({ ...GOOD, 'totp-secret': '', 'client-id': '\n' })).toEqual({
      ...GOOD,
      totpSecret: undefined,
      clientId: CLIENT_ID,
    });
  });

  it.each(['\n', '\r\n', '\n\n', '\r\n\r\n'])('lose their trailing line ends (%j)', async (end) => {
    const files = { ...GOOD, 'totp-secret': 'JBSWY3DP', 'client-id': 'bff-blue' };
    const ended = Object.fromEntries(Object.entries(files).map(([name, text]) => [name, text + end]));
    expect(await read(ended)).toEqual(await read(files));
  });

  it.each([' pass', 'pass ', 'pass \t', 'pa\nss', '\npass', 'pässwörd🔑'])(
    'keep every other character of the password (%j)',
    async (password) => {
      expect((await read({ ...GOOD, password: `${password}\n` })).password).toBe(password);
    },
  );

  it.each(['username', 'password'])(
    'are unusable without the file %s, or with an empty one',
    async (name) => {
      const others = Object.fromEntries(Object.entries(GOOD).filter(([other]) => other !== name));
      for (const files of [others, { ...GOOD, [name]: '' }, { ...GOOD, [name]: '\r\n' }]) {
        expect((await refusal(files)).message).toBe(`the file "${name}" is missing or empty`);
      }
    },
  );

  it.each(['1!', '0189', 'JBSWY3DP\nJBSWY3DP', '===', 'A'])(
    'are unusable with a TOTP secret that is none (%j)',
    async (secret) => {
      expect((await refusal({ ...GOOD, 'totp-secret': secret })).message).toMatch(
        /^the content of the file "totp-secret" must be base32/,
      );
    },
  );

  it.each(['jbswy3dp', 'JBSW Y3DP', 'JBSWY3DPEE======'])('may spell the TOTP secret %s', async (secret) => {
    expect((await read({ ...GOOD, 'totp-secret': secret })).totpSecret).toBe(secret);
  });

  it('are unusable for all that is wrong with them, in the same order', async () => {
    const { message } = await refusal({ 'totp-secret': '1!', 'client-id': 'a b' });
    expect([...message.matchAll(/file "([^"]+)"/g)].map(([, name]) => name)).toEqual([
      'username',
      'password',
      'totp-secret',
      'client-id',
    ]);
  });

  it('are unusable without the directory', async () => {
    const origin = { kind: 'directory', path: join(path, 'nowhere') } as const;
    await expect(readCredentials(origin, CLIENT_ID)).rejects.toThrow(CredentialsUnusable);
  });

  it('are unusable where a file cannot be read, which is not taken for a missing one', async () => {
    await mkdir(join(path, 'totp-secret'));
    expect((await refusal(GOOD)).message).toBe('a file cannot be read (EISDIR)');
  });

  it('never show a value, nor where they lie, when they are unusable', async () => {
    const { message, stack, cause } = await refusal({
      username: 'canary@example.com',
      'totp-secret': 'CANARY1',
    });
    expect(cause).toBeUndefined();
    expect(message).not.toContain(path);
    expect(`${message}${stack ?? ''}`).not.toMatch(/canary/i);
  });
});

describe('fixed credentials', () => {
  it('are taken as they are, with the client id of the process', async () => {
    const origin = { kind: 'fixed', ...GOOD, totpSecret: undefined } as const;
    expect(await readCredentials(origin, CLIENT_ID)).toEqual({
      ...GOOD,
      totpSecret: undefined,
      clientId: CLIENT_ID,
    });
  });
});
