import type { Type } from '@nestjs/common';
import {
  getMetadataStorage,
  type ValidationArguments,
  type ValidatorConstraintInterface,
} from 'class-validator';
import type { ProblemError } from '../problem-details/problem.js';

/** Gives the instance of a constraint class, as Nest's container does. */
export type Resolve = <T>(type: Type<T>) => T;

/** Returns every fault of a body; an empty array when it has none. */
export type Check = (body: unknown) => ProblemError[];

/** As many as a person reads: an answer must not be larger than its request. */
const MOST_ERRORS = 100;
const LONGEST_NAME = 128;

interface Rule {
  readonly property: string;
  /** Where one says no, the rules of the property do not apply to the value. */
  readonly conditions: readonly ((object: object, value: unknown) => boolean)[];
  readonly constraints: readonly { check: ValidatorConstraintInterface; args: unknown[]; message: string }[];
}

/**
 * Compiles the class-validator rules of a DTO into one check, made once and not looked up again per request (the
 * stock pipe costs as much as the rest of a request). The decorators stay the single source of the rules. It
 * understands what this service's DTOs use, and refuses to compile anything else rather than ignore it:
 * constraint classes (`@Validate`), `@IsOptional` and `@ValidateIf`.
 */
export function compileCheck(dto: Type, resolve: Resolve): Check {
  const rules = readRules(dto, resolve);
  const known = new Set(rules.map((rule) => rule.property));
  return (body) => {
    if (typeof body !== 'object' || body === null || Array.isArray(body)) {
      return [{ pointer: '#', detail: 'must be a JSON object' }];
    }
    const values = body as Record<string, unknown>;
    const errors: ProblemError[] = [];
    for (const rule of rules) {
      // Own properties alone: what a prototype brings is not something that the caller sent.
      const value = Object.hasOwn(values, rule.property) ? values[rule.property] : undefined;
      if (!rule.conditions.every((applies) => applies(values, value))) continue;
      const broken = rule.constraints.find(
        ({ check, args }) => check.validate(value, argumentsOf(args)) !== true,
      );
      if (broken) {
        errors.push({
          pointer: pointerTo(rule.property),
          detail: value === undefined ? 'is required' : broken.message,
        });
      }
    }
    for (const name of Object.keys(values)) {
      if (known.has(name)) continue;
      if (errors.length === MOST_ERRORS) break;
      errors.push({ pointer: pointerTo(name.slice(0, LONGEST_NAME)), detail: 'is not a known property' });
    }
    return errors;
  };
}

function readRules(dto: Type, resolve: Resolve): Rule[] {
  const storage = getMetadataStorage();
  const metadata = storage.getTargetValidationMetadatas(dto, '', true, false);
  const rules: Rule[] = [];
  for (const property of new Set(metadata.map((item) => item.propertyName))) {
    const own = metadata.filter((item) => item.propertyName === property);
    const constraints = own
      .filter((item) => item.type === 'customValidation')
      .flatMap((item) =>
        storage.getTargetValidatorConstraints(item.constraintCls).map(({ target }) => {
          const check = resolve(target as Type<ValidatorConstraintInterface>);
          const args = (item.constraints as unknown[] | undefined) ?? [];
          return { check, args, message: check.defaultMessage?.(argumentsOf(args)) ?? 'is not valid' };
        }),
      );
    const conditions = own
      .filter((item) => item.type === 'conditionalValidation')
      .map((item) => item.constraints[0] as Rule['conditions'][number]);
    const plain = own.every(
      ({ each, groups, message }) => !each && !(groups as unknown[] | undefined)?.length && !message,
    );
    if (!plain || constraints.length + conditions.length !== own.length) {
      throw new Error(`${dto.name}.${property} has a rule that cannot be compiled`);
    }
    rules.push({ property, conditions, constraints });
  }
  return rules;
}

/** The constraints of this service look at their own arguments, never at the rest of the object. */
function argumentsOf(constraints: unknown[]): ValidationArguments {
  return { value: undefined, constraints, targetName: '', object: {}, property: '' };
}

/** JSON can hold what UTF-8 cannot, and encodeURIComponent would throw. */
const LONE_SURROGATE = /\p{Surrogate}/gu;

/** RFC 6901 sections 3 and 6: `~` and `/` escaped, then percent-encoded for the fragment. */
function pointerTo(name: string): string {
  const token = name.replace(LONE_SURROGATE, '\ufffd').replaceAll('~', '~0').replaceAll('/', '~1');
  return `#/${encodeURIComponent(token)}`;
}
