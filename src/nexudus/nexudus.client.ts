import { Injectable } from '@nestjs/common';
import { Clock } from '../clock/clock.js';
import { NexudusConfig } from '../config/sections.js';
import { DatabaseUnavailable } from '../database/database.errors.js';
import { AppLogger } from '../observability/app-logger.js';
import { Metrics } from '../observability/metrics.js';
import { AccessTokenSource } from './access-token.source.js';
import { AccountRefusals } from './account.refusals.js';
import { Circuit } from './circuit.js';
import { readWriteResult, type Verdict, type WriteOperation } from './envelope.js';
import { isNexudusError, OutcomeUnknown, StoreUnavailable } from './nexudus.errors.js';
import { MESSAGES_PATH, MessageReader } from './message.reader.js';
import { callEnd } from './paced-call.js';
import type { Place, Slot } from './pacer.js';
import { Passages } from './passages.js';
import { decide } from './retry.policy.js';
import { isAboutTag, SystemIdTag } from './system-id.tag.js';
import { UpstreamTransport } from './upstream.transport.js';
import type { WireResult } from './wire.js';
import type { NexudusMessage, Revise, WriteContext, WriteReceipt } from './write.js';
import { WriteTurns } from './write.turns.js';
import { withoutValues } from './without-values.js';

const METHODS = { create: 'POST', replace: 'PUT' } as const;
/** Of the faults of one message, as many as a person reads. */
const MOST_FAULTS = 100;

/**
 * Writes chat messages to Nexudus. Each write ends not-sent, rejected, done or honestly unknown;
 * what may have run is never sent again, unless a repeat cannot do harm.
 */
@Injectable()
export class NexudusClient {
  constructor(
    private readonly transport: UpstreamTransport,
    private readonly tokens: AccessTokenSource,
    private readonly turns: WriteTurns,
    private readonly circuit: Circuit,
    private readonly refusals: AccountRefusals,
    private readonly reader: MessageReader,
    private readonly tagging: SystemIdTag,
    private readonly passages: Passages,
    private readonly config: NexudusConfig,
    private readonly clock: Clock,
    private readonly log: AppLogger,
    private readonly metrics: Metrics,
  ) {}

  /**
   * @param revise where it is given, a record is read before it is replaced: makes of it what is to be sent, and may
   *   throw. It is read in the write's place, so that the order of a session holds.
   * @throws NexudusError whatever the failure
   */
  async write(
    operation: WriteOperation,
    message: NexudusMessage,
    context: WriteContext,
    revise?: Revise,
  ): Promise<WriteReceipt> {
    const { place: given } = context;
    let place: Place | undefined;
    try {
      this.circuit.check();
      place = given ?? (await this.turns.admit(message, context, revise === undefined));
      context.entered?.();
      let revised = message;
      if (revise !== undefined && message.Id !== undefined) {
        // A slot that it has already would be in the way of the read, for which there may be no other.
        given?.requestSlot(giveBack, () => undefined);
        revised = revise(await this.reader.read(message.Id, context));
      }
      const receipt = await this.#attempt(operation, revised, place, context);
      this.metrics.writes.inc({ operation, outcome: 'done' });
      return receipt;
    } catch (error) {
      const failure = fromStore(error);
      this.metrics.writes.inc({
        operation,
        outcome: isNexudusError(failure) ? failure.code : 'internal-error',
      });
      throw failure;
    } finally {
      place?.leave();
    }
  }

