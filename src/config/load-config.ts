import { plainToInstance } from 'class-transformer';
import { validateSync } from 'class-validator';
import { Environment } from './environment.js';
import type { LedgerKey } from './ledger-keys.js';
import type {
  AppConfig,
  AuthMode,
  CredentialsOrigin,
  DatabaseConfig,
  FromFile,
  JwtConfig,
} from './sections.js';
import { isSecureUrl } from './secure-url.js';

/** One variable that is not as it must be. Never holds the value: it may be a secret. */
export interface ConfigFault {
  readonly variable: string;
  readonly expected: string;
}

/** The environment is not usable; `faults` are all the reasons. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';

  constructor(readonly faults: readonly ConfigFault[]) {
    super(`The configuration has ${faults.length} fault(s)`);
  }
}

/** The files that are needed, each where the variable that names it can be read, whatever is wrong with the others. */
export interface NamedFiles {
  readonly credentialsDir?: string | undefined;
  readonly apiKeys?: string | undefined;
  /** Also one that was given: it may name certificates. */
  readonly databaseUrl?: FromFile<string> | undefined;
  readonly ledgerKeys?: FromFile<readonly LedgerKey[]> | undefined;
}

type Variables = Readonly<Record<string, string | undefined>>;

/**
 * Reads the whole configuration from environment variables. Pure. An empty variable counts as not set.
 *
 * @param hostName the default of the upstream `client_id`: in Kubernetes the pod's name
 * @param ofFiles what is wrong with the {@link namedFiles}
 * @throws ConfigError with every fault at once
 */
export function loadConfig(
  variables: Variables,
  hostName: string,
  ofFiles: readonly ConfigFault[] = [],
): AppConfig {
  const { env, isSet, unreadable } = readEnvironment(variables);
  const faulty = new Set(unreadable.map(({ variable }) => variable));
  const broken = rulesBetween(env, isSet).filter(({ variable }) => !faulty.has(variable));
  const faults = [...unreadable, ...broken, ...ofFiles];
  if (faults.length > 0) throw new ConfigError(faults);
  return toSections(env, hostName);
}

/** The files to look at before a start. Pure: reads none of them. */
export function namedFiles(variables: Variables): NamedFiles {
  const { env, isSet } = readEnvironment(variables);
  return {
    credentialsDir: env.NEXUDUS_CREDENTIALS_DIR,
    apiKeys: apiKeysFile(env),
    databaseUrl: databaseUrl(env),
    ledgerKeys: hasDatabase(isSet) ? ledgerKeys(env) : undefined,
  };
}

/** Whether a variable is there, readable or not. */
type IsSet = (name: keyof Environment) => boolean;

/** What could be read, with the defaults for all else, and the faults of what could not. */
function readEnvironment(variables: Variables): {
  env: Environment;
  isSet: IsSet;
  unreadable: ConfigFault[];
} {
  const given = Object.fromEntries(
    Object.entries(variables).filter(
      ([name, value]) => KNOWN.has(name) && value !== undefined && value.trim() !== '',
    ),
  );
  const all = plainToInstance(Environment, given, { exposeDefaultValues: true });
  const unreadable = validateSync(all, { skipMissingProperties: true }).map(
    ({ property, constraints = {} }): ConfigFault => ({
      variable: property,
      expected: Object.values(constraints).join(', '),
    }),
  );
  const faulty = new Set(unreadable.map(({ variable }) => variable));
  const readable = Object.fromEntries(Object.entries(given).filter(([name]) => !faulty.has(name)));
  return {
    env: plainToInstance(Environment, readable, { exposeDefaultValues: true }),
    isSet: (name) => Object.hasOwn(given, name),
    unreadable,
  };
}

/** The names of all environment variables that are read. */
export const KNOWN: ReadonlySet<string> = new Set(Object.keys(plainToInstance(Environment, {})));

/** Any of them asks for JWTs, so that a half of what they need is a fault and not ignored. */
const JWT_VARIABLES = ['AUTH_JWT_ISSUER', 'AUTH_JWT_AUDIENCE', 'AUTH_JWKS_URI'] as const;

