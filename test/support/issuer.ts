import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { once } from 'node:events';
import { type CryptoKey, exportJWK, generateKeyPair, type JWK, SignJWT } from 'jose';

/** The audience that the tokens are for. */
export const AUDIENCE = 'nexudus-bff';

interface SigningKey {
  readonly alg: string;
  readonly privateKey: CryptoKey;
  readonly publicKey: CryptoKey;
  readonly jwk: JWK & { readonly kid: string };
}

/** Answers instead of the issuer. */
type Answer = (request: IncomingMessage, response: ServerResponse) => void;

/** An issuer of JWTs with OpenID discovery, over HTTP, that can rotate its keys and be out of order. */
export class TestIssuer {
  /** The paths that were asked for, in order. */
  readonly calls: string[] = [];
  /** Plays something else than an issuer, until it is set to `undefined`. */
  answer: Answer | undefined;
  /** What the discovery document says besides or instead. */
  discovery: Record<string, unknown> = {};
  readonly #keys = new Map<string, SigningKey>();
  #lastKid = 0;

  private constructor(private readonly server: Server) {}

  static async start(alg = 'ES256'): Promise<TestIssuer> {
    const server = createServer((request, response) => {
      issuer.serve(request, response);
    });
    const issuer = new TestIssuer(server);
    await issuer.addKey(alg);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return issuer;
  }

  async close(): Promise<void> {
    this.server.closeAllConnections();
    this.server.close();
    await once(this.server, 'close');
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}/tenant`;
  }

  /** How often the keys were fetched. */
  get keyFetches(): number {
    return this.calls.filter((path) => path.startsWith('/keys')).length;
  }

  /** The environment of a service that accepts its tokens. */
  get env(): Record<string, string> {
    return { AUTH_MODES: 'jwt', AUTH_JWT_ISSUER: this.url, AUTH_JWT_AUDIENCE: AUDIENCE };
  }

  /** As {@link env}, but for API keys too. */
  get envBesideApiKeys(): Record<string, string> {
    return { ...this.env, AUTH_MODES: 'jwt,api-key' };
  }

  /**
   * Publishes a key that was not there.
   *
   * @param published what its public JWK says besides or instead
   * @returns its `kid`
   */
  async addKey(alg: string, published: (privateJwk: JWK) => Partial<JWK> = () => ({})): Promise<string> {
    const kid = `key-${(this.#lastKid += 1)}`;
    const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true });
    const special = published(await exportJWK(privateKey));
    const jwk = { ...(await exportJWK(publicKey)), use: 'sig', ...special, kid };
    this.#keys.set(kid, { alg, privateKey, publicKey, jwk });
    return kid;
  }

  /** Signs with a new key alone from now on. */
  async rotate(alg = 'ES256'): Promise<void> {
    this.#keys.clear();
    await this.addKey(alg);
  }

  /** Signs with the newest key, or another one. */
  key(kid?: string): SigningKey {
    const key = kid === undefined ? [...this.#keys.values()].at(-1) : this.#keys.get(kid);
    if (key === undefined) throw new Error('There is no such key');
    return key;
  }

  /** A good token, save for what is given; a claim that is given as `undefined` is left out. */
  async token(
    claims: Record<string, unknown> = {},
    header: Record<string, unknown> & { readonly crit?: string[] } = {},
    kid?: string,
  ): Promise<string> {
    const { alg, privateKey, jwk } = this.key(kid);
    const nowSeconds = Math.floor(Date.now() / 1000);
    const payload = {
      iss: this.url,
      aud: AUDIENCE,
      iat: nowSeconds,
      exp: nowSeconds + 300,
      client_id: 'web-app',
      scope: 'openid chat-messages:write',
      businesses: '*',
      ...claims,
    };
    return new SignJWT(payload)
      .setProtectedHeader({ alg, kid: jwk.kid, ...header })
      .sign(privateKey, { crit: Object.fromEntries((header.crit ?? []).map((name) => [name, true])) });
  }

  /** Answers as the issuer that it is at present. */
  serve(request: IncomingMessage, response: ServerResponse): void {
    const path = request.url ?? '';
    this.calls.push(path);
    if (this.answer) {
      this.answer(request, response);
    } else if (path === '/tenant/.well-known/openid-configuration') {
      const { origin } = new URL(this.url);
      response.end(JSON.stringify({ issuer: this.url, jwks_uri: `${origin}/keys`, ...this.discovery }));
    } else if (path.startsWith('/keys')) {
      response.end(JSON.stringify({ keys: [...this.#keys.values()].map(({ jwk }) => jwk) }));
    } else {
      response.writeHead(404).end();
    }
  }
}

/** Ways to be out of order. */
export const OUT_OF_ORDER = {
  down: (request: IncomingMessage) => {
    request.socket.destroy();
  },
  failing: (_request: IncomingMessage, response: ServerResponse) => {
    response.writeHead(503, { 'content-type': 'text/html' }).end('<html>maintenance</html>'.repeat(1000));
  },
  hanging: () => undefined,
  stalling: (_request: IncomingMessage, response: ServerResponse) => {
    response.writeHead(200).write('{"issuer":');
  },
  nonsense: (_request: IncomingMessage, response: ServerResponse) => {
    response.end('canary');
  },
  endless: (_request: IncomingMessage, response: ServerResponse) => {
    response.end(JSON.stringify({ keys: 'x'.repeat(300_000) }));
  },
} satisfies Record<string, Answer>;
