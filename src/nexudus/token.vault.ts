import type { Credentials } from './credentials.js';
import type { AccessDeniedReason } from './nexudus.errors.js';

/** An access token, and what it takes to get the next one. Moments are on the clock's monotonic scale. */
export interface TokenPair {
  /** Counts the tokens that were issued for these credentials. */
  readonly generation: number;
  readonly accessToken: string;
  /** Single use. */
  readonly refreshToken: string | undefined;
  /** Named at the login; the refresh token is good with it alone. */
  readonly clientId: string;
  /** When the call was sent whose answer it is: its lifetime counts from there. */
  readonly sentAtMs: number;
  readonly lifetimeMs: number;
  /** When the password was sent that all this goes back to. */
  readonly loggedInAtMs: number;
}

/** A login that Nexudus decided against. */
export interface LoginRefusal {
  readonly reason: AccessDeniedReason;
  /** How many there have been in a row, this one included. */
  readonly count: number;
  /** Nobody tries again before, on the clock's monotonic scale. */
  readonly untilMs: number;
}

/** What is kept of one set of credentials. A refusal does not end a token that was issued before it. */
export interface KeptToken {
  readonly pair?: TokenPair;
  readonly refusal?: LoginRefusal;
}

/** What came of asking for a token. */
export type TokenOutcome =
  | { readonly kind: 'issued'; readonly pair: TokenPair }
  | { readonly kind: 'refused'; readonly refusal: LoginRefusal }
  /** A firewall let nothing through: nothing was said about the credentials, but a person must act. */
  | { readonly kind: 'blocked'; readonly retryAfterMs: number | undefined }
  /** Nothing was said about the credentials. */
  | {
      readonly kind: 'unavailable';
      readonly retryAfterMs?: number | undefined;
      readonly detail: string;
      /** The longest to wait before asking again, where that costs Nexudus nothing. */
      readonly againWithinMs?: number;
    };

/** The right to ask Nexudus for the next token: nobody else does meanwhile. */
export interface TokenLease {
  readonly kept: KeptToken;
  /** When the lease before it ended: up to then somebody else may have sent a two-factor code. */
  readonly formerEndedAtMs: number | undefined;
  /** False when it has ended, since this process was frozen or cut off: somebody else may have it by now. */
  readonly isHeld: boolean;
  /** Makes sure, and makes it last anew. While it is held what is kept is as it was. */
  confirm(): Promise<boolean>;
}

/** Where the token of one set of credentials is kept. */
export interface TokenBox {
  /** What is kept now; nothing where that cannot be told. */
  look(): Promise<KeptToken>;
  /**
   * Resolves with what is kept, as soon as that will do; until then asks Nexudus, when it is this process's turn. What
   * it answers is kept before it is given out, or not given out at all. Rejects with nothing but what `ask` does.
   *
   * @param known what there is to know already; pure
   */
  settle(
    known: (kept: KeptToken) => TokenOutcome | undefined,
    ask: (lease: TokenLease) => Promise<TokenOutcome>,
  ): Promise<TokenOutcome>;
  /** Whoever still waits is sent away. */
  close(): void;
}

/** Keeps tokens. A port: for this process alone, or for all replicas. */
export abstract class TokenVault {
  /** @param changed somebody else may have been issued a token */
  abstract open(credentials: Credentials, changed: () => void): TokenBox;
}

/** Where tokens are kept for all replicas, and not in this process. */
export const SHARED_TOKEN_VAULT = Symbol('shared token vault');
