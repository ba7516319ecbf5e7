import { setTimeout as delay } from 'node:timers/promises';
import { Agent, type Dispatcher, request } from 'undici';
import { type Answer, deliveryIdOf, isFinal, type Message, type Request } from './history.js';
import type { Prng } from './prng.js';
import type { Replica } from './replica.js';
import { CALLERS, keyOf, type World } from './world.js';

/** Longer than any replica lets a caller wait. */
const LONGEST_PATIENCE_MS = 8_000;
const SHORTEST_PATIENCE_MS = 1_500;
/** A replica that has only just begun, or whose way to the database was cut, needs some time to find it. */
const AWAY_FOR_MS = 10_000;
const BUSINESS = 1;

/** What Nexudus is to do with a message, as words in its text, and how often. */
const WORDS: readonly (readonly [number, string | undefined])[] = [
  [0.04, 'sandbox:lost'],
  [0.03, 'sandbox:dropped'],
  [0.06, 'sandbox:slow=600'],
  [0.03, 'sandbox:reject'],
  [0.02, 'sandbox:truncated'],
  [0.82, undefined],
];

/** A replace that is never answered is tried again for as long as it may wait: a day. */
const NOT_FOR_REPLACES = /lost|dropped|truncated/;

/** How a client hands a message over, and how often. */
const MANNERS: readonly (readonly [number, { mode: Message['mode']; isKeyed: boolean }])[] = [
  [0.1, { mode: 'sync', isKeyed: false }],
  [0.3, { mode: 'sync', isKeyed: true }],
  [0.4, { mode: 'async', isKeyed: true }],
  [0.2, { mode: 'async', isKeyed: false }],
];

/** Which messages a client writes: of a session, such as replace one of two, or neither. */
export type Role = 'session' | 'replaces' | 'loose';

/** Callers that all use the replicas at once, each on its own: what they send, and what they hear. */
export class Traffic {
  readonly messages: Message[] = [];
  readonly #agent = new Agent({ connections: 64, keepAliveTimeout: 1_000 });
  #isOn = true;

  /** @param giveUp whether it is time to give up what was not handed over yet */
  constructor(
    private readonly world: World,
    private readonly prng: Prng,
    private readonly giveUp: () => boolean,
  ) {}

  /** Runs until it is stopped, and all that was begun has been handed over or given up. */
  async run(roles: readonly Role[]): Promise<void> {
    await Promise.all(roles.map((role, index) => this.#client(role, index + 1)));
  }

  /** No new messages. */
  stop(): void {
    this.#isOn = false;
  }

  async close(): Promise<void> {
    await this.#agent.destroy();
  }

  /**
   * Writes a message. One with a key is repeated until it is known what became of it, or until it is accepted.
   *
   * @param choose whom to ask
   */
  async handOver(message: Message, prng: Prng, choose = () => this.#any(prng)): Promise<void> {
    this.messages.push(message);
    while (!this.giveUp()) {
      const replica = choose();
      if (replica === undefined) {
        await delay(50);
        continue;
      }
      const patienceMs = prng.chance(0.8)
        ? LONGEST_PATIENCE_MS
        : prng.between(SHORTEST_PATIENCE_MS, LONGEST_PATIENCE_MS);
      const sent = await this.#write(replica, message, patienceMs, prng.chance(0.3) ? ', wait=1' : '');
      message.requests.push(sent);
      // Without a key nobody can know whether a repeat would write it twice.
      if (message.key === undefined || isFinal(sent.answer)) return;
      await delay(Math.min(sent.answer?.retryAfterMs ?? 100, prng.between(150, 600)));
    }
  }

  /** Asks what became of a delivery. */
  async follow(message: Message, prng: Prng): Promise<void> {
    const id = deliveryIdOf(message);
    if (id === undefined) return;
    const page = (replica: Replica): Promise<Request> =>
      this.#call(replica, message, 'GET', `/v1/deliveries/${id}`);
    const followed = await this.#heard(prng, page);
    if (followed !== undefined) message.followed = followed;
  }

  /** Asks once more, with the same key: the answer must be the same, and nothing be written. */
  async repeat(message: Message, prng: Prng): Promise<void> {
    const write = (replica: Replica): Promise<Request> =>
      this.#write(replica, message, LONGEST_PATIENCE_MS, '');
    const repeated = await this.#heard(prng, write);
    if (repeated !== undefined) message.repeated = repeated;
  }

  async #client(role: Role, number: number): Promise<void> {
    const name = `${role} ${number}`;
    const prng = this.prng.fork(name);
    const targets =
      role === 'replaces'
        ? [1, 2].map(
            (n) => this.world.sandbox.seed({ BusinessId: BUSINESS, Content: `before ${name} ${n}` }).Id,
          )
        : [];
    for (let n = 1; this.#isOn && !this.giveUp(); n += 1) {
      const target = targets.length > 0 ? prng.pick(targets) : undefined;
      const { mode, isKeyed } = weighted(prng, MANNERS);
      const drawn = weighted(prng, WORDS);
      const word = target !== undefined && NOT_FOR_REPLACES.test(drawn ?? '') ? undefined : drawn;
      const message = newMessage({
        content: [name, n, ...(word === undefined ? [] : [word])].join(' '),
        client: name,
        caller: CALLERS[number % CALLERS.length] ?? CALLERS[0],
        target,
        sessionId: role === 'session' ? number : undefined,
        mode,
        key: isKeyed ? `${name} ${n}`.replaceAll(' ', '-') : undefined,
      });
      await this.handOver(message, prng);
      if (prng.chance(0.05)) await this.#cancel(message, prng);
      await delay(prng.between(20, 400));
    }
  }

  async #cancel(message: Message, prng: Prng): Promise<void> {
    const id = deliveryIdOf(message);
    const replica = this.#any(prng);
    if (id === undefined || replica === undefined) return;
    message.cancel = await this.#call(replica, message, 'DELETE', `/v1/deliveries/${id}`);
  }

