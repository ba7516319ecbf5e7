import { Injectable } from '@nestjs/common';
import {
  type ValidationArguments,
  ValidatorConstraint,
  type ValidatorConstraintInterface,
} from 'class-validator';
import { ChatMessagesConfig } from '../config/sections.js';

/** Nexudus' ids are 32-bit integers. */
export const LARGEST_ID = 2 ** 31 - 1;

/** What a text that is not blank holds: \s does not know NEXT LINE, which is white space to Unicode, and to Nexudus. */
export const NOT_BLANK = /[^\s\u0085]/u;

/** Whether a value is an id of Nexudus: an integer number, not a text that looks like one. */
export function isEntityId(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= 1 && (value as number) <= LARGEST_ID;
}

@Injectable()
@ValidatorConstraint({ name: 'entityId' })
export class EntityId implements ValidatorConstraintInterface {
  validate(value: unknown): boolean {
    return isEntityId(value);
  }

  defaultMessage(): string {
    return `must be an integer from 1 to ${LARGEST_ID}`;
  }
}

@Injectable()
@ValidatorConstraint({ name: 'messageContent' })
export class MessageContent implements ValidatorConstraintInterface {
  constructor(private readonly config: ChatMessagesConfig) {}

  validate(value: unknown): boolean {
    return (
      typeof value === 'string' && NOT_BLANK.test(value) && !isLongerThan(value, this.config.contentMaxLength)
    );
  }

  defaultMessage(): string {
    return `must be a text, not blank, of at most ${this.config.contentMaxLength} Unicode code points`;
  }
}

@Injectable()
@ValidatorConstraint({ name: 'oneOf' })
export class OneOf implements ValidatorConstraintInterface {
  validate(value: unknown, { constraints }: ValidationArguments): boolean {
    return constraints.includes(value);
  }

  defaultMessage({ constraints }: ValidationArguments): string {
    return `must be one of ${constraints.map((item) => JSON.stringify(item)).join(', ')}`;
  }
}

/** Counts code points, as JSON Schema does, but only where the count of UTF-16 units leaves it open. */
function isLongerThan(text: string, codePoints: number): boolean {
  if (text.length <= codePoints) return false;
  if (text.length > 2 * codePoints) return true;
  const surrogatePairs = text.match(/[\u{10000}-\u{10ffff}]/gu)?.length ?? 0;
  return text.length - surrogatePairs > codePoints;
}
