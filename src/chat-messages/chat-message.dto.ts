import { IsOptional, Validate, ValidateIf } from 'class-validator';
import { EntityId, MessageContent, OneOf } from './chat-message.rules.js';

/** Who speaks in a chat message. Nexudus has published one value. */
export type ChatMessageAction = 'operator';

/** A chat message as a caller sends it: the body of create and of replace. */
export class ChatMessageDto {
  @Validate(EntityId)
  readonly businessId!: number;

  @Validate(MessageContent)
  readonly content!: string;

  @ValidateIf((_, value) => value !== undefined)
  @Validate(OneOf, ['operator'])
  readonly action?: ChatMessageAction;

  @IsOptional()
  @Validate(EntityId)
  readonly userId?: number | null;

  @IsOptional()
  @Validate(EntityId)
  readonly sessionId?: number | null;
}

/** A chat message as a caller gets it. */
export interface ChatMessageRepresentation {
  readonly id: number;
  readonly businessId: number;
  readonly action: ChatMessageAction;
  readonly content: string;
  readonly userId: number | null;
  readonly sessionId: number | null;
  /** ISO 8601, from Nexudus; null where it did not say. */
  readonly updatedAt: string | null;
}
