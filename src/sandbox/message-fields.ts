import { type FieldError } from './answers.js';

/** What a caller of Nexudus may write; what is null was left out. */
export interface MessageFields {
  BusinessId: number;
  Action: number;
  Content: string;
  UserId: number | null;
  AiChannelSessionId: number | null;
  CoworkerMessageId: number | null;
  HelpDeskMessageId: number | null;
  HelpDeskCommentId: number | null;
  SystemId: string | null;
}

/** The fields of a good body, with the `Id` of a PUT; or every fault of a bad one. */
export type FieldsRead = { errors: FieldError[] } | { id: number; fields: MessageFields };

const MAX_INT = 2_147_483_647;

/** Is it a JSON object, and not an array or null? */
export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Checks a body as Nexudus does: all faults at once, properties it does not know ignored. */
export function readFields(body: Record<string, unknown>, operation: 'create' | 'update'): FieldsRead {
  const errors: FieldError[] = [];
  const fault = (PropertyName: string, Message: string, AttemptedValue: unknown = null): void => {
    errors.push({ PropertyName, Message, AttemptedValue });
  };
  const optionalInt = (name: string): number | null => {
    const value = body[name] ?? null;
    if (value === null) return null;
    if (typeof value === 'number' && Number.isInteger(value) && Math.abs(value) <= MAX_INT) return value;
    fault(name, 'is not a valid value', value);
    return null;
  };
  // 0 is what a missing integer becomes in the upstream's language, so both are the same fault.
  const requiredInt = (name: string): number => {
    const value = body[name] ?? 0;
    if (value !== 0) return optionalInt(name) ?? 0;
    fault(name, 'is a required field');
    return 0;
  };
  const requiredText = (name: string): string => {
    const value = body[name] ?? '';
    if (typeof value === 'string' && value.trim() !== '') return value;
    if (typeof value === 'string') fault(name, 'is a required field');
    else fault(name, 'is not a valid value', value);
    return '';
  };
  const optionalText = (name: string): string | null => {
    const value = body[name] ?? null;
    if (value === null || typeof value === 'string') return value;
    fault(name, 'is not a valid value', value);
    return null;
  };

  const id = operation === 'update' ? requiredInt('Id') : 0;
  const fields: MessageFields = {
    BusinessId: requiredInt('BusinessId'),
    Action: requiredInt('Action'),
    Content: requiredText('Content'),
    UserId: optionalInt('UserId'),
    AiChannelSessionId: optionalInt('AiChannelSessionId'),
    CoworkerMessageId: optionalInt('CoworkerMessageId'),
    HelpDeskMessageId: optionalInt('HelpDeskMessageId'),
    HelpDeskCommentId: optionalInt('HelpDeskCommentId'),
    SystemId: optionalText('SystemId'),
  };
  return errors.length > 0 ? { errors } : { id, fields };
}
