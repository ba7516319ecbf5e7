import { HttpModule } from '@nestjs/axios';
import { Inject, Module, type OnApplicationShutdown } from '@nestjs/common';
import { type Dispatcher, Pool } from 'undici';
import { Clock } from '../clock/clock.js';
import { NexudusConfig } from '../config/sections.js';
import { AppLogger } from '../observability/app-logger.js';
import { Lifecycle } from '../observability/lifecycle.js';
import { AccessTokenSource } from './access-token.source.js';
import { AccountCheck } from './account.check.js';
import { AccountRefusals } from './account.refusals.js';
import { Circuit } from './circuit.js';
import { MemoryPacer } from './memory.pacer.js';
import { MemoryTokenVault } from './memory.token.vault.js';
import { MessageFinder } from './message.finder.js';
import { MessageReader } from './message.reader.js';
import { NexudusClient } from './nexudus.client.js';
import { NexudusSignals } from './nexudus.signals.js';
import { PacedCalls } from './paced-call.js';
import { Pacer, SHARED_PACER } from './pacer.js';
import { Passages } from './passages.js';
import { SystemIdTag } from './system-id.tag.js';
import { TokenEndpoint } from './token.endpoint.js';
import { SHARED_TOKEN_VAULT, TokenVault } from './token.vault.js';
import { undiciAdapter } from './undici.adapter.js';
import { UndiciExchange } from './undici.exchange.js';
import { UpstreamTransport } from './upstream.transport.js';
import { WriteTurns } from './write.turns.js';

const POOL = Symbol('undici pool');
const CONNECTIONS = 128;
/** Below the shortest idle time-out in common use (Node's 5 s): a socket is dropped before the upstream drops it. */
const IDLE_SOCKET_MS = 4_000;
/** Where the upstream names its own idle time-out (`Keep-Alive: timeout=N`), this much less than that. */
const IDLE_SOCKET_MARGIN_MS = 2_000;

@Module({
  providers: [
    {
      provide: POOL,
      inject: [NexudusConfig],
      useFactory: (config: NexudusConfig): Dispatcher =>
        new Pool(new URL(config.baseUrl).origin, {
          connections: CONNECTIONS,
          connect: { timeout: config.connectTimeoutMs },
          keepAliveTimeout: IDLE_SOCKET_MS,
          keepAliveTimeoutThreshold: IDLE_SOCKET_MARGIN_MS,
          keepAliveMaxTimeout: 60_000,
        }),
    },
    {
      provide: UndiciExchange,
      inject: [POOL, NexudusConfig],
      useFactory: (dispatcher: Dispatcher, { baseUrl, responseLimitBytes }: NexudusConfig) =>
        new UndiciExchange({ dispatcher, baseUrl, responseLimitBytes }),
    },
  ],
  exports: [UndiciExchange],
})
class UpstreamPoolModule implements OnApplicationShutdown {
  constructor(
    @Inject(POOL) private readonly pool: Dispatcher,
    exchange: UndiciExchange,
    lifecycle: Lifecycle,
    clock: Clock,
  ) {
    // While there is still time to tell the callers what that leaves behind.
    lifecycle.onStop(() => {
      clock.after(Math.max(0, lifecycle.stopByMs - clock.nowMs()), () => {
        exchange.giveUp();
      });
    });
  }

  async onApplicationShutdown(): Promise<void> {
    await this.pool.destroy();
  }
}

/** All that knows Nexudus: the client, the token, the quota. */
@Module({
  imports: [
    UpstreamPoolModule,
    HttpModule.registerAsync({
      imports: [UpstreamPoolModule],
      inject: [UndiciExchange],
      useFactory: (exchange: UndiciExchange) => ({
        adapter: undiciAdapter(exchange),
        // Bodies are text both ways: one serialisation and one parse, both ours.
        transformRequest: [],
        transformResponse: [],
        validateStatus: null,
      }),
    }),
  ],
  providers: [
    NexudusClient,
    NexudusSignals,
    AccessTokenSource,
    AccountCheck,
    AccountRefusals,
    MessageFinder,
    MessageReader,
    Passages,
    SystemIdTag,
    WriteTurns,
    TokenEndpoint,
    PacedCalls,
    UpstreamTransport,
    {
      provide: Pacer,
      inject: [NexudusConfig, Clock, Lifecycle, { token: SHARED_PACER, optional: true }],
      useFactory: (
        { writeLimits, callLimits, reserveShare }: NexudusConfig,
        clock: Clock,
        lifecycle: Lifecycle,
        shared: Pacer | undefined,
      ): Pacer => {
        const pacer =
          shared ?? new MemoryPacer({ write: writeLimits, call: callLimits, reserveShare }, clock);
        lifecycle.onStop(() => {
          pacer.review();
        });
        return pacer;
      },
    },
    {
      provide: TokenVault,
      inject: [{ token: SHARED_TOKEN_VAULT, optional: true }],
      useFactory: (shared: TokenVault | undefined): TokenVault => shared ?? new MemoryTokenVault(),
    },
    {
      provide: Circuit,
      inject: [Clock, AccountCheck, AccessTokenSource, AppLogger],
      useFactory: (clock: Clock, account: AccountCheck, tokens: AccessTokenSource, log: AppLogger) =>
        new Circuit(clock, log, async () => (await account.ask(tokens.current)) !== 'no-answer'),
    },
  ],
  exports: [NexudusClient, AccessTokenSource, Circuit, MessageFinder, Pacer, Passages, SystemIdTag],
})
export class NexudusModule {}
