import { randomBytes } from 'node:crypto';
import { type Answer, emptyAnswer, jsonAnswer } from './answers.js';
import { type RecordedCall } from './call.js';
import { type SandboxAccount, type SandboxSettings } from './sandbox-options.js';
import { totpMatches } from './totp.js';

interface IssuedToken {
  readonly username: string;
  readonly clientId: string;
  readonly expiresAtMs: number;
}

/** Issues access and refresh tokens, and knows which of them are alive. */
export class TokenOffice {
  private readonly accessTokens = new Map<string, IssuedToken>();
  private readonly refreshTokens = new Map<string, IssuedToken>();

  constructor(private readonly settings: SandboxSettings) {}

  /** The answer to a call of the token endpoint. */
  answer(call: RecordedCall): Answer {
    if (call.method !== 'POST') return emptyAnswer(405, { Allow: 'POST' });
    const isForm = /^application\/x-www-form-urlencoded\s*(;|$)/i.test(call.headers['content-type'] ?? '');
    const form = new URLSearchParams(isForm ? call.body : '');
    const clientId = headerText(call.headers['client_id']);
    if (form.get('grant_type') === 'password') return this.login(form, clientId);
    if (form.get('grant_type') === 'refresh_token') return this.refresh(form, clientId);
    return tokenError('unsupported_grant_type', 'Use a form with grant_type password or refresh_token.');
  }

  /** Whose call is it? Undefined for a token that is missing, expired, revoked or of an account that is gone. */
  accountOf(authorization: string | undefined): SandboxAccount | undefined {
    const [, scheme = '', credentials = ''] = /^(\S+) +(\S+)$/.exec(authorization ?? '') ?? [];
    if (scheme.toLowerCase() === 'basic') return this.accountOfBasic(credentials);
    if (scheme.toLowerCase() !== 'bearer') return undefined;
    const token = this.live(this.accessTokens, credentials);
    return token && this.activeAccount(token.username);
  }

  revokeAccessTokens(username?: string): void {
    forget(this.accessTokens, (token) => username === undefined || token.username === username);
  }

  revokeRefreshTokens(username?: string): void {
    forget(this.refreshTokens, (token) => username === undefined || token.username === username);
  }

  private login(form: URLSearchParams, header: string | undefined): Answer {
    const account = this.activeAccount(form.get('username') ?? '');
    if (account?.password !== form.get('password')) {
      return tokenError('invalid_grant', 'The user name or password is incorrect.');
    }
    const code = form.get('totp') ?? '';
    if (account.totpSecret !== undefined && !totpMatches(account.totpSecret, code, this.settings.now())) {
      return tokenError('two_factor_auth_check', 'A two-factor authentication code is needed.');
    }
    if (account.mustResetPassword === true) return mustReset();

    const clientId = header ?? account.username;
    if (this.settings.loginKillsAccessTokens) {
      forget(this.accessTokens, (token) => isFor(token, account.username, clientId));
    }
    return this.issue(account.username, clientId);
  }

  private refresh(form: URLSearchParams, clientId: string | undefined): Answer {
    const token = this.live(this.refreshTokens, form.get('refresh_token') ?? '');
    const account = token && this.activeAccount(token.username);
    if (token === undefined || account === undefined || token.clientId !== clientId) {
      return tokenError('invalid_grant', 'The refresh token is used, expired or of another client_id.');
    }
    if (account.mustResetPassword === true) return mustReset();
    return this.issue(token.username, token.clientId);
  }

  private live(tokens: ReadonlyMap<string, IssuedToken>, text: string): IssuedToken | undefined {
    const token = tokens.get(text);
    return this.settings.now() < (token?.expiresAtMs ?? 0) ? token : undefined;
  }

  private issue(username: string, clientId: string): Answer {
    const { tokenLifetimeSeconds, refreshLifetimeSeconds } = this.settings;
    // One refresh token per account and client_id: the new one is the end of the old one.
    forget(this.refreshTokens, (token) => isFor(token, username, clientId));
    const accessToken = randomBytes(48).toString('base64url');
    const refreshToken = randomBytes(24).toString('hex');
    const nowMs = this.settings.now();
    this.accessTokens.set(accessToken, {
      username,
      clientId,
      expiresAtMs: nowMs + tokenLifetimeSeconds * 1000,
    });
    this.refreshTokens.set(refreshToken, {
      username,
      clientId,
      expiresAtMs: nowMs + refreshLifetimeSeconds * 1000,
    });
    return jsonAnswer(200, {
      access_token: accessToken,
      token_type: 'bearer',
      expires_in: tokenLifetimeSeconds,
      refresh_token: refreshToken,
    });
  }

  /** HTTP Basic works upstream on the REST calls, too; there is no place for a code in it. */
  private accountOfBasic(credentials: string): SandboxAccount | undefined {
    const [, username = '', password = ''] =
      /^([^:]*):([^]*)$/.exec(Buffer.from(credentials, 'base64').toString('utf8')) ?? [];
    const account = this.activeAccount(username);
    return account?.password === password && account.totpSecret === undefined ? account : undefined;
  }

  private activeAccount(username: string): SandboxAccount | undefined {
    return this.settings.accounts.find((one) => one.username === username && one.suspended !== true);
  }
}

/** The 400 of the token endpoint. */
export function tokenError(error: string, description?: string, status = 400): Answer {
  return jsonAnswer(status, {
    error,
    ...(description === undefined ? {} : { error_description: description }),
  });
}

function mustReset(): Answer {
  return tokenError('must_reset_password', 'The password must be reset.');
}

function headerText(value: string | string[] | undefined): string | undefined {
  const text = Array.isArray(value) ? value.join(', ') : value;
  return text === '' ? undefined : text;
}

function isFor(token: IssuedToken, username: string, clientId: string): boolean {
  return token.username === username && token.clientId === clientId;
}

function forget(tokens: Map<string, IssuedToken>, isDoomed: (token: IssuedToken) => boolean): void {
  for (const [text, token] of tokens) if (isDoomed(token)) tokens.delete(text);
}
