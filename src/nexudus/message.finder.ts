import { Injectable } from '@nestjs/common';
import { Clock } from '../clock/clock.js';
import { RequestInterruption } from '../clock/interruption.js';
import { NexudusConfig } from '../config/sections.js';
import { AppLogger } from '../observability/app-logger.js';
import { AccessTokenSource } from './access-token.source.js';
import { AccountRefusals } from './account.refusals.js';
import { Circuit } from './circuit.js';
import { Deadline } from './deadline.js';
import { resemblance, type SoughtMessage } from './message.likeness.js';
import { type ListedMessage, type MessagePage, readPage } from './message.page.js';
import { MESSAGES_PATH } from './message.reader.js';
import { QuotaExhausted } from './nexudus.errors.js';
import { PacedCalls } from './paced-call.js';
import { Pacer, type WindowState } from './pacer.js';
import type { WireAnswer } from './wire.js';

/** What a look at Nexudus showed. */
export type Sighting =
  | {
      readonly kind: 'seen';
      /** Records that are the message, as far as a record can tell. */
      readonly matches: readonly ListedMessage[];
      /** Records that may be it: where one of these stands, nothing can be said to be missing. */
      readonly doubtful: readonly ListedMessage[];
    }
  /** What Nexudus said cannot be relied on to tell that a message is missing. */
  | { readonly kind: 'unclear'; readonly reason: 'too-many' | 'incomplete' | 'clocks' }
  /** Nothing was learned; it may be tried again so much later. */
  | {
      readonly kind: 'not-looked';
      readonly reason: 'refused' | 'quota' | 'no-token' | 'no-answer';
      readonly againInMs: number;
    };

/** Far more than a day of one session. */
const PAGE_SIZE = 100;
/** A look costs no more calls than this, of the 120 that a minute has. */
const MOST_PAGES = 10;
/**
 * What is asked for around the attempt: wide enough for the minutes in which Nexudus counts and for clocks that are
 * not quite right, so that a message is not taken for missing because it stands beside the window.
 */
const MARGIN_MS = 15 * 60_000;
/** If the clock of Nexudus is off by more than this, its dates do not say when our attempt was. */
const MOST_CLOCK_SKEW_MS = 60_000;
/** A role is given by a person: soon enough to be noticed, seldom enough to cost nothing. */
const REFUSED_FOR_MS = 15 * 60_000;
const TRY_AGAIN_MS = 10_000;
const SHORT_WINDOW_MS = 1_000;
/** Writes at full speed leave half of a minute's calls. */
const SHARE_LEFT = 1 / 3;
const NEVER = new RequestInterruption();

/**
 * Looks for a message in the lists of Nexudus, when nobody knows whether its create was run. It reads, and so harms
 * nothing; but each look is a call of the quota.
 *
 * The content is no filter of the query: how Nexudus compares texts is not documented, a long one fits in no address,
 * and a record that a filter hides would be taken for missing, and sent a second time.
 */
@Injectable()
export class MessageFinder {
  #refusedUntilMs = 0;
  /** After a 401 one other token was tried: a second 401 is about the role, and no reason to log in again. */
  #triedOtherToken = false;

  constructor(
    private readonly calls: PacedCalls,
    private readonly pacer: Pacer,
    private readonly tokens: AccessTokenSource,
    private readonly refusals: AccountRefusals,
    private readonly circuit: Circuit,
    private readonly config: NexudusConfig,
    private readonly clock: Clock,
    private readonly log: AppLogger,
  ) {}

  /** Whether a look can be had at all: there is a token, Nexudus answers, and lets us list. */
  get isAble(): boolean {
    return this.tokens.current !== undefined && !this.circuit.isOpen && this.refusedForMs === 0;
  }

  /**
   * Whether nobody misses what a look costs. It takes nothing of the windows on writes; of those on all calls something
   * must be left while writes wait. That they wait is no reason by itself: they may wait for what the look finds out.
   */
  get isQuiet(): boolean {
    const { pacer } = this;
    if (pacer.pausedForMs > 0) return false;
    return pacer.waiting === 0 || pacer.windows().every(hasLeft);
  }

