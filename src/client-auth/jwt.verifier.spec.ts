import { beforeEach, describe, expect, it } from '@jest/globals';
import { createLocalJWKSet, exportJWK, generateKeyPair, type JWTVerifyGetKey, SignJWT } from 'jose';
import { VirtualClock } from '../../test/support/virtual-clock.js';
import type { IssuerKeys, KeySet } from './issuer.keys.js';
import { JwtVerifier, mayBeJwt } from './jwt.verifier.js';
import { issuerUnavailable } from './refusals.js';

const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true });
const JWKS = { keys: [await exportJWK(publicKey)] };
const ISSUER = 'https://id.example.com';
const AUDIENCE = 'nexudus-bff';
const LIFETIME_S = 300;

let clock: VirtualClock;
let keys: { current: KeySet | undefined; finds: number };
let verifier: JwtVerifier;
let token: string;

beforeEach(async () => {
  clock = new VirtualClock();
  keys = { current: createLocalJWKSet(JWKS), finds: 0 };
  const issuerKeys = {
    unusable: () => issuerUnavailable(1_000),
    get current() {
      return keys.current;
    },
    find: (async (header, jws) => {
      keys.finds += 1;
      if (keys.current === undefined) throw issuerKeys.unusable();
      return keys.current(header, jws);
    }) satisfies JWTVerifyGetKey,
  };
  verifier = new JwtVerifier(
    { issuer: ISSUER, audience: AUDIENCE, jwksUri: undefined },
    issuerKeys as unknown as IssuerKeys,
    clock,
  );
  token = await new SignJWT({ client_id: 'web-app', scope: 'chat-messages:write', businesses: '*' })
    .setProtectedHeader({ alg: 'ES256' })
    .setIssuer(ISSUER)
    .setAudience(AUDIENCE)
    .setExpirationTime(clock.epochMs() / 1000 + LIFETIME_S)
    .sign(privateKey);
});

describe('a token that is used again', () => {
  it('has its signature verified once', async () => {
    const callers = [
      await verifier.verify(token),
      await verifier.verify(token),
      await verifier.verify(token),
    ];
    expect(callers.map(({ id }) => id)).toEqual(['web-app', 'web-app', 'web-app']);
    expect(keys.finds).toBe(1);
  });

  it('is verified anew when it ends, good for 30 seconds more by a clock that goes before, then refused', async () => {
    await verifier.verify(token);
    clock.run(LIFETIME_S * 1000 - 1);
    await verifier.verify(token);
    expect(keys.finds).toBe(1);
    clock.run((LIFETIME_S + 30) * 1000 - 1);
    expect((await verifier.verify(token)).id).toBe('web-app');
    expect(keys.finds).toBe(2);
    clock.run((LIFETIME_S + 30) * 1000);
    await expect(verifier.verify(token)).rejects.toMatchObject({ slug: 'unauthenticated' });
  });

  it('is verified anew when the keys were fetched again, and refused when its key is gone', async () => {
    await verifier.verify(token);
    keys.current = createLocalJWKSet(JWKS);
    await verifier.verify(token);
    expect(keys.finds).toBe(2);
    keys.current = createLocalJWKSet({ keys: [] });
    await expect(verifier.verify(token)).rejects.toMatchObject({ slug: 'unauthenticated' });
  });

  it('is not good on the strength of keys that are no longer to be relied on', async () => {
    await verifier.verify(token);
    keys.current = undefined;
    await expect(verifier.verify(token)).rejects.toMatchObject({ slug: 'upstream-unavailable' });
  });

  it('is not remembered as good where its key was withdrawn while it was verified', async () => {
    const before = verifier.verify(token);
    while (keys.finds === 0) await Promise.resolve();
    keys.current = createLocalJWKSet({ keys: [] });
    const [first, second] = await Promise.allSettled([before, verifier.verify(token)]);
    expect([first.status, second.status]).toEqual(['fulfilled', 'rejected']);
    await expect(verifier.verify(token)).rejects.toMatchObject({ slug: 'unauthenticated' });
  });

  it('is refused each time, where it is not good', async () => {
    const forged = `${token.slice(0, -4)}AAAA`;
    await expect(verifier.verify(forged)).rejects.toMatchObject({ slug: 'unauthenticated' });
    await expect(verifier.verify(forged)).rejects.toMatchObject({ slug: 'unauthenticated' });
    expect(keys.finds).toBe(2);
  });
});

describe('what may be a JWT', () => {
  it.each<[string, string, boolean]>([
    ['three parts', 'a.b.c', true],
    ['three parts of 8192 characters together', `a.${'b'.repeat(8_188)}.c`, true],
    ['one character more', `a.${'b'.repeat(8_189)}.c`, false],
    ['no signature', 'eyJhbGciOiJub25lIn0.e30.', false],
    ['the five parts of a JWE', 'a.b.c.d.e', false],
    ['an empty part', 'a..c', false],
    ['two parts', 'a.b', false],
    ['an API key', 'nbff_kJ3mQ8', false],
    ['padding', 'a.b.c=', false],
    ['base64 that is not of URLs', 'a.b+.c', false],
  ])('is told for %s', (_, text, answer) => {
    expect(mayBeJwt(text)).toBe(answer);
  });
});
