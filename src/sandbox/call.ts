import { type IncomingHttpHeaders } from 'node:http';

/** One call that reached the fake, as a test or a person may look at it afterwards. */
export interface RecordedCall {
  readonly seq: number;
  readonly receivedAtMs: number;
  readonly method: string;
  /** Without the query. */
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingHttpHeaders;
  /** The raw body, decoded as UTF-8. */
  readonly body: string;
  /** The parsed body, or undefined when it is not JSON. */
  readonly json: unknown;
  /** The id of the TCP connection. */
  readonly connection: number;
  /** The status answered; undefined while pending; 'none' if the connection ended without a whole answer. */
  readonly status: number | 'none' | undefined;
  /** Did the fake run the write, i.e. change a record? */
  readonly executed: boolean;
  /** Refused by a window or by a throttle scenario. */
  readonly throttled: boolean;
}

/** A recorded call whose fate is still being written. */
export type LiveCall = Omit<RecordedCall, 'status' | 'executed' | 'throttled'> & {
  status: RecordedCall['status'];
  executed: boolean;
  throttled: boolean;
};

/** The path both write calls share; only reads and deletes add an id. */
export const MESSAGES_PATH = '/api/sys/openaichatmessages';

/** The path of the token endpoint. */
export const TOKEN_PATH = '/api/token';

/** What a call asks for, from method and path alone. */
export type CallKind = 'token' | 'me' | 'create' | 'update' | 'read' | 'list' | 'delete' | 'other';

/** Names what a call asks for; upstream's router does not mind the case of a path. */
export function kindOf({ method, path }: Pick<RecordedCall, 'method' | 'path'>): CallKind {
  const wanted = path.toLowerCase();
  if (wanted === TOKEN_PATH) return 'token';
  if (wanted === '/api/auth/me') return method === 'GET' ? 'me' : 'other';
  if (wanted === MESSAGES_PATH) {
    if (method === 'POST') return 'create';
    if (method === 'PUT') return 'update';
    return method === 'GET' ? 'list' : 'other';
  }
  if (idIn(path) === undefined) return 'other';
  if (method === 'GET') return 'read';
  return method === 'DELETE' ? 'delete' : 'other';
}

/** The id at the end of a message's path, if that is what the path is. */
export function idIn(path: string): number | undefined {
  const digits = /^\/api\/sys\/openaichatmessages\/(\d{1,15})$/i.exec(path)?.[1];
  return digits === undefined ? undefined : Number(digits);
}

/** Does the call count in the write windows? */
export function isMeteredWrite({ method, path }: Pick<RecordedCall, 'method' | 'path'>): boolean {
  return ['POST', 'PUT', 'DELETE'].includes(method) && path.toLowerCase().startsWith('/api/sys/');
}
