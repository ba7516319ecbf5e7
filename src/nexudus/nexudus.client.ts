import { Injectable } from '@nestjs/common';
import { Clock } from '../clock/clock.js';
import { NexudusConfig } from '../config/sections.js';
import { AppLogger } from '../observability/app-logger.js';
import { AccessTokenSource } from './access-token.source.js';
import type { Deadline } from './deadline.js';
import { readWriteResult, type Verdict, type WriteOperation } from './envelope.js';
import { OutcomeUnknown, UpstreamUnavailable, WriteAbandoned, isNexudusError } from './nexudus.errors.js';
import { Pacer, sleep } from './pacer.js';
import { parseRetryAfterMs } from './retry-after.js';
import { decide } from './retry.policy.js';
import { UpstreamTransport } from './upstream.transport.js';
import type { WireResult } from './wire.js';

/** A chat message as Nexudus takes it; with `Id` on a replace. What is undefined is left out, and so cleared. */
export interface NexudusMessage {
  readonly Id?: number;
  readonly BusinessId: number;
  readonly Action: number;
  readonly Content: string;
  readonly UserId?: number;
  readonly AiChannelSessionId?: number;
}

/** One write on its way: whose, and for how long somebody waits for it. */
export interface WriteContext {
  readonly requestId: string;
  readonly deadline: Deadline;
  /** Aborted when the caller goes away. Heeded until the message is sent; what is sent is finished. */
  readonly abandoned: AbortSignal;
  /** Counts what the write took, also when it fails: for the request's log line. */
  readonly effort: WriteEffort;
}

/** What a write took. */
export interface WriteEffort {
  attempts: number;
}

/** What Nexudus said of a write that is done. */
export interface WriteReceipt {
  readonly id: number;
  readonly updatedAt: string | null;
}

const PATH = '/api/sys/openaichatmessages';
const METHODS = { create: 'POST', replace: 'PUT' } as const;

/**
 * Writes chat messages to Nexudus. Each write ends not-sent, rejected, done or honestly unknown;
 * what may have run is never sent again, unless a repeat cannot do harm.
 */
@Injectable()
export class NexudusClient {
  constructor(
    private readonly transport: UpstreamTransport,
    private readonly tokens: AccessTokenSource,
    private readonly pacer: Pacer,
    private readonly config: NexudusConfig,
    private readonly clock: Clock,
    private readonly log: AppLogger,
  ) {}

  /** @throws NexudusError whatever the failure */
  async write(
    operation: WriteOperation,
    message: NexudusMessage,
    context: WriteContext,
  ): Promise<WriteReceipt> {
    const body = JSON.stringify(message);
    let failures = 0;
    let tokenRenewed = false;
    // Set by an attempt that may have run: from then on no ending may claim that nothing was sent.
    let unknown: OutcomeUnknown | undefined;
    try {
      for (;;) {
        const token = await this.#admit(context);
        context.effort.attempts += 1;
        const result = await this.#send(operation, body, token, context.deadline);
        const verdict = readWriteResult(operation, result);
        this.#note(operation, verdict, context);
        if (verdict.kind === 'done') return { id: verdict.id, updatedAt: verdict.updatedAt };
        if (verdict.kind === 'not-sent' || verdict.kind === 'unknown') failures += 1;
        if (verdict.kind === 'unknown') unknown = new OutcomeUnknown(verdict.reason, operation === 'replace');

        const decision = decide(verdict, {
          operation,
          failures,
          tokenRenewed: tokenRenewed || this.tokens.isAccountRefused(),
          remainingMs: context.deadline.remainingMs(),
          minimumAttemptMs: context.deadline.minimumAttemptMs,
          retryAfterMs: this.#retryAfterMs(result),
          random: Math.random(),
        });
        switch (decision.action) {
          case 'stop':
            throw decision.error;
          case 'refuse-account':
            throw this.tokens.refuseAccount();
          case 'retry':
            await sleep(decision.afterMs, this.clock, context.abandoned);
            break;
          case 'pause':
            this.pacer.pause(decision.forMs);
            break;
          case 'renew-token':
            tokenRenewed = true;
            this.tokens.discard(token);
            break;
        }
      }
    } catch (error) {
      throw unknown !== undefined && isNotSent(error) ? unknown : error;
    }
  }

  /** A token and a turn. The token first, so that nobody holds a turn while a login is under way. */
  async #admit({ deadline, abandoned }: WriteContext): Promise<string> {
    await this.tokens.get(deadline);
    await this.pacer.turn(deadline, abandoned);
    const token = await this.tokens.get(deadline);
    if (abandoned.aborted) throw new WriteAbandoned();
    if (!deadline.allowsAttempt()) throw new UpstreamUnavailable('no-connection', 1_000);
    return token;
  }

  #send(operation: WriteOperation, body: string, token: string, deadline: Deadline): Promise<WireResult> {
    return this.transport.send({
      method: METHODS[operation],
      path: PATH,
      headers: {
        authorization: `Bearer ${token}`,
        'content-type': 'application/json',
        accept: 'application/json',
      },
      body,
      timeoutMs: Math.min(this.config.attemptTimeoutMs, deadline.remainingMs()),
    });
  }

  #retryAfterMs(result: WireResult): number | undefined {
    return result.kind === 'answer'
      ? parseRetryAfterMs(result.headers['retry-after'], this.clock.epochMs())
      : undefined;
  }

  #note(operation: WriteOperation, verdict: Verdict, { requestId, effort }: WriteContext): void {
    if (verdict.kind === 'done' || verdict.kind === 'rejected' || verdict.kind === 'not-found') return;
    const reason = 'reason' in verdict ? verdict.reason : undefined;
    this.log.warn(
      { requestId, operation, attempt: effort.attempts, verdict: verdict.kind, reason },
      'An attempt at Nexudus failed',
    );
  }
}

/** Whether an error says that this attempt left nothing behind; an earlier one may have. */
function isNotSent(error: unknown): boolean {
  if (!isNexudusError(error)) return true;
  return (
    error.code !== 'message-rejected' &&
    error.code !== 'message-not-found' &&
    error.code !== 'outcome-unknown'
  );
}
