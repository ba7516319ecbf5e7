import type { NexudusMessage, WriteReceipt } from '../nexudus/write.js';
import type { ChatMessageAction, ChatMessageDto, ChatMessageRepresentation } from './chat-message.dto.js';

/** The upstream enum has one published value. */
const ACTIONS: Readonly<Record<ChatMessageAction, number>> = { operator: 1 };

/** From the caller's terms to Nexudus'. What is null or left out is left out, which clears it on a replace. */
export function toNexudus(message: ChatMessageDto, id?: number): NexudusMessage {
  return {
    ...(id !== undefined && { Id: id }),
    BusinessId: message.businessId,
    Action: ACTIONS[message.action ?? 'operator'],
    Content: message.content,
    ...(message.userId != null && { UserId: message.userId }),
    ...(message.sessionId != null && { AiChannelSessionId: message.sessionId }),
  };
}

/** What the caller gets: its own message, with the id and the date that Nexudus gave. */
export function toRepresentation(message: ChatMessageDto, receipt: WriteReceipt): ChatMessageRepresentation {
  return {
    id: receipt.id,
    businessId: message.businessId,
    action: message.action ?? 'operator',
    content: message.content,
    userId: message.userId ?? null,
    sessionId: message.sessionId ?? null,
    updatedAt: receipt.updatedAt,
  };
}
