import { isObject, parseJson } from './json.js';
import { withoutValues } from './without-values.js';
import type { FieldFault } from './nexudus.errors.js';
import type { WireAnswer, WireResult } from './wire.js';

/** The two writes this service knows: a create may never be repeated blindly, a replace may. */
export type WriteOperation = 'create' | 'replace';

/** What one attempt at a write showed. Answers the question *could Nexudus have run it?* */
export type Verdict =
  /** Done. `updatedAt` is ISO 8601 with a zone, or null where Nexudus did not say. */
  | { readonly kind: 'done'; readonly id: number; readonly updatedAt: string | null }
  /** Decided against: not run. */
  | { readonly kind: 'rejected'; readonly faults: readonly FieldFault[] }
  | { readonly kind: 'not-found' }
  /** Refused before it was run. */
  | { readonly kind: 'throttled' }
  | { readonly kind: 'unauthorized' }
  | { readonly kind: 'forbidden' }
  /** No byte left. */
  | { readonly kind: 'not-sent'; readonly cause: unknown }
  /** It may have run. */
  | { readonly kind: 'unknown'; readonly reason: UnknownReason };

export type UnknownReason = 'timeout' | 'connection-lost' | 'server-error' | 'unusable-answer';

/**
 * Makes sense of what came back for a write. Pure, total: never throws, whatever the body is.
 *
 * Success is a 2xx, and a JSON object, and `WasSuccessful` true, and no inner `Status` of 400 or more,
 * and a numeric `Value.Id` (upstream facts: a 200 can be a failure, an empty 2xx is ambiguous). Only the id
 * and the date are taken: the envelope can hold other people's data and the service's own account.
 */
export function readWriteResult(operation: WriteOperation, result: WireResult): Verdict {
  switch (result.kind) {
    case 'not-sent':
      return { kind: 'not-sent', cause: result.cause };
    case 'no-answer':
      return unknown(result.reason === 'timeout' ? 'timeout' : 'connection-lost');
    case 'answer':
      return readAnswer(operation, result);
  }
}

function readAnswer(operation: WriteOperation, answer: WireAnswer): Verdict {
  const { status, body, cutOffBy } = answer;
  // 409 is how Nexudus throttles, "for legacy reasons"; it never means a conflict on these calls.
  if (status === 409 || status === 429) return { kind: 'throttled' };
  if (status === 401) return { kind: 'unauthorized' };
  if (status === 403) return { kind: 'forbidden' };
  if (status >= 500) return unknown('server-error');
  // Of the others, an answer that was cut off says nothing.
  if (cutOffBy !== undefined) return unknown(cutOffBy === 'timeout' ? 'timeout' : 'unusable-answer');
  const json = parseJson(body);
  const envelope = isObject(json) ? json : undefined;
  if (operation === 'replace' && saysNotFound(answer)) return { kind: 'not-found' };
  if (envelope === undefined) return unknown('unusable-answer');
  if (status >= 200 && status < 300) return readEnvelope(operation, envelope);
  const decidedAgainst =
    envelope['WasSuccessful'] === false ||
    (Array.isArray(envelope['Errors']) && envelope['Errors'].length > 0);
  return status >= 400 && decidedAgainst ? readRefusal(operation, envelope) : unknown('unusable-answer');
}

/**
 * Whether a whole answer says that the record is not there. Nexudus' own 404 is JSON or empty; an HTML one comes from
 * the edge, and tells nothing about the record.
 */
export function saysNotFound({ status, body, cutOffBy }: WireAnswer): boolean {
  return status === 404 && cutOffBy === undefined && (body.trim() === '' || parseJson(body) !== undefined);
}

function readEnvelope(operation: WriteOperation, envelope: Record<string, unknown>): Verdict {
  const innerStatus = Number(envelope['Status'] ?? 200);
  if (envelope['WasSuccessful'] === false) return readRefusal(operation, envelope);
  if (innerStatus >= 500) return unknown('server-error');
  if (innerStatus >= 400) return readRefusal(operation, envelope);
  const id = isObject(envelope['Value']) ? envelope['Value']['Id'] : undefined;
  if (envelope['WasSuccessful'] !== true || !isMessageId(id)) return unknown('unusable-answer');
  return { kind: 'done', id, updatedAt: readDate(envelope['UpdatedOn']) };
}

function readRefusal(operation: WriteOperation, envelope: Record<string, unknown>): Verdict {
  if (operation === 'replace' && envelope['Status'] === 404) return { kind: 'not-found' };
  const faults = (Array.isArray(envelope['Errors']) ? envelope['Errors'] : [])
    .filter(isObject)
    .map(({ PropertyName, Message, AttemptedValue }): FieldFault => ({
      propertyName: typeof PropertyName === 'string' && PropertyName !== '' ? PropertyName : undefined,
      message:
        typeof Message === 'string' && Message !== ''
          ? withoutValues(Message, [AttemptedValue])
          : 'was refused',
    }));
  // `Message` repeats one of the errors, so it says something new only where there is none.
  if (faults.length === 0 && typeof envelope['Message'] === 'string' && envelope['Message'] !== '') {
    faults.push({ propertyName: undefined, message: envelope['Message'] });
  }
  return { kind: 'rejected', faults };
}

const ISO_DATE_TIME = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:\d{2})?$/;

/** Nexudus writes UTC, at times without the zone. `null` where it is no date. */
export function readDate(value: unknown): string | null {
  const [match, , , zone] = typeof value === 'string' ? (ISO_DATE_TIME.exec(value) ?? []) : [];
  if (match === undefined || Number.isNaN(Date.parse(match))) return null;
  return zone === undefined ? `${match}Z` : match;
}

function unknown(reason: UnknownReason): Verdict {
  return { kind: 'unknown', reason };
}

function isMessageId(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) > 0;
}
