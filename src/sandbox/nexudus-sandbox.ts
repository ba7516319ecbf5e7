import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { AnswerWire } from './answer-wire.js';
import { type Answer, textAnswer, throttleAnswer } from './answers.js';
import { isMeteredWrite, kindOf, type LiveCall, type RecordedCall, TOKEN_PATH } from './call.js';
import { CallLog } from './call-log.js';
import { controlAnswer, isControl } from './control.js';
import { MessageStore, type SandboxMessage } from './message-store.js';
import { perform } from './perform.js';
import { QuotaMeter } from './quota-windows.js';
import { Routes } from './routes.js';
import {
  type SandboxAccount,
  type SandboxOptions,
  type SandboxSettings,
  withDefaults,
} from './sandbox-options.js';
import { type Scenario, type ScenarioTarget } from './scenario.js';
import { ScenarioBook } from './scenario-book.js';
import { TokenOffice } from './token-office.js';

export type { RecordedCall } from './call.js';
export type { SandboxMessage } from './message-store.js';
export type { SandboxAccount, SandboxOptions, SandboxRole, SandboxSettings } from './sandbox-options.js';
export type { Scenario, ScenarioKind, ScenarioTarget } from './scenario.js';

/** A fake Nexudus on a port of 127.0.0.1: plays the documented behaviour, and the bad days on demand. */
export class NexudusSandbox {
  readonly url: string;
  private readonly log = new CallLog();
  private readonly book = new ScenarioBook();
  private readonly store: MessageStore;
  private readonly tokens: TokenOffice;
  private readonly routes: Routes;
  private readonly writeMeter = new QuotaMeter();
  private readonly callMeter = new QuotaMeter();
  private readonly connections = new WeakMap<Socket, number>();
  private lastConnection = 0;
  private readonly closing = new AbortController();
  private held: (() => void)[] = [];

  private constructor(
    /** A mutable copy: most options may change while the fake runs. */
    readonly options: SandboxSettings,
    private readonly server: Server,
  ) {
    this.url = `http://127.0.0.1:${options.port}`;
    this.store = new MessageStore(() => options.now());
    this.tokens = new TokenOffice(options);
    this.routes = new Routes(options, this.tokens, this.store);
    server.on('request', (request, response) => {
      this.handle(request, response).catch((error: unknown) => {
        this.fault(response, error);
      });
    });
  }

  /** Starts a fake; rejects with EADDRINUSE when a given port is busy. */
  static async start(options: SandboxOptions = {}): Promise<NexudusSandbox> {
    const settings = withDefaults(options);
    const server = createServer({ keepAliveTimeout: settings.keepAliveTimeoutMs });
    server.listen(settings.port, '127.0.0.1');
    await once(server, 'listening');
    settings.port = (server.address() as AddressInfo).port;
    return new NexudusSandbox(settings, server);
  }

  /** Every call since the start or the last {@link clearCalls}, in order of arrival. */
  get calls(): readonly RecordedCall[] {
    return this.log.calls;
  }

  /** The creates and updates among them. */
  get writes(): readonly RecordedCall[] {
    return this.calls.filter((call) => ['create', 'update'].includes(kindOf(call)));
  }

  /** The calls to the token endpoint among them. */
  get tokenCalls(): readonly RecordedCall[] {
    return this.calls.filter((call) => call.path.toLowerCase() === TOKEN_PATH);
  }

  /** The records, by Id. */
  get messages(): ReadonlyMap<number, SandboxMessage> {
    return this.store.messages;
  }

  /** Mutable: tests change passwords and roles. */
  get accounts(): SandboxAccount[] {
    return this.options.accounts;
  }

  /** Puts a record in, as if it had always been there. */
  seed(record: Partial<SandboxMessage> & { BusinessId: number }): SandboxMessage {
    return this.store.seed(record);
  }

  /** The next `times` calls that match `on` get this answer instead of the true one. Queued in order. */
  next(scenario: Scenario, { times = 1, on = 'write' }: { times?: number; on?: ScenarioTarget } = {}): void {
    this.book.next(scenario, on, times);
  }

