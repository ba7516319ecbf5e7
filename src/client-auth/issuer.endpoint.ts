import type { JSONWebKeySet } from 'jose';
import { Agent, request } from 'undici';
import type { JwtConfig } from '../config/sections.js';
import { isSecureUrl } from '../config/secure-url.js';

/** Many times what the keys of an issuer take. */
const ANSWER_LIMIT_BYTES = 262_144;
const CONNECT_TIMEOUT_MS = 2_000;

/** The issuer cannot be reached, or its answer cannot be used. Repeats nothing of the answer. */
export class IssuerUnusable extends Error {
  override readonly name = 'IssuerUnusable';
}

/**
 * Fetches the issuer's keys as they are now: from `jwksUri`, or from where the discovery document points (OpenID
 * Connect Discovery 1.0 section 4). That is read each time, since keys move, too.
 *
 * @throws IssuerUnusable
 */
export async function fetchIssuerKeys(config: JwtConfig, signal: AbortSignal): Promise<JSONWebKeySet> {
  // For these calls alone: they come minutes apart, and no socket is to stay behind.
  const dispatcher = new Agent({
    connect: { timeout: CONNECT_TIMEOUT_MS },
    maxResponseSize: ANSWER_LIMIT_BYTES,
  });
  try {
    const uri = config.jwksUri ?? (await discover(config.issuer, dispatcher, signal));
    // Whoever makes sense of the keys checks what they are.
    return (await getJson(uri, 'keys', dispatcher, signal)) as JSONWebKeySet;
  } finally {
    void dispatcher.destroy();
  }
}

async function discover(issuer: string, dispatcher: Agent, signal: AbortSignal): Promise<string> {
  const url = `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`;
  const document = (await getJson(url, 'discovery', dispatcher, signal)) as Record<string, unknown> | null;
  const uri = document?.['jwks_uri'];
  // Section 4.3: exactly the same, or it speaks for somebody else.
  if (document?.['issuer'] !== issuer) {
    throw new IssuerUnusable('discovery: the document is of another issuer than AUTH_JWT_ISSUER');
  }
  if (typeof uri !== 'string' || !URL.canParse(uri) || !/^https?:/.test(uri)) {
    throw new IssuerUnusable('discovery: the document names no usable jwks_uri');
  }
  if (isSecureUrl(issuer) && !isSecureUrl(uri)) {
    throw new IssuerUnusable('discovery: the jwks_uri is not https though the issuer is');
  }
  return uri;
}

/** A redirect is not followed: it is not a 200. */
async function getJson(url: string, what: string, dispatcher: Agent, signal: AbortSignal): Promise<unknown> {
  try {
    const { statusCode, body } = await request(url, {
      dispatcher,
      signal,
      // Whoever says nothing takes any coding (RFC 9110 section 12.5.3), and nothing here decodes one.
      headers: { accept: 'application/json', 'accept-encoding': 'identity' },
    });
    if (statusCode !== 200) throw new IssuerUnusable(`${what}: status ${statusCode}`);
    return await body.json();
  } catch (error) {
    if (error instanceof IssuerUnusable) throw error;
    if (signal.aborted) throw new IssuerUnusable(`${what}: no answer in time`);
    // Of the reader of JSON, whose message would repeat the answer, there is no code.
    throw new IssuerUnusable(`${what}: ${(error as NodeJS.ErrnoException).code ?? 'not JSON'}`);
  }
}
