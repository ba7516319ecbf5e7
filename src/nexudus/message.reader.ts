import { Injectable } from '@nestjs/common';
import { Clock } from '../clock/clock.js';
import type { Interruption } from '../clock/interruption.js';
import { NexudusConfig } from '../config/sections.js';
import type { Span } from '../observability/tracer.js';
import { AccessTokenSource } from './access-token.source.js';
import { AccountRefusals } from './account.refusals.js';
import type { Deadline } from './deadline.js';
import { saysNotFound } from './envelope.js';
import { isObject, parseJson } from './json.js';
import {
  AccessDenied,
  MessageNotFound,
  QuotaExhausted,
  UpstreamUnavailable,
  WriteAbandoned,
} from './nexudus.errors.js';
import { PacedCalls } from './paced-call.js';
import { backoffMs, MAX_FAILURES } from './retry.policy.js';
import type { WireResult } from './wire.js';

/** A chat message as it stands at Nexudus: what of it this service looks at. */
export interface MessageRecord {
  readonly businessId: number;
  /** Writable fields that this service's own API does not know: a replace that leaves them out would erase them. */
  readonly carriedOver: Readonly<Record<string, unknown>>;
}

/** For whom it is read. */
export interface ReadContext {
  readonly deadline: Deadline;
  /** Aborted when the caller goes away. */
  readonly abandoned: Interruption;
  readonly span: Span;
}

/** Of chat messages: create and replace on it, read below it. */
export const MESSAGES_PATH = '/api/sys/openaichatmessages';
const UNKNOWN_TO_CALLERS = [
  'CoworkerMessageId',
  'HelpDeskMessageId',
  'HelpDeskCommentId',
  'SystemId',
] as const;
/** The next call is simply tried. */
const TRY_NEXT_MS = 1_000;

/** Reads a chat message back. A read changes nothing, so whatever fails is tried again, within the caller's wait. */
@Injectable()
export class MessageReader {
  constructor(
    private readonly calls: PacedCalls,
    private readonly tokens: AccessTokenSource,
    private readonly refusals: AccountRefusals,
    private readonly config: NexudusConfig,
    private readonly clock: Clock,
  ) {}

  /** @throws NexudusError of the kinds that say that nothing was written */
  async read(id: number, context: ReadContext): Promise<MessageRecord> {
    const { deadline, abandoned, span } = context;
    let tokenRenewed = false;
    let resendCount = 0;
    for (let failures = 0; failures < MAX_FAILURES && deadline.allowsAttempt();) {
      if (abandoned.aborted) throw new WriteAbandoned();
      if (this.tokens.current === undefined) {
        await span.step('token', () => this.tokens.ready(deadline, abandoned));
      }
      const token = this.tokens.current;
      if (token === undefined) continue;
      const result = await this.#ask(id, token, context, resendCount).catch((error: unknown) => {
        // Too late for one more turn: what used the time up was Nexudus, not the quota.
        if (failures > 0 && error instanceof QuotaExhausted) throw unreadable();
        throw error;
      });
      resendCount += 1;
      const status = result.kind === 'answer' ? result.status : 0;
      if (status === 200) {
        const record = readRecord(id, result);
        if (record) return record;
      }
      if (result.kind === 'answer' && saysNotFound(result)) throw new MessageNotFound();
      if (status === 403) throw new AccessDenied('edge-blocked', TRY_NEXT_MS);
      if (status === 409 || status === 429) continue; // the pacer says when
      if (status === 401) {
        if (tokenRenewed || this.refusals.of('read')) {
          throw await this.refusals.findOut('read', token, deadline, abandoned);
        }
        tokenRenewed = true;
        this.tokens.discard(token);
        continue;
      }
      failures += 1;
      await this.clock.sleep(backoffMs(failures, Math.random()), abandoned);
    }
    throw unreadable();
  }

  async #ask(
    id: number,
    token: string,
    { deadline, abandoned, span }: ReadContext,
    resendCount: number,
  ): Promise<WireResult> {
    return this.calls.perform(
      () => ({
        method: 'GET',
        path: `${MESSAGES_PATH}/${id}`,
        headers: { authorization: `Bearer ${token}`, accept: 'application/json' },
        timeoutMs: Math.max(1, Math.min(this.config.attemptTimeoutMs, deadline.remainingMs())),
        isWanted: () => !abandoned.aborted,
        span,
        resendCount,
      }),
      deadline,
    );
  }
}

function unreadable(): UpstreamUnavailable {
  return new UpstreamUnavailable('no-connection', TRY_NEXT_MS);
}

/** `undefined` where the answer is not the record that was asked for: better nothing than a wrong one. */
function readRecord(id: number, result: WireResult): MessageRecord | undefined {
  if (result.kind !== 'answer' || result.cutOffBy !== undefined) return undefined;
  const json = parseJson(result.body);
  if (!isObject(json) || json['Id'] !== id || typeof json['BusinessId'] !== 'number') return undefined;
  const carriedOver = Object.fromEntries(
    UNKNOWN_TO_CALLERS.filter((name) => json[name] != null).map((name) => [name, json[name]]),
  );
  return { businessId: json['BusinessId'], carriedOver };
}