/** The rules look at what could be read; a variable that could not be has its own fault already. */
function rulesBetween(env: Environment, isSet: IsSet): ConfigFault[] {
  const modes = authModes(env);
  const rules: [broken: boolean, variable: string, expected: string][] = [
    [
      !isSet('NEXUDUS_CREDENTIALS_DIR') && !(isSet('NEXUDUS_USERNAME') && isSet('NEXUDUS_PASSWORD')),
      'NEXUDUS_CREDENTIALS_DIR',
      'must be set (or both NEXUDUS_USERNAME and NEXUDUS_PASSWORD, for local work)',
    ],
    [
      modes.length === 0 && ![...JWT_VARIABLES, 'AUTH_API_KEYS_FILE' as const].some(isSet),
      'AUTH_MODES',
      'needs a way to authenticate callers: set AUTH_JWT_ISSUER and AUTH_JWT_AUDIENCE, or AUTH_API_KEYS_FILE',
    ],
    [env.PORT !== 0 && env.PORT === env.MANAGEMENT_PORT, 'MANAGEMENT_PORT', 'must be another port than PORT'],
    [modes.length > 1 && modes.includes('none'), 'AUTH_MODES', 'must not combine none with another mode'],
    ...(['AUTH_JWT_ISSUER', 'AUTH_JWT_AUDIENCE'] as const).map((name): [boolean, string, string] => [
      modes.includes('jwt') && !isSet(name),
      name,
      'must be set where callers authenticate by JWT',
    ]),
    [
      modes.includes('api-key') && !isSet('AUTH_API_KEYS_FILE'),
      'AUTH_API_KEYS_FILE',
      'must be set when AUTH_MODES names api-key',
    ],
    ...databaseRules(isSet),
  ];
  if (env.NODE_ENV === 'production') {
    rules.push(
      [modes.includes('none'), 'AUTH_MODES', 'must not be none when NODE_ENV is production'],
      [!isSecure(env.NEXUDUS_BASE_URL), 'NEXUDUS_BASE_URL', 'must be https when NODE_ENV is production'],
      [!isSecure(env.AUTH_JWT_ISSUER), 'AUTH_JWT_ISSUER', 'must be https when NODE_ENV is production'],
      [!isSecure(env.AUTH_JWKS_URI), 'AUTH_JWKS_URI', 'must be https when NODE_ENV is production'],
    );
  }
  return rules.filter(([broken]) => broken).map(([, variable, expected]) => ({ variable, expected }));
}

function hasDatabase(isSet: IsSet): boolean {
  return isSet('DATABASE_URL') || isSet('DATABASE_URL_FILE');
}

function databaseRules(isSet: IsSet): [broken: boolean, variable: string, expected: string][] {
  const hasKeys = isSet('LEDGER_KEYS') || isSet('LEDGER_KEYS_FILE');
  return [
    [
      isSet('DATABASE_URL') && isSet('DATABASE_URL_FILE'),
      'DATABASE_URL_FILE',
      'must not be set beside DATABASE_URL',
    ],
    [
      isSet('LEDGER_KEYS') && isSet('LEDGER_KEYS_FILE'),
      'LEDGER_KEYS_FILE',
      'must not be set beside LEDGER_KEYS',
    ],
    [
      hasDatabase(isSet) && !hasKeys,
      'LEDGER_KEYS',
      'must be set (or LEDGER_KEYS_FILE) where there is a database',
    ],
  ];
}

/** Where no mode is named, those that are configured. */
function authModes(env: Environment): AuthMode[] {
  if (env.AUTH_MODES) return env.AUTH_MODES as AuthMode[];
  const modes: AuthMode[] = [];
  if (JWT_VARIABLES.some((name) => env[name])) modes.push('jwt');
  if (env.AUTH_API_KEYS_FILE) modes.push('api-key');
  return modes;
}

function apiKeysFile(env: Environment): string | undefined {
  return authModes(env).includes('api-key') ? env.AUTH_API_KEYS_FILE : undefined;
}

/** One that is not there has its own fault, where it is needed. */
function isSecure(url: string | undefined): boolean {
  return url === undefined || isSecureUrl(url);
}