  /** As {@link next}, until {@link clearScenarios}; what is queued goes first, then the newest. */
  always(scenario: Scenario, { on = 'write' }: { on?: ScenarioTarget } = {}): void {
    this.book.always(scenario, on);
  }

  clearScenarios(): void {
    this.book.clear();
  }

  clearCalls(): void {
    this.log.clear();
  }

  /** Live access tokens die at once. */
  revokeAccessTokens(username?: string): void {
    this.tokens.revokeAccessTokens(username);
  }

  revokeRefreshTokens(username?: string): void {
    this.tokens.revokeRefreshTokens(username);
  }

  /** Resolves with the first call, past or future, that the predicate accepts; asked at arrival and at the end. */
  waitForCall(predicate: (call: RecordedCall) => boolean): Promise<RecordedCall> {
    return this.log.waitFor(predicate);
  }

  /** Lets the calls go on that hang at this moment. */
  release(): void {
    const { held } = this;
    this.held = [];
    for (const goOn of held) goOn();
  }

  /** Destroys open sockets; resolves when the port is free. */
  async close(): Promise<void> {
    if (this.closing.signal.aborted) return;
    this.closing.abort();
    const closed = once(this.server, 'close');
    this.server.close();
    this.server.closeAllConnections();
    await closed;
  }

  private async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = 'GET' } = request;
    const { pathname: path, searchParams: query } = new URL(request.url ?? '/', this.url);
    const { body, isWhole } = await readBody(request);
    if (isControl(path)) {
      new AnswerWire(response, () => undefined).send(controlAnswer(this, method, path, body));
      return;
    }

    const call = this.log.add({
      receivedAtMs: this.options.now(),
      method,
      path,
      query,
      headers: request.headers,
      body,
      json: parsed(body),
      connection: this.connectionOf(request.socket),
    });
    const wire = new AnswerWire(response, (status) => {
      this.log.settle(call, status);
    });
    if (isWhole) await this.play(call, wire);
    else this.log.settle(call, 'none');
  }

  private async play(call: LiveCall, wire: AnswerWire): Promise<void> {
    // The windows count every call, whatever else happens to it.
    const isTooFast = this.exceedsWindows(call);
    const scenario = this.book.take(call);
    call.throttled = isTooFast || scenario?.kind === 'throttle';
    await perform(scenario, {
      call,
      wire,
      settings: this.options,
      run: () => (isTooFast ? this.throttled() : this.routes.answer(call)),
      waitMs: (ms) => delay(ms, undefined, { signal: this.closing.signal }),
      released: () => new Promise((resolve) => this.held.push(resolve)),
    });
  }

  private exceedsWindows(call: LiveCall): boolean {
    const { options } = this;
    const callTooMany = this.callMeter.refuses(options.callLimits, call.receivedAtMs, options);
    const writeTooMany =
      isMeteredWrite(call) && this.writeMeter.refuses(options.writeLimits, call.receivedAtMs, options);
    return callTooMany || writeTooMany;
  }

  private throttled(): Answer {
    return throttleAnswer(this.options.throttleStatus, this.options.throttleRetryAfter);
  }

  private connectionOf(socket: Socket): number {
    const known = this.connections.get(socket);
    if (known !== undefined) return known;
    this.lastConnection += 1;
    this.connections.set(socket, this.lastConnection);
    return this.lastConnection;
  }

  /** A fault of the fake itself must be seen, not taken for a scenario. */
  private fault(response: ServerResponse, error: unknown): void {
    if (this.closing.signal.aborted) return;
    const text = error instanceof Error ? (error.stack ?? error.message) : 'unknown';
    if (response.headersSent) response.destroy();
    else new AnswerWire(response, () => undefined).send(textAnswer(500, `The sandbox is broken: ${text}`));
  }
}

/** Collects bytes and decodes once, so that no character is cut between two chunks. */
async function readBody(request: IncomingMessage): Promise<{ body: string; isWhole: boolean }> {
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of request) chunks.push(chunk as Buffer);
  } catch {
    return { body: Buffer.concat(chunks).toString('utf8'), isWhole: false };
  }
  return { body: Buffer.concat(chunks).toString('utf8'), isWhole: true };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
