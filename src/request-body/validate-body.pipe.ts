import { type ArgumentMetadata, Injectable, type PipeTransform, type Type } from '@nestjs/common';
import { ModuleRef } from '@nestjs/core';
import { Problem } from '../problem-details/problem.js';
import { type Check, compileCheck } from './compiled-check.js';

/** Validates every `@Body()` by the rules of its DTO. The value itself passes untouched: nothing is coerced. */
@Injectable()
export class ValidateBodyPipe implements PipeTransform {
  readonly #checks = new Map<Type, Check>();

  constructor(private readonly modules: ModuleRef) {}

  transform(value: unknown, { type, metatype }: ArgumentMetadata): unknown {
    if (type !== 'body' || metatype === undefined) return value;
    if (value === undefined) throw new Problem('malformed-request', { detail: 'A JSON body is needed.' });
    const errors = this.#checkFor(metatype)(value);
    if (errors.length > 0) {
      throw new Problem('validation-failed', { detail: 'The message breaks at least one rule.', errors });
    }
    return value;
  }

  #checkFor(dto: Type): Check {
    let check = this.#checks.get(dto);
    if (check === undefined) {
      check = compileCheck(dto, (type) => this.modules.get(type, { strict: false }));
      this.#checks.set(dto, check);
    }
    return check;
  }
}
