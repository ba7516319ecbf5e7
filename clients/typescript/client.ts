import createFetchClient, { type Client } from 'openapi-fetch';
import { backOffMs, isProblem, pause, problemIn, retryAfterMs } from './answers.js';
import type { components, paths } from './schema.js';

export { isProblem };

type Schemas = components['schemas'];

/** A chat message as it is sent. */
export type ChatMessage = Schemas['ChatMessage'];
/** A chat message as Nexudus has it. */
export type ChatMessageRepresentation = Schemas['ChatMessageRepresentation'];
/** A message that was handed over and is not settled yet. */
export type AcceptedDelivery = Schemas['AcceptedDelivery'];
/** The same when it is asked for, and what became of it: `outcome` is null until it is settled. */
export type Delivery = Schemas['Delivery'];
/** Everything that can go wrong, told apart by `status`, `outcome` and {@link slugOf}. */
export type Problem = Schemas['Problem'];
/** The stable name of a kind of problem. */
export type ProblemSlug = Schemas['ProblemKind']['slug'];
/** A client of every operation, typed by the service's description. */
export type ApiClient = Client<paths>;

export interface ClientOptions {
  /** Where the service is: `https://chat.example.com`. */
  readonly baseUrl: string;
  /** An API key or an access token, or what gives one: asked before each request. */
  readonly token: string | (() => string | Promise<string>);
  /** Instead of the global one. */
  readonly fetch?: (request: Request) => Promise<Response>;
}

/** Makes a client of every operation. */
export function createClient({ baseUrl, token, fetch }: ClientOptions): ApiClient {
  const client = createFetchClient<paths>({ baseUrl, ...(fetch && { fetch }) });
  client.use({
    async onRequest({ request }) {
      request.headers.set('Authorization', `Bearer ${typeof token === 'string' ? token : await token()}`);
      return request;
    },
  });
  return client;
}

/** The kind of a problem, wherever its `type` is based: `quota-exhausted`. */
export function slugOf({ type }: Problem): ProblemSlug {
  return type.slice(type.lastIndexOf('/') + 1) as ProblemSlug;
}

export interface SendOptions {
  /** Replaces this message; without it, one is created. */
  readonly id?: number;
  /** Names this message for good. Keep your own where a repeat may come after a reload or a restart. */
  readonly idempotencyKey?: string;
  /** How often it is sent at most. Default 5. */
  readonly attempts?: number;
  /** How long all attempts and the waiting between them may take. Default 60 s. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

/** How sending ended, with what the service said about it. */
export type Sent =
  | { readonly ok: true; readonly message: ChatMessageRepresentation; readonly isReplayed: boolean }
  | {
      readonly ok: false;
      readonly problem: Problem;
      /** When a repeat can succeed, where the problem is retryable and the service says so. */
      readonly retryAfterMs: number | undefined;
    };

/** How handing over ended: it may be settled already, or the service may have nowhere to keep it and have sent it. */
export type HandedOver =
  Sent | { readonly ok: true; readonly delivery: AcceptedDelivery; readonly isReplayed: boolean };

/**
 * The last attempt got no answer of the service. The message may exist; with the same key it is safe to send again, as
 * long as the service remembers the key.
 */
export class NoAnswer extends Error {
  override readonly name = 'NoAnswer';

  constructor(
    readonly idempotencyKey: string,
    cause: unknown,
  ) {
    super('The service did not answer: the message may or may not exist now', { cause });
  }
}

/**
 * Sends a message, again and with the same idempotency key as long as that is safe: when the service calls its
 * problem `retryable`, and when no answer came at all. Never when the outcome of a create is unknown.
 *
 * @throws NoAnswer when the last attempt, or the time, ended without an answer of the service
 * @throws the reason of `signal` when it is aborted
 */
export async function send(
  client: ApiClient,
  message: ChatMessage,
  options: SendOptions = {},
): Promise<Sent> {
  // The service hears how long is waited for it: then it answers, instead of being hung up on.
  const sent = await sendRepeatedly(client, message, options, (leftS) => `wait=${leftS}`);
  if ('delivery' in sent) throw new Error('The message was handed over, though nobody asked for it');
  return sent;
}

/**
 * Hands a message over, as safely as {@link send}: a service with a database keeps it and sends it when its turn comes.
 * What becomes of it tell `settled` and `follow` of deliveries.ts, to any process that knows the id.
 *
 * @param options with how many seconds the service may take to settle it at once. Default 0
 * @throws what {@link send} does
 */
export async function handOver(
  client: ApiClient,
  message: ChatMessage,
  { waitS = 0, ...options }: SendOptions & { readonly waitS?: number } = {},
): Promise<HandedOver> {
  return sendRepeatedly(client, message, options, (leftS) =>
    waitS > 0 ? `respond-async, wait=${Math.min(waitS, leftS)}` : 'respond-async',
  );
}

async function sendRepeatedly(
  client: ApiClient,
  message: ChatMessage,
  options: SendOptions,
  prefer: (leftS: number) => string,
): Promise<HandedOver> {
  const { id, attempts = 5, timeoutMs = 60_000, idempotencyKey = crypto.randomUUID() } = options;
  const endsAtMs = performance.now() + timeoutMs;
  const timeout = AbortSignal.timeout(timeoutMs);
  const signal = options.signal ? AbortSignal.any([options.signal, timeout]) : timeout;

  for (let attempt = 1; ; attempt++) {
    const leftS = Math.max(1, Math.floor((endsAtMs - performance.now()) / 1000) - 1);
    const header = { 'Idempotency-Key': `"${idempotencyKey}"`, Prefer: prefer(leftS) };
    const result = await sendOnce(client, message, { id, header, signal }).catch((failure: unknown) => {
      options.signal?.throwIfAborted();
      return { failure };
    });
    if ('ok' in result && (result.ok || !result.problem.retryable)) return result;
    const pauseMs = ('ok' in result ? result.retryAfterMs : undefined) ?? backOffMs(attempt);
    if (attempt >= attempts || performance.now() + pauseMs >= endsAtMs) {
      if ('ok' in result) return result;
      throw new NoAnswer(idempotencyKey, result.failure);
    }
    await pause(pauseMs, signal);
  }
}

interface Attempt {
  readonly id: number | undefined;
  readonly header: { readonly 'Idempotency-Key': string; readonly Prefer: string };
  readonly signal: AbortSignal;
}

/** @throws whatever kept the service's answer away: the network, or something on the way that answered instead */
async function sendOnce(
  client: ApiClient,
  body: ChatMessage,
  { id, header, signal }: Attempt,
): Promise<HandedOver> {
  const { data, error, response } =
    id === undefined
      ? await client.POST('/v1/chat-messages', { params: { header }, body, signal })
      : await client.PUT('/v1/chat-messages/{id}', { params: { header, path: { id } }, body, signal });
  if (data) {
    const isReplayed = response.headers.has('Idempotency-Replayed');
    return 'state' in data
      ? { ok: true, delivery: data, isReplayed }
      : { ok: true, message: data, isReplayed };
  }
  return { ok: false, problem: problemIn(error, response), retryAfterMs: retryAfterMs(response) };
}
