import type { RecordedCall, SandboxMessage } from '../../src/sandbox/nexudus-sandbox.js';

/** One request that a client made, and what it heard. Times are milliseconds since the Unix epoch, of one machine. */
export interface Request {
  readonly replica: string;
  readonly method: string;
  readonly atMs: number;
  endedAtMs?: number;
  /** Missing where the connection ended without one, or the client gave up. */
  answer?: Answer;
  /** Why there is no answer. */
  failure?: string;
}

/** What a replica answered. */
export interface Answer {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
  readonly text: string;
  readonly replayed: boolean;
  readonly retryAfterMs: number | undefined;
}

/** One message that a client wants written; no two have the same content. */
export interface Message {
  readonly content: string;
  readonly client: string;
  readonly caller: string;
  readonly operation: 'create' | 'replace';
  readonly path: string;
  readonly sessionId: number | undefined;
  /** Messages of one session, or of one message that they replace, are to arrive in order. */
  readonly order: string | undefined;
  readonly mode: 'sync' | 'async';
  readonly key: string | undefined;
  /** The requests to write it, one after the other. */
  readonly requests: Request[];
  /** The request to cancel it. */
  cancel?: Request;
  /** What is said of its delivery when all is over. */
  followed?: Request;
  /** One more request with its key, when all is over. */
  repeated?: Request;
}

/** A row of the ledger. */
export interface LedgerRow {
  readonly id: string;
  readonly operation: string;
  readonly mode: string;
  readonly state: string;
  readonly attempts: number;
  /** The message at Nexudus that it became. */
  readonly messageId: number | undefined;
  /** The later replace of the same message that is sent in its place. */
  readonly mergedInto: string | undefined;
  readonly settledAtMs: number | undefined;
}

/** Something that was done to a replica, or to its way to the database. */
export interface Disturbance {
  readonly replica: string;
  readonly what: string;
  readonly atMs: number;
  untilMs: number;
}

/** All that is known of a run when it is over. */
export interface History {
  readonly messages: readonly Message[];
  /** What the fake Nexudus received, in order of arrival. */
  readonly calls: readonly Pick<
    RecordedCall,
    'seq' | 'receivedAtMs' | 'method' | 'path' | 'json' | 'status' | 'executed' | 'throttled'
  >[];
  readonly records: ReadonlyMap<number, Pick<SandboxMessage, 'Id' | 'Content'>>;
  /** The ledger when all was settled: before the clients looked back. */
  readonly settled: readonly LedgerRow[];
  /** The ledger at the very end. */
  readonly ledger: readonly LedgerRow[];
  readonly disturbances: readonly Disturbance[];
  /** Throttle answers that the fake was told to give. */
  readonly scriptedThrottles: number;
}

/** Whether it says for good what became of the message, or that it was accepted. */
export function isFinal(answer: Answer | undefined): boolean {
  if (answer === undefined) return false;
  return answer.status < 300 || answer.body['outcome'] !== 'not-sent';
}

/** Of the last answer that named one. */
export function deliveryIdOf({ requests }: Message): string | undefined {
  const accepted = requests.findLast(({ answer }) => answer?.status === 202);
  const id = accepted?.answer?.body['id'];
  return typeof id === 'string' ? id : undefined;
}
