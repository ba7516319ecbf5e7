import { readDate } from './envelope.js';
import { isObject, parseJson } from './json.js';
import type { WireAnswer } from './wire.js';

/** A record of a list: what of it tells one message from another. */
export interface ListedMessage {
  readonly id: number;
  readonly businessId: unknown;
  readonly userId: unknown;
  readonly sessionId: unknown;
  readonly action: unknown;
  readonly content: unknown;
  readonly systemId: unknown;
  /** Since the Unix epoch; NaN where Nexudus did not say. */
  readonly createdAtMs: number;
  /** As an answer to a write gives it; null where Nexudus did not say. */
  readonly updatedAt: string | null;
}

/** A page of a list. */
export interface MessagePage {
  readonly records: readonly ListedMessage[];
  readonly hasNextPage: boolean;
  /** Of all pages. */
  readonly totalItems: number;
}

/** `undefined` where the answer is no whole page: better nothing than a part of it. */
export function readPage({ status, body, cutOffBy }: WireAnswer): MessagePage | undefined {
  const json = status === 200 && cutOffBy === undefined ? parseJson(body) : undefined;
  if (!isObject(json)) return undefined;
  const { Records, HasNextPage, TotalItems } = json;
  if (!Array.isArray(Records) || typeof HasNextPage !== 'boolean' || typeof TotalItems !== 'number') {
    return undefined;
  }
  const records = Records.map(readRecord);
  return records.every((record) => record !== undefined)
    ? { records, hasNextPage: HasNextPage, totalItems: TotalItems }
    : undefined;
}

function readRecord(record: unknown): ListedMessage | undefined {
  if (!isObject(record) || !Number.isSafeInteger(record['Id'])) return undefined;
  return {
    id: record['Id'] as number,
    businessId: record['BusinessId'],
    userId: record['UserId'],
    sessionId: record['AiChannelSessionId'],
    action: record['Action'],
    content: record['Content'],
    systemId: record['SystemId'],
    createdAtMs: Date.parse(readDate(record['CreatedOn']) ?? ''),
    updatedAt: readDate(record['UpdatedOn']),
  };
}
