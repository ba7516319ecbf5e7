import { type Type, RequestMethod } from '@nestjs/common';
import { METHOD_METADATA, PATH_METADATA } from '@nestjs/common/constants.js';

/** JSON Schema 2020-12, as OpenAPI 3.1 has it. */
export type Schema = Readonly<Record<string, unknown>>;

/** A pointer to something that is written once. */
export interface Reference {
  readonly $ref: string;
}

/** What a parameter and a header have in common (OpenAPI 3.1 sections 4.8.12 and 4.8.21). */
export interface Header {
  readonly description: string;
  readonly required?: boolean;
  readonly schema: Schema;
  readonly example?: unknown;
}

export interface Parameter extends Header {
  readonly name: string;
  readonly in: 'path' | 'query' | 'header';
}

export interface Response {
  readonly description: string;
  readonly headers: Readonly<Record<string, Header | Reference>>;
  readonly content?: Readonly<Record<string, { readonly schema: Schema; readonly examples?: object }>>;
}

export interface Operation {
  readonly operationId: string;
  readonly tags: readonly string[];
  readonly summary: string;
  readonly description: string;
  /** Empty where no credential is needed. */
  readonly security?: readonly [];
  readonly parameters?: readonly (Parameter | Reference)[];
  readonly requestBody?: object;
  readonly responses: Readonly<Record<string, Response>>;
}

/** By path, then by method in lower case. */
export type Paths = Readonly<Record<string, Readonly<Record<string, Operation>>>>;

/** The methods of a controller that answer requests: all that are public. */
type Handler<Controller> = {
  [Name in keyof Controller]: Controller[Name] extends (...args: never[]) => unknown ? Name : never;
}[keyof Controller];

/**
 * Puts descriptions to the routes of a controller. Path and method are read from its decorators; a handler without
 * a description, and a description without a handler, does not compile. `null` for one that is nobody's to call.
 */
export function describe<Controller extends object>(
  controller: Type<Controller>,
  operations: Readonly<Record<Handler<Controller>, Operation | null>>,
): Paths {
  const paths: Record<string, Record<string, Operation>> = {};
  for (const [name, operation] of Object.entries<Operation | null>(operations)) {
    if (operation === null) continue;
    const handler = (controller.prototype as Record<string, object>)[name];
    if (handler === undefined) throw new Error(`${controller.name} has no ${name}`);
    const method =
      RequestMethod[Reflect.getMetadata(METHOD_METADATA, handler) as RequestMethod].toLowerCase();
    const path = [controller, handler]
      .flatMap((part) => (Reflect.getMetadata(PATH_METADATA, part) as string).split('/'))
      .filter((segment) => segment !== '')
      .map((segment) => `/${segment.replace(/^:(.*)$/, '{$1}')}`)
      .join('');
    (paths[path] ??= {})[method] = operation;
  }
  return paths;
}
