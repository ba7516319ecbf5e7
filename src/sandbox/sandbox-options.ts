import { parseLimits } from './quota-windows.js';

/** A role that a restricted administrator may have; a delete needs 'all'. */
export type SandboxRole =
  'OpenAiChatMessage-Create' | 'OpenAiChatMessage-Edit' | 'OpenAiChatMessage-Read' | 'OpenAiChatMessage-List';

/** An administrator of the pretended tenant. */
export interface SandboxAccount {
  username: string;
  password: string;
  /** Base32; set, it makes a login need `totp`. */
  totpSecret?: string;
  roles?: 'all' | SandboxRole[];
  mustResetPassword?: boolean;
  suspended?: boolean;
  fullName?: string;
}

/** How the fake plays what is configurable or unknown of Nexudus; defaults in {@link withDefaults}. */
export interface SandboxOptions {
  /** 0: any free one. The host is always 127.0.0.1. */
  port?: number;
  accounts?: SandboxAccount[];
  tokenLifetimeSeconds?: number;
  refreshLifetimeSeconds?: number;
  /** Undocumented upstream: does a new login with the same client_id kill live access tokens? */
  loginKillsAccessTokens?: boolean;
  /** `60/1m,2500/1d`, or `off`. */
  writeLimits?: string;
  /** Over every call, the token's too. */
  callLimits?: string;
  windowShape?: 'sliding' | 'fixed';
  /** Fixed windows begin at this plus whole periods. */
  windowOffsetMs?: number;
  throttleStatus?: 409 | 429;
  /** The header's value; null leaves it out. */
  throttleRetryAfter?: string | null;
  /** Undocumented upstream: the answer to a PUT of an unknown Id. */
  unknownIdAnswer?: '404-string' | '400-errors' | '200-unsuccessful';
  createValue?: 'id' | 'record';
  /** Undocumented upstream: what becomes of `SystemId` on a create. */
  systemId?: 'stored' | 'ignored' | 'refused';
  /** A record shows in lists so long after it was created. */
  listLagMs?: number;
  /** Contradictory upstream: what `dir=1` of a list means. */
  dirOneMeans?: 'ascending' | 'descending';
  /** The server's idle socket timeout; read at the start only. */
  keepAliveTimeoutMs?: number;
  now?: () => number;
}

/** Every option with a value; tests may change most of them while the fake runs. */
export type SandboxSettings = Required<SandboxOptions>;

const REFRESH_LIFETIME_SECONDS = 15 * 24 * 60 * 60;

/** Fills in what was not given, and checks what would otherwise fail at the first call. */
export function withDefaults(options: SandboxOptions): SandboxSettings {
  const settings: SandboxSettings = {
    port: 0,
    accounts: [{ username: 'service@example.com', password: 'sandbox-password', roles: 'all' }],
    tokenLifetimeSeconds: 604_799,
    refreshLifetimeSeconds: REFRESH_LIFETIME_SECONDS,
    loginKillsAccessTokens: false,
    writeLimits: 'off',
    callLimits: 'off',
    windowShape: 'sliding',
    windowOffsetMs: 0,
    throttleStatus: 409,
    throttleRetryAfter: '1',
    unknownIdAnswer: '404-string',
    createValue: 'id',
    systemId: 'stored',
    listLagMs: 0,
    dirOneMeans: 'descending',
    keepAliveTimeoutMs: 5000,
    now: Date.now,
    ...options,
  };
  parseLimits(settings.writeLimits);
  parseLimits(settings.callLimits);
  return settings;
}