function toSections(env: Environment, hostName: string): AppConfig {
  return {
    http: {
      host: env.HOST,
      port: env.PORT,
      bodyLimitBytes: env.BODY_LIMIT_BYTES,
      requestDeadlineMs: env.REQUEST_DEADLINE_MS,
      shutdownTimeoutMs: env.SHUTDOWN_TIMEOUT_MS,
      callerWaitingLimit: env.CALLER_WAITING_LIMIT,
      corsOrigins: env.CORS_ORIGINS,
    },
    chatMessages: {
      contentMaxLength: env.CHAT_MESSAGE_MAX_LENGTH,
      updateReadFirst: env.NEXUDUS_UPDATE_READ_FIRST,
    },
    nexudus: {
      baseUrl: env.NEXUDUS_BASE_URL.replace(/\/+$/, ''),
      credentials: credentialsOrigin(env),
      clientId: env.NEXUDUS_CLIENT_ID ?? hostName,
      writeLimits: env.NEXUDUS_WRITE_LIMITS,
      callLimits: env.NEXUDUS_CALL_LIMITS,
      reserveShare: env.NEXUDUS_DAILY_RESERVE_PERCENT / 100,
      connectTimeoutMs: env.NEXUDUS_CONNECT_TIMEOUT_MS,
      attemptTimeoutMs: env.NEXUDUS_ATTEMPT_TIMEOUT_MS,
      responseLimitBytes: env.UPSTREAM_RESPONSE_LIMIT_BYTES,
    },
    clientAuth: {
      modes: authModes(env),
      apiKeysFile: apiKeysFile(env),
      jwt: authModes(env).includes('jwt') ? jwtConfig(env) : undefined,
    },
    idempotency: { ttlMs: env.IDEMPOTENCY_TTL_S * 1000 },
    problems: { typeBaseUrl: env.PROBLEM_TYPE_BASE_URL },
    observability: {
      host: env.HOST,
      managementPort: env.MANAGEMENT_PORT,
      logLevel: env.LOG_LEVEL,
      otlpEndpoint: env.OTEL_EXPORTER_OTLP_ENDPOINT,
    },
    deliveries: {
      ttlMs: env.DELIVERY_TTL_S * 1000,
      contentRetentionMs: env.DELIVERY_CONTENT_RETENTION_S * 1000,
      unknownHoldMs: env.DELIVERY_UNKNOWN_HOLD_S * 1000,
      backlogLimit: env.DELIVERY_BACKLOG_LIMIT,
      backlogLimitPerCaller: env.DELIVERY_BACKLOG_LIMIT_PER_CALLER,
      tagSystemId: env.NEXUDUS_TAG_SYSTEM_ID,
    },
    database: databaseConfig(env),
  };
}

function databaseConfig(env: Environment): DatabaseConfig | undefined {
  const url = databaseUrl(env);
  const keys = ledgerKeys(env);
  return url && keys && { url, keys, backend: env.DATABASE_BACKEND };
}

function databaseUrl(env: Environment): FromFile<string> | undefined {
  return fromFile(env.DATABASE_URL, env.DATABASE_URL_FILE);
}

function ledgerKeys(env: Environment): FromFile<readonly LedgerKey[]> | undefined {
  return fromFile(env.LEDGER_KEYS, env.LEDGER_KEYS_FILE);
}

function fromFile<T>(value: T | undefined, path: string | undefined): FromFile<T> | undefined {
  if (value !== undefined) return { kind: 'value', value };
  return path === undefined ? undefined : { kind: 'file', path };
}

function jwtConfig(env: Environment): JwtConfig {
  return {
    issuer: env.AUTH_JWT_ISSUER ?? '',
    audience: env.AUTH_JWT_AUDIENCE ?? '',
    jwksUri: env.AUTH_JWKS_URI,
  };
}

function credentialsOrigin(env: Environment): CredentialsOrigin {
  if (env.NEXUDUS_CREDENTIALS_DIR) return { kind: 'directory', path: env.NEXUDUS_CREDENTIALS_DIR };
  return {
    kind: 'fixed',
    username: env.NEXUDUS_USERNAME ?? '',
    password: env.NEXUDUS_PASSWORD ?? '',
    totpSecret: env.NEXUDUS_TOTP_SECRET,
  };
}
