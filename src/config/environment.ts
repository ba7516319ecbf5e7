import { type LedgerKey } from './ledger-keys.js';
import type { DatabaseBackend } from './sections.js';
import {
  HeaderValue,
  HttpUrl,
  HttpUrlWithQuery,
  Keyring,
  OneOf,
  Origins,
  PostgresUrl,
  ReferenceBase,
  Secret,
  SomeOf,
  Text,
  TotpSecret,
  TrueOrFalse,
  WholeNumber,
  Windows,
} from './variable.decorators.js';
import { parseWindows, type QuotaWindow } from './windows.js';

const DAY_S = 86_400;
/** setTimeout fires at once beyond 2^31-1 ms; an hour is more than any ingress waits. */
const LONGEST_WAIT_MS = 3_600_000;

/**
 * Every environment variable of the service, with its default and what is expected of it.
 * The property names are the variables' names; `.env.example` is kept in step by a test.
 */
export class Environment {
  @OneOf('development', 'test', 'production') NODE_ENV = 'development';

  @WholeNumber(0, 65_535) PORT = 3000;
  @Text() HOST = '0.0.0.0';
  @WholeNumber(0, 65_535) MANAGEMENT_PORT = 9464;

  @HttpUrl() NEXUDUS_BASE_URL = 'https://spaces.nexudus.com';
  @Text() NEXUDUS_CREDENTIALS_DIR?: string;
  @Text() NEXUDUS_USERNAME?: string;
  @Secret() NEXUDUS_PASSWORD?: string;
  @TotpSecret() NEXUDUS_TOTP_SECRET?: string;
  @HeaderValue() NEXUDUS_CLIENT_ID?: string;
  @Windows() NEXUDUS_WRITE_LIMITS: QuotaWindow[] = parseWindows('60/1m,2500/1d') ?? [];
  @Windows() NEXUDUS_CALL_LIMITS: QuotaWindow[] = parseWindows('1/100ms,120/1m,5000/1h') ?? [];
  @WholeNumber(0, 90) NEXUDUS_DAILY_RESERVE_PERCENT = 10;
  @WholeNumber(1, LONGEST_WAIT_MS) NEXUDUS_CONNECT_TIMEOUT_MS = 3000;
  @WholeNumber(1, LONGEST_WAIT_MS) NEXUDUS_ATTEMPT_TIMEOUT_MS = 10_000;
  @OneOf('restricted', 'always') NEXUDUS_UPDATE_READ_FIRST: 'restricted' | 'always' = 'restricted';
  @WholeNumber(1, 2 ** 30) UPSTREAM_RESPONSE_LIMIT_BYTES = 1_048_576;

  @WholeNumber(1, LONGEST_WAIT_MS) REQUEST_DEADLINE_MS = 25_000;
  @WholeNumber(1, 1_000_000) CALLER_WAITING_LIMIT = 1000;
  @WholeNumber(1, 2 ** 30) BODY_LIMIT_BYTES = 262_144;
  @WholeNumber(1, 2 ** 28) CHAT_MESSAGE_MAX_LENGTH = 16_384;
  @ReferenceBase() PROBLEM_TYPE_BASE_URL = '/problems/';
  @Origins() CORS_ORIGINS: string[] = [];
  @WholeNumber(1, 365 * DAY_S) IDEMPOTENCY_TTL_S = DAY_S;

  @SomeOf('jwt', 'api-key', 'none') AUTH_MODES?: string[];
  @HttpUrl() AUTH_JWT_ISSUER?: string;
  @Text() AUTH_JWT_AUDIENCE?: string;
  @HttpUrlWithQuery() AUTH_JWKS_URI?: string;
  @Text() AUTH_API_KEYS_FILE?: string;

  @OneOf('fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent') LOG_LEVEL = 'info';
  @WholeNumber(0, LONGEST_WAIT_MS) SHUTDOWN_TIMEOUT_MS = 25_000;
  @HttpUrl() OTEL_EXPORTER_OTLP_ENDPOINT?: string;

  @PostgresUrl() DATABASE_URL?: string;
  @Text() DATABASE_URL_FILE?: string;
  @OneOf('postgres', 'cockroachdb', 'yugabytedb', 'citus') DATABASE_BACKEND: DatabaseBackend = 'postgres';
  @Keyring() LEDGER_KEYS?: LedgerKey[];
  @Text() LEDGER_KEYS_FILE?: string;
  @WholeNumber(1, 365 * DAY_S) DELIVERY_TTL_S = DAY_S;
  @WholeNumber(0, 365 * DAY_S) DELIVERY_CONTENT_RETENTION_S = 3600;
  @WholeNumber(0, DAY_S) DELIVERY_UNKNOWN_HOLD_S = 60;
  @WholeNumber(1, 100_000_000) DELIVERY_BACKLOG_LIMIT = 100_000;
  @WholeNumber(1, 100_000_000) DELIVERY_BACKLOG_LIMIT_PER_CALLER = 10_000;
  @TrueOrFalse() NEXUDUS_TAG_SYSTEM_ID = false;
}