  /** Until lists are asked for again after Nexudus refused one; 0 while it does not. */
  get refusedForMs(): number {
    return Math.max(0, this.#refusedUntilMs - this.clock.nowMs());
  }

  /**
   * Never rejects.
   *
   * @param isTagged whether it was sent with its tag, as far as we know: then it is looked for by that first
   */
  async look(sought: SoughtMessage, isTagged: boolean): Promise<Sighting> {
    if (isTagged) {
      const byTag = await this.#sight(sought, { OpenAiChatMessage_SystemId: sought.tag });
      // That none carries the tag says nothing: Nexudus may not have stored it.
      if (byTag.kind === 'not-looked' || (byTag.kind === 'seen' && byTag.matches.length > 0)) return byTag;
    }
    const { BusinessId, UserId, AiChannelSessionId } = sought.message;
    return this.#sight(sought, {
      OpenAiChatMessage_Business: String(BusinessId),
      ...(AiChannelSessionId !== undefined
        ? { OpenAiChatMessage_AiChannelSession: String(AiChannelSessionId) }
        : UserId !== undefined && { OpenAiChatMessage_User: String(UserId) }),
      from_OpenAiChatMessage_CreatedOn: minute(sought.sentAtMs - MARGIN_MS),
      to_OpenAiChatMessage_CreatedOn: minute(sought.endedAtMs + MARGIN_MS),
    });
  }

  async #sight(sought: SoughtMessage, filters: Readonly<Record<string, string>>): Promise<Sighting> {
    const records = new Map<number, ListedMessage>();
    for (let page = 1; ; page += 1) {
      const found = await this.#page({ ...filters, page: String(page), size: String(PAGE_SIZE) });
      if ('kind' in found) return found;
      for (const record of found.records) records.set(record.id, record);
      if (found.hasNextPage) {
        const isTooMany = page === MOST_PAGES || found.totalItems > PAGE_SIZE * MOST_PAGES;
        if (isTooMany) return { kind: 'unclear', reason: 'too-many' };
        continue;
      }
      // Records that came or went while we turned the pages may have slipped from one to another.
      if (records.size !== found.totalItems) return { kind: 'unclear', reason: 'incomplete' };
      break;
    }
    const like = (kind: ReturnType<typeof resemblance>): ListedMessage[] =>
      [...records.values()].filter((record) => resemblance(sought, record) === kind);
    return { kind: 'seen', matches: like('match'), doubtful: like('doubtful') };
  }

  async #page(query: Readonly<Record<string, string>>): Promise<MessagePage | Sighting> {
    const token = this.tokens.current;
    if (token === undefined) return notLooked('no-token');
    const deadline = new Deadline(this.clock, this.config.attemptTimeoutMs);
    try {
      const result = await this.calls.perform(
        () => ({
          method: 'GET',
          path: `${MESSAGES_PATH}?${new URLSearchParams(query).toString()}`,
          headers: { authorization: `Bearer ${token}`, accept: 'application/json' },
          timeoutMs: Math.max(1, deadline.remainingMs()),
        }),
        deadline,
      );
      return result.kind === 'answer' ? await this.#read(result, token, deadline) : notLooked('no-answer');
    } catch (error) {
      if (error instanceof QuotaExhausted) return notLooked('quota', error.retryAfterMs);
      this.log.error({ err: error }, 'A look at Nexudus failed');
      return notLooked('no-answer');
    }
  }

  async #read(answer: WireAnswer, token: string, deadline: Deadline): Promise<MessagePage | Sighting> {
    if (answer.status === 401) return this.#refused(token, deadline);
    if (answer.status === 403) return this.#rest();
    const page = readPage(answer);
    if (page === undefined) return notLooked('no-answer');
    this.#triedOtherToken = false;
    const dateMs = Date.parse(String(answer.headers['date']));
    const isAskew = Math.abs(dateMs - this.clock.epochMs()) > MOST_CLOCK_SKEW_MS;
    return isAskew ? { kind: 'unclear', reason: 'clocks' } : page;
  }

  /** A 401 says the same of a token and of a role. */
  async #refused(token: string, deadline: Deadline): Promise<Sighting> {
    if (!this.#triedOtherToken) {
      this.#triedOtherToken = true;
      this.tokens.discard(token);
      return notLooked('no-token');
    }
    const { reason } = await this.refusals.findOut('list', token, deadline, NEVER);
    if (reason !== 'token-refused') return this.#rest();
    this.tokens.discard(token);
    return notLooked('no-token');
  }

  #rest(): Sighting {
    this.#refusedUntilMs = this.clock.nowMs() + REFUSED_FOR_MS;
    this.log.warn(
      { retryAfterSeconds: REFUSED_FOR_MS / 1000 },
      'Nexudus does not let this account list messages: unknown outcomes are not looked up until it does',
    );
    return notLooked('refused', REFUSED_FOR_MS);
  }
}

/** A short window is over before anybody notices. */
function hasLeft({ kind, window, remaining, assumedLimit }: WindowState): boolean {
  return kind === 'write' || window.periodMs < SHORT_WINDOW_MS || remaining >= assumedLimit * SHARE_LEFT;
}

function notLooked(
  reason: Extract<Sighting, { kind: 'not-looked' }>['reason'],
  againInMs = TRY_AGAIN_MS,
): Sighting {
  return { kind: 'not-looked', reason, againInMs };
}

/** As Nexudus' ranges have it: to the minute, and in UTC. */
function minute(epochMs: number): string {
  return new Date(epochMs).toISOString().slice(0, 16);
}
