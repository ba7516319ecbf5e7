import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { JSONWebKeySet } from 'jose';
import { AUDIENCE, OUT_OF_ORDER, TestIssuer } from '../../test/support/issuer.js';
import { fetchIssuerKeys, IssuerUnusable } from './issuer.endpoint.js';

let issuer: TestIssuer;
beforeEach(async () => {
  issuer = await TestIssuer.start();
});
afterEach(() => issuer.close());

const fetchKeys = (
  given: { issuer?: string; jwksUri?: string; signal?: AbortSignal } = {},
): Promise<JSONWebKeySet> =>
  fetchIssuerKeys(
    { issuer: given.issuer ?? issuer.url, audience: AUDIENCE, jwksUri: given.jwksUri },
    given.signal ?? new AbortController().signal,
  );

async function refusal(fetching: Promise<unknown>): Promise<string> {
  const outcome = await fetching.catch((error: unknown) => error);
  expect(outcome).toBeInstanceOf(IssuerUnusable);
  return (outcome as IssuerUnusable).message;
}

describe('the keys of an issuer', () => {
  it('are found through its discovery document', async () => {
    expect(await fetchKeys()).toEqual({ keys: [issuer.key().jwk] });
    expect(issuer.calls).toEqual(['/tenant/.well-known/openid-configuration', '/keys']);
  });

  it('are asked for as they are, and may come behind a byte order mark', async () => {
    const asked: unknown[] = [];
    issuer.answer = ({ headers }, response) => {
      asked.push(headers['accept-encoding']);
      response.end('\uFEFF{"keys":[]}');
    };
    const jwksUri = new URL('/keys', issuer.url).href;
    expect(await fetchKeys({ jwksUri })).toEqual({ keys: [] });
    expect(asked).toEqual(['identity']);
  });

  it('are found there for an issuer that ends in a slash, which is no part of the path', async () => {
    issuer.discovery = { issuer: `${issuer.url}/` };
    expect(await fetchKeys({ issuer: `${issuer.url}/` })).toEqual({ keys: [issuer.key().jwk] });
  });

  it('are fetched from an address that is named, query and all, without discovery', async () => {
    const jwksUri = new URL('/keys?policy=b2c', issuer.url).href;
    expect(await fetchKeys({ jwksUri })).toEqual({ keys: [issuer.key().jwk] });
    expect(issuer.calls).toEqual(['/keys?policy=b2c']);
  });

  it.each<[string, (url: string) => Record<string, unknown>, RegExp]>([
    ['has a slash more', (url) => ({ issuer: `${url}/` }), /another issuer/],
    ['is in another case', (url) => ({ issuer: url.toUpperCase() }), /another issuer/],
    ['is missing', () => ({ issuer: undefined }), /another issuer/],
    ['is a list', (url) => ({ issuer: [url] }), /another issuer/],
    ['names no keys', () => ({ jwks_uri: undefined }), /no usable jwks_uri/],
    ['names a path', () => ({ jwks_uri: '/keys' }), /no usable jwks_uri/],
    ['names a file', () => ({ jwks_uri: 'file:///etc/passwd' }), /no usable jwks_uri/],
    ['leads away from a safe connection', () => ({ jwks_uri: 'http://keys.example.com/' }), /not https/],
  ])('are not fetched where the discovery document %s', async (_, discovery, reason) => {
    issuer.discovery = discovery(issuer.url);
    expect(await refusal(fetchKeys())).toMatch(reason);
    expect(issuer.keyFetches).toBe(0);
  });

  it.each<[keyof typeof OUT_OF_ORDER, string]>([
    ['down', 'discovery: UND_ERR_SOCKET'],
    ['failing', 'discovery: status 503'],
    ['nonsense', 'discovery: not JSON'],
    ['endless', 'discovery: UND_ERR_RES_EXCEEDED_MAX_SIZE'],
  ])('cannot be had from one that is %s', async (disorder, reason) => {
    issuer.answer = OUT_OF_ORDER[disorder];
    expect(await refusal(fetchKeys())).toBe(reason);
  });

  it.each(['hanging', 'stalling'] as const)(
    'are given up when time is up, from one that is %s',
    async (disorder) => {
      const late = new AbortController();
      issuer.answer = (request, response) => {
        OUT_OF_ORDER[disorder](request, response);
        late.abort();
      };
      expect(await refusal(fetchKeys({ signal: late.signal }))).toBe('discovery: no answer in time');
    },
  );

  it.each(['/tenant/.well-known/openid-configuration', '/keys'])(
    'are not fetched from where %s redirects to',
    async (path) => {
      const { href } = new URL('/keys?elsewhere', issuer.url);
      const { origin } = new URL(issuer.url);
      issuer.answer = (request, response) => {
        if (request.url === path) response.writeHead(302, { location: href }).end();
        else response.end(JSON.stringify({ issuer: issuer.url, jwks_uri: `${origin}/keys` }));
      };
      expect(await refusal(fetchKeys())).toMatch(/^(discovery|keys): status 302$/);
      expect(issuer.calls).not.toContain('/keys?elsewhere');
    },
  );

  it('cannot be had where nobody listens', async () => {
    const { url } = issuer;
    await issuer.close();
    expect(await refusal(fetchKeys({ issuer: url }))).toBe('discovery: ECONNREFUSED');
    issuer = await TestIssuer.start();
  });
});