  /** Asks any replica, and again while the one that is asked has no way to the database: the last answer. */
  async #heard(prng: Prng, ask: (replica: Replica) => Promise<Request>): Promise<Request | undefined> {
    const beganAtMs = Date.now();
    for (;;) {
      const replica = this.#any(prng);
      if (replica === undefined) return undefined;
      const sent = await ask(replica);
      const isAway = sent.answer?.status === 503 && Date.now() < beganAtMs + AWAY_FOR_MS;
      // Whatever came of the first one counts, too.
      if (!isAway) return { ...sent, atMs: beganAtMs };
      await delay(200);
    }
  }

  async #write(replica: Replica, message: Message, patienceMs: number, wait: string): Promise<Request> {
    const { operation, path, key, mode, content, sessionId } = message;
    return this.#call(replica, message, operation === 'create' ? 'POST' : 'PUT', path, {
      patienceMs,
      headers: {
        'content-type': 'application/json',
        ...(key !== undefined && { 'idempotency-key': key }),
        ...(mode === 'async' && { prefer: `respond-async${wait}` }),
      },
      body: JSON.stringify({ businessId: BUSINESS, content, sessionId }),
    });
  }

  async #call(
    replica: Replica,
    { caller }: Message,
    method: 'GET' | 'POST' | 'PUT' | 'DELETE',
    path: string,
    { patienceMs = LONGEST_PATIENCE_MS, headers = {}, body = null }: CallOptions = {},
  ): Promise<Request> {
    const sent: Request = { replica: replica.name, method, atMs: Date.now() };
    try {
      const response = await request(`${replica.url ?? ''}${path}`, {
        method,
        headers: { authorization: `Bearer ${keyOf(caller)}`, ...headers },
        body,
        dispatcher: this.#agent,
        signal: AbortSignal.timeout(patienceMs),
      });
      sent.answer = await read(response);
    } catch (error) {
      sent.failure = error instanceof Error ? `${error.name}: ${error.message}` : 'unknown';
    }
    sent.endedAtMs = Date.now();
    return sent;
  }

  /** As a load balancer chooses that has not noticed anything yet. */
  #any(prng: Prng): Replica | undefined {
    const { up } = this.world;
    return up.length > 0 ? prng.pick(up) : undefined;
  }
}

interface CallOptions {
  readonly patienceMs?: number;
  readonly headers?: Record<string, string>;
  readonly body?: string | null;
}

/** What makes a message, and what follows from it. */
export function newMessage({
  target,
  ...given
}: Pick<Message, 'content' | 'client' | 'caller' | 'sessionId' | 'mode' | 'key'> & {
  /** The message that it replaces. */
  readonly target: number | undefined;
}): Message {
  const session = given.sessionId === undefined ? undefined : `session ${given.sessionId}`;
  return {
    ...given,
    operation: target === undefined ? 'create' : 'replace',
    path: target === undefined ? '/v1/chat-messages' : `/v1/chat-messages/${target}`,
    order: target === undefined ? session : `message ${target}`,
    requests: [],
  };
}

async function read({ statusCode, headers, body }: Dispatcher.ResponseData): Promise<Answer> {
  const text = await body.text();
  const retryAfter = headers['retry-after'];
  return {
    status: statusCode,
    text,
    body: parsed(text),
    replayed: headers['idempotency-replayed'] === 'true',
    retryAfterMs: typeof retryAfter === 'string' ? Number(retryAfter) * 1_000 : undefined,
  };
}

function parsed(text: string): Record<string, unknown> {
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch {
    return {};
  }
}

/** One of them, each as often as its share says; all shares together are 1. */
function weighted<T>(prng: Prng, choices: readonly (readonly [share: number, item: T])[]): T {
  let left = prng.unit();
  for (const [share, item] of choices) if ((left -= share) < 0) return item;
  const [[, first] = missing()] = choices;
  return first;
}

function missing(): never {
  throw new Error('nothing to choose from');
}
