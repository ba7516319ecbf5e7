import { createServer } from 'node:http';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';

/** Serves what a verifier asks an issuer for, and the benchmark's own tokens. */

const { ISSUER, AUDIENCE, CALLERS, PORT } = process.env;
const KEY_ID = 'bench';
const { publicKey, privateKey } = await generateKeyPair('ES256');
const key = { ...(await exportJWK(publicKey)), kid: KEY_ID, alg: 'ES256', use: 'sig' };
const tokens = await Promise.all(Array.from({ length: Number(CALLERS) }, (_, index) => sign(index)));

const documents = {
  '/.well-known/openid-configuration': { issuer: ISSUER, jwks_uri: `${ISSUER}/jwks` },
  '/jwks': { keys: [key] },
  '/tokens': tokens,
};

createServer(({ url }, response) => {
  const document = documents[url];
  response
    .writeHead(document ? 200 : 404, { 'content-type': 'application/json' })
    .end(JSON.stringify(document ?? {}));
}).listen(Number(PORT), '127.0.0.1');

async function sign(index) {
  return new SignJWT({ client_id: `caller-${index}`, scope: 'chat-messages:write', businesses: '*' })
    .setProtectedHeader({ alg: 'ES256', kid: KEY_ID, typ: 'at+jwt' })
    .setIssuer(ISSUER)
    .setAudience(AUDIENCE)
    .setSubject(`caller-${index}`)
    .setJti(`bench-${index}`)
    .setIssuedAt()
    .setExpirationTime('2h')
    .sign(privateKey);
}
