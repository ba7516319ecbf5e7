import type { ListedMessage } from './message.page.js';
import type { NexudusMessage } from './write.js';

/** A create whose outcome nobody knows. */
export interface SoughtMessage {
  readonly message: NexudusMessage;
  /** When the attempt began, and when it was given up, in milliseconds since the Unix epoch. */
  readonly sentAtMs: number;
  readonly endedAtMs: number;
  /** What it was tagged with, if it was. */
  readonly tag: string;
}

/** For clocks that differ, and for dates without a fraction. */
const CLOCK_TOLERANCE_MS = 2 * 60_000;

/**
 * Whether a record is the message. `doubtful` is what may be it, since Nexudus may fill in what was left out, tidy a
 * text up, or be late: neither proof that it was created nor that it was not.
 */
export function resemblance(
  sought: SoughtMessage,
  record: ListedMessage,
): 'match' | 'doubtful' | 'different' {
  if (record.systemId === sought.tag) return 'match';
  // It carries somebody else's tag.
  if (typeof record.systemId === 'string' && record.systemId !== '') return 'different';
  const { message, sentAtMs, endedAtMs } = sought;
  const likenesses = [
    same(message.BusinessId, record.businessId),
    same(message.Action, record.action),
    same(message.UserId, record.userId),
    same(message.AiChannelSessionId, record.sessionId),
    sameText(message.Content, record.content),
    isWithin(record.createdAtMs, sentAtMs - CLOCK_TOLERANCE_MS, endedAtMs + CLOCK_TOLERANCE_MS),
  ];
  if (likenesses.includes('different')) return 'different';
  return likenesses.includes('doubtful') ? 'doubtful' : 'match';
}

function same(sent: number | undefined, found: unknown): 'match' | 'doubtful' | 'different' {
  if (sent === (found ?? undefined)) return 'match';
  if (sent === undefined || typeof found !== 'number') return 'doubtful';
  return 'different';
}

/** Code point for code point; what a store may have done to a text leaves a doubt. */
function sameText(sent: string, found: unknown): 'match' | 'doubtful' | 'different' {
  if (sent === found) return 'match';
  return typeof found !== 'string' || tidied(sent) === tidied(found) ? 'doubtful' : 'different';
}

function tidied(text: string): string {
  return text.normalize('NFKC').replace(/\s+/gu, ' ').trim();
}

/** The list was asked for little more than the window, so what stands beside it is near. */
function isWithin(timeMs: number, fromMs: number, toMs: number): 'match' | 'doubtful' {
  return timeMs >= fromMs && timeMs <= toMs ? 'match' : 'doubtful';
}

/** Whether two messages would leave records that nobody can tell apart. */
export function isSameMessage(one: NexudusMessage, other: NexudusMessage): boolean {
  return (
    one.BusinessId === other.BusinessId &&
    one.Action === other.Action &&
    one.UserId === other.UserId &&
    one.AiChannelSessionId === other.AiChannelSessionId &&
    one.Content === other.Content
  );
}
