import { hash } from 'node:crypto';
import { type Caller, callerName } from '../client-auth/caller.js';
import type { WorkRecord } from '../idempotency/idempotency.store.js';
import { sessionName } from '../nexudus/session-name.js';
import type { ChatMessageDto } from './chat-message.dto.js';
import { toNexudus } from './chat-message.mapper.js';

/** A write of a caller who may. */
export interface Write {
  readonly operation: 'create' | 'replace';
  /** Of the message that is replaced. */
  readonly id?: number;
  readonly message: ChatMessageDto;
  readonly caller: Caller;
  readonly key: string | undefined;
}

/** All that it takes to do a write later, and to answer it as the request would have been answered. */
export interface WorkContent {
  readonly message: ChatMessageDto;
  readonly caller: Pick<Caller, 'kind' | 'id'> & { readonly businesses: '*' | readonly number[] };
  readonly request: { readonly id: string; readonly path: string };
}

/** What is written down of a write, where there is a ledger. */
export function recordOf(
  { operation, id, message, caller }: Write,
  request: WorkContent['request'],
): WorkRecord {
  const content: WorkContent = {
    message,
    caller: {
      kind: caller.kind,
      id: caller.id,
      businesses: caller.businesses === '*' ? '*' : [...caller.businesses],
    },
    request,
  };
  return {
    caller: callerName(caller),
    operation,
    messageId: id,
    session: sessionOf(message),
    personal: personalOf(message),
    content: JSON.stringify(content),
  };
}

/** The session in which a message is sent in order. */
export function sessionOf(message: ChatMessageDto): string | undefined {
  return sessionName(toNexudus(message));
}

/** What of the answer to a write its caller has said itself. */
export function personalOf({ content }: ChatMessageDto): WorkRecord['personal'] {
  return { member: 'content', value: content };
}

/** Reads back what `recordOf` wrote. */
export function readContent(content: string): {
  message: ChatMessageDto;
  caller: Caller;
  request: WorkContent['request'];
} {
  const { message, caller, request } = JSON.parse(content) as WorkContent;
  const { businesses } = caller;
  return {
    message,
    caller: { ...caller, businesses: businesses === '*' ? '*' : new Set(businesses) },
    request,
  };
}

/** An idempotency key with all that it belongs to, and of what body it is. The operation stands for method and route. */
export function keyOf(
  { operation, id, caller, message }: Write,
  key: string,
): { readonly scope: string; readonly fingerprint: string } {
  return {
    scope: JSON.stringify([callerName(caller), operation, id ?? null, key]),
    fingerprint: fingerprintOf(message),
  };
}

/** Independent of the order of names and of white space. The message is valid, so all its values are scalars. */
function fingerprintOf(message: ChatMessageDto): string {
  const entries = Object.entries(message).sort(([a], [b]) => (a < b ? -1 : 1));
  return hash('sha256', JSON.stringify(entries), 'base64');
}
