import { randomUUID } from 'node:crypto';
import type { KeptAnswer, WorkRecord } from '../idempotency/idempotency.store.js';

type Personal = WorkRecord['personal'];

/** An answer without what of it is personal: that is longer kept by whoever asked than by us. */
export interface StoredAnswer extends Omit<KeptAnswer, 'body'> {
  /** The body, cut where the personal value stood. */
  readonly body: readonly string[];
}

/** Cuts the personal value out of an answer, so that it can be put back byte for byte. */
export function withoutPersonal(answer: KeptAnswer, personal: Personal | undefined): StoredAnswer {
  const parts = personal === undefined ? undefined : cut(answer.body, personal);
  return { ...answer, body: parts ?? [answer.body] };
}

/** The answer as it was, with the value that was cut out; `null` stands there where it is not known any more. */
export function withPersonal(stored: StoredAnswer, value: string | undefined): KeptAnswer {
  return { ...stored, body: stored.body.join(JSON.stringify(value ?? null)) };
}

function cut(body: string, { member, value }: Personal): readonly string[] | undefined {
  // No text of the body holds it.
  const mark = randomUUID();
  const parts = JSON.stringify(parseObject(body), (name, own: unknown) =>
    name === member && own === value ? mark : own,
  ).split(JSON.stringify(mark));
  return parts.length > 1 && parts.join(JSON.stringify(value)) === body ? parts : undefined;
}

function parseObject(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