  async #attempt(
    operation: WriteOperation,
    message: NexudusMessage,
    place: Place,
    context: WriteContext,
  ): Promise<WriteReceipt> {
    const { deadline, abandoned, effort } = context;
    const tag = operation === 'create' ? context.journal?.id : undefined;
    let failures = 0;
    let tokenRenewed = false;
    // Set by an attempt that may have run: from then on no ending may claim that nothing was sent.
    let unknown: OutcomeUnknown | undefined;
    try {
      for (;;) {
        const { slot, token } = await this.turns.take(place, context);
        await context.journal?.sending(effort.attempts + 1).catch((error: unknown) => {
          slot.end({ kind: 'not-sent' });
          throw error;
        });
        effort.attempts += 1;
        const isTagged = tag !== undefined && this.tagging.state === 'on';
        const body = JSON.stringify(isTagged ? { ...message, SystemId: tag } : message);
        const result = await this.#send(operation, body, token, slot, context).catch((error: unknown) => {
          slot.end({ kind: 'unanswered' });
          throw error;
        });
        const verdict = this.#read(operation, result, message, token);
        this.#account(slot, result, verdict);
        this.#note(operation, verdict, context);
        if (verdict.kind === 'done') return { id: verdict.id, updatedAt: verdict.updatedAt };
        if (verdict.kind === 'not-sent' || verdict.kind === 'unknown') failures += 1;
        if (verdict.kind === 'unknown') unknown = new OutcomeUnknown(verdict.reason, operation === 'replace');

        if (isTagged && verdict.kind === 'rejected' && verdict.faults.some(isAboutTag)) {
          // It was not run, and the caller knows of no tag: the same message goes without it.
          this.tagging.turnOff();
          await context.journal?.notSent();
          continue;
        }
        const decision = decide(verdict, {
          operation,
          failures,
          tokenRenewed: tokenRenewed || this.refusals.of(operation) !== undefined,
          remainingMs: deadline.remainingMs(),
          minimumAttemptMs: deadline.minimumAttemptMs,
          random: Math.random(),
        });
        switch (decision.action) {
          case 'stop':
            throw decision.error;
          case 'refuse-account':
            throw await this.refusals.findOut(operation, token, deadline, abandoned);
          case 'retry':
            await this.clock.sleep(decision.afterMs, abandoned);
            break;
          case 'wait-for-turn':
            break;
          case 'renew-token':
            tokenRenewed = true;
            this.tokens.discard(token);
            break;
        }
        if (unknown === undefined) await context.journal?.notSent();
      }
    } catch (error) {
      throw unknown !== undefined && isNotSent(error) ? unknown : error;
    }
  }

  #send(
    operation: WriteOperation,
    body: string,
    token: string,
    slot: Slot,
    { deadline, abandoned, effort, span, journal }: WriteContext,
  ): Promise<WireResult> {
    const remainingMs = deadline.remainingMs();
    return this.transport.send({
      method: METHODS[operation],
      path: MESSAGES_PATH,
      isWrite: true,
      headers: {
        authorization: `Bearer ${token}`,
        'content-type': 'application/json',
        accept: 'application/json',
      },
      body,
      timeoutMs: Math.min(this.config.attemptTimeoutMs, remainingMs),
      startWithinMs: remainingMs - deadline.minimumAttemptMs,
      // Its slot, and what was written down before it, may have come late.
      isWanted: () =>
        !abandoned.aborted && slot.isHeld !== false && journal?.isHeld !== false && deadline.allowsAttempt(),
      span,
      resendCount: effort.attempts - 1,
    });
  }

  /** What Nexudus says of a message is for its sender, without what was sent and without what is ours. */
  #read(operation: WriteOperation, result: WireResult, message: NexudusMessage, token: string): Verdict {
    const verdict = readWriteResult(operation, result);
    if (verdict.kind !== 'rejected') return verdict;
    const { host, hostname } = new URL(this.config.baseUrl);
    const { Content, BusinessId, UserId, AiChannelSessionId, Id } = message;
    const values = [
      token,
      host,
      hostname,
      this.tokens.accountName,
      Content,
      BusinessId,
      UserId,
      AiChannelSessionId,
      Id,
    ];
    return {
      kind: 'rejected',
      faults: verdict.faults.slice(0, MOST_FAULTS).map(({ propertyName, message: sentence }) => ({
        propertyName,
        message: withoutValues(sentence, values),
      })),
    };
  }

  /** Tells the quota and the circuit how the attempt ended. */
  #account(slot: Slot, result: WireResult, verdict: Verdict): void {
    if (verdict.kind === 'throttled') this.metrics.quotaThrottled.inc();
    // A caller who went away, or who had too little time left for the queue at the pool, says nothing of Nexudus.
    const isOurs = result.kind === 'not-sent' && result.reason !== 'connection';
    const isFailure =
      verdict.kind === 'not-sent' || (verdict.kind === 'unknown' && verdict.reason !== 'unusable-answer');
    if (!isFailure) this.circuit.succeeded();
    else if (!isOurs) this.circuit.failed();
    slot.end(callEnd(result, this.clock.epochMs()));
  }

  #note(operation: WriteOperation, verdict: Verdict, { requestId, effort, span }: WriteContext): void {
    if (verdict.kind === 'done' || verdict.kind === 'rejected' || verdict.kind === 'not-found') {
      this.passages.passed();
      return;
    }
    const reason = 'reason' in verdict ? verdict.reason : undefined;
    this.log.warn(
      {
        requestId,
        traceId: span.traceId,
        operation,
        attempt: effort.attempts,
        verdict: verdict.kind,
        reason,
      },
      'An attempt at Nexudus failed',
    );
  }
}

/** That the database is away is thrown only where no attempt may have run: else `OutcomeUnknown` is. */
function fromStore(error: unknown): unknown {
  return error instanceof DatabaseUnavailable ? new StoreUnavailable('unreachable', { cause: error }) : error;
}

function giveBack(slot: Slot): void {
  slot.end({ kind: 'not-sent' });
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
