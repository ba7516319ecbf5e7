import type { LedgerKey } from './ledger-keys.js';
import type { QuotaWindow } from './windows.js';

// Each section is an abstract class so that it is a type and an injection token at once.

/** The listener of the API and what it accepts. */
export abstract class HttpConfig {
  abstract readonly host: string;
  abstract readonly port: number;
  abstract readonly bodyLimitBytes: number;
  /** The longest a caller waits, and the default where it names no wait of its own. */
  abstract readonly requestDeadlineMs: number;
  abstract readonly shutdownTimeoutMs: number;
  /** Requests of one caller that may be under way at once. */
  abstract readonly callerWaitingLimit: number;
  /** Of web pages that may call. */
  abstract readonly corsOrigins: readonly string[];
}

/** The rules of a chat message that can be set. */
export abstract class ChatMessagesConfig {
  /** In Unicode code points, as JSON Schema counts. */
  abstract readonly contentMaxLength: number;
  /** Whose messages are read before they are replaced: those of restricted callers, or all. */
  abstract readonly updateReadFirst: 'restricted' | 'always';
}

/** Where the credentials come from: a directory (a mounted Kubernetes Secret), or fixed values. */
export type CredentialsOrigin =
  | { readonly kind: 'directory'; readonly path: string }
  | {
      readonly kind: 'fixed';
      readonly username: string;
      readonly password: string;
      readonly totpSecret: string | undefined;
    };

/** The upstream and how it may be used. */
export abstract class NexudusConfig {
  /** Without a trailing slash. */
  abstract readonly baseUrl: string;
  abstract readonly credentials: CredentialsOrigin;
  /** The `client_id` of this process where the credentials bring none: stable, and of this process alone. */
  abstract readonly clientId: string;
  abstract readonly writeLimits: readonly QuotaWindow[];
  abstract readonly callLimits: readonly QuotaWindow[];
  /** The share of a day's writes that is kept for callers that have used little of them, 0 to 1. */
  abstract readonly reserveShare: number;
  abstract readonly connectTimeoutMs: number;
  abstract readonly attemptTimeoutMs: number;
  abstract readonly responseLimitBytes: number;
}

export type AuthMode = 'jwt' | 'api-key' | 'none';

/** Whose JWTs are accepted. */
export interface JwtConfig {
  /** As it was written: it is compared character by character (OpenID Connect Discovery 1.0 section 4.3). */
  readonly issuer: string;
  readonly audience: string;
  /** Found through the issuer where it is not given. */
  readonly jwksUri: string | undefined;
}

/** Who may call. */
export abstract class ClientAuthConfig {
  abstract readonly modes: readonly AuthMode[];
  /** Where API keys are accepted. */
  abstract readonly apiKeysFile: string | undefined;
  /** Where JWTs are accepted. */
  abstract readonly jwt: JwtConfig | undefined;
}

/** How long the answers to keyed requests are kept. */
export abstract class IdempotencyConfig {
  abstract readonly ttlMs: number;
}

/** How problems are named. */
export abstract class ProblemsConfig {
  /** Ends in `/`; a slug is appended to it. */
  abstract readonly typeBaseUrl: string;
}

/** What operators see. */
export abstract class ObservabilityConfig {
  abstract readonly host: string;
  abstract readonly managementPort: number;
  abstract readonly logLevel: string;
  /** Of a collector for traces (OTLP over HTTP); none are made without. */
  abstract readonly otlpEndpoint: string | undefined;
}

/** What speaks PostgreSQL's protocol, and how it differs. */
export type DatabaseBackend = 'postgres' | 'cockroachdb' | 'yugabytedb' | 'citus';

/** Where a value comes from: it was given, or it stands in a file that may change. */
export type FromFile<T> =
  { readonly kind: 'value'; readonly value: T } | { readonly kind: 'file'; readonly path: string };

/** The database that replicas share. Where there is none, the service is one process with its memory. */
export abstract class DatabaseConfig {
  abstract readonly url: FromFile<string>;
  abstract readonly backend: DatabaseBackend;
  abstract readonly keys: FromFile<readonly LedgerKey[]>;
}

/** How deliveries are kept. */
export abstract class DeliveriesConfig {
  /** How long an accepted delivery may wait. */
  abstract readonly ttlMs: number;
  /** How long content is kept after a delivery is settled. */
  abstract readonly contentRetentionMs: number;
  /** How long one whose outcome is unknown holds up its session. */
  abstract readonly unknownHoldMs: number;
  abstract readonly backlogLimit: number;
  abstract readonly backlogLimitPerCaller: number;
  /** Whether messages are tagged with `SystemId`, so that an unknown one can be found by it. */
  abstract readonly tagSystemId: boolean;
}

/** The whole configuration: a value, read once. */
export interface AppConfig {
  readonly http: HttpConfig;
  readonly chatMessages: ChatMessagesConfig;
  readonly nexudus: NexudusConfig;
  readonly clientAuth: ClientAuthConfig;
  readonly idempotency: IdempotencyConfig;
  readonly problems: ProblemsConfig;
  readonly observability: ObservabilityConfig;
  readonly deliveries: DeliveriesConfig;
  /** Missing: the service is one process, and keeps what it must in memory. */
  readonly database: DatabaseConfig | undefined;
}
