import 'reflect-metadata';
import { describe, expect, it } from '@jest/globals';
import type { Type } from '@nestjs/common';
import {
  Equals,
  IsInt,
  IsOptional,
  Validate,
  ValidateIf,
  ValidateNested,
  useContainer,
  validateSync,
} from 'class-validator';
import fc from 'fast-check';
import { ChatMessageDto } from '../chat-messages/chat-message.dto.js';
import { EntityId, MessageContent, OneOf } from '../chat-messages/chat-message.rules.js';
import { compileCheck, type Resolve } from './compiled-check.js';

const instances = new Map<unknown, unknown>([
  [EntityId, new EntityId()],
  [MessageContent, new MessageContent({ contentMaxLength: 10, updateReadFirst: 'restricted' })],
  [OneOf, new OneOf()],
]);
const resolve: Resolve = <T>(type: Type<T>): T => {
  if (!instances.has(type)) throw new Error(`no instance of ${type.name}`);
  return instances.get(type) as T;
};
// class-validator itself gets the very same constraints.
useContainer({ get: (type: unknown) => instances.get(type) }, { fallback: true });

const check = compileCheck(ChatMessageDto, resolve);
const KNOWN = ['action', 'businessId', 'content', 'sessionId', 'userId'] as const;
const GOOD = { businessId: 123, content: 'At ten.', action: 'operator', userId: 77, sessionId: 42 };

/** As it comes from the wire: own properties, `__proto__` among them. */
const parsed = (body: unknown): unknown => JSON.parse(JSON.stringify(body));
const pointers = (body: unknown): (string | undefined)[] => check(body).map((error) => error.pointer);
const without = (name: string): object =>
  Object.fromEntries(Object.entries(GOOD).filter(([key]) => key !== name));

describe('the check of a chat message', () => {
  it.each<[string, object]>([
    ['whole', GOOD],
    ['of what is required alone', { businessId: 1, content: 'x' }],
    ['with null for user and session', { ...GOOD, userId: null, sessionId: null }],
    ['with the largest ids', { ...GOOD, businessId: 2147483647, userId: 2147483647, sessionId: 1 }],
    ['without a prototype', Object.assign(Object.create(null) as object, GOOD)],
  ])('lets a message pass: %s', (_, body) => {
    expect(check(body)).toEqual([]);
  });

  it.each<[string, unknown, string]>([
    ['businessId', '123', 'must be an integer from 1 to 2147483647'],
    ['businessId', null, 'must be an integer from 1 to 2147483647'],
    ['businessId', 0, 'must be an integer from 1 to 2147483647'],
    ['businessId', 1e300, 'must be an integer from 1 to 2147483647'],
    ['content', 5, 'must be a text, not blank, of at most 10 Unicode code points'],
    ['content', null, 'must be a text, not blank, of at most 10 Unicode code points'],
    ['content', ' ', 'must be a text, not blank, of at most 10 Unicode code points'],
    ['content', '12345678901', 'must be a text, not blank, of at most 10 Unicode code points'],
    ['action', 'system', 'must be one of "operator"'],
    ['action', null, 'must be one of "operator"'],
    ['action', 1, 'must be one of "operator"'],
    ['userId', 2147483648, 'must be an integer from 1 to 2147483647'],
    ['userId', false, 'must be an integer from 1 to 2147483647'],
    ['sessionId', 1.5, 'must be an integer from 1 to 2147483647'],
    ['sessionId', '', 'must be an integer from 1 to 2147483647'],
  ])('refuses %s %j', (property, value, detail) => {
    expect(check({ ...GOOD, [property]: value })).toEqual([{ pointer: `#/${property}`, detail }]);
  });

  it.each(['businessId', 'content'])('asks for %s where it is missing', (property) => {
    expect(check(without(property))).toEqual([{ pointer: `#/${property}`, detail: 'is required' }]);
  });

  it.each(['action', 'userId', 'sessionId'])('does not ask for %s', (property) => {
    expect(check(without(property))).toEqual([]);
  });

  it('reports every fault at once, each property once', () => {
    const body = { businessId: '1', action: 'x', userId: 0, sessionId: [], extra: 1, more: 2 };
    expect(pointers(body).sort()).toEqual(
      ['action', 'businessId', 'content', 'extra', 'more', 'sessionId', 'userId'].map((name) => `#/${name}`),
    );
  });

  it('does not take what a prototype brings for something the caller sent', () => {
    expect(pointers(Object.create({ businessId: 1, content: 'x' }))).toEqual(['#/businessId', '#/content']);
    expect(pointers(JSON.parse('{"__proto__":{"businessId":1,"content":"x"}}')).sort()).toEqual([
      '#/__proto__',
      '#/businessId',
      '#/content',
    ]);
  });

  it.each([null, undefined, [], [GOOD], 'text', '', 5, true, Symbol('x')])(
    'refuses %p, which is no object',
    (body) => {
      expect(check(body)).toEqual([{ pointer: '#', detail: 'must be a JSON object' }]);
    },
  );

  it('leaves the body as it is', () => {
    const body = Object.freeze({ ...GOOD, businessId: '1', extra: Object.freeze({}) });
    const before = JSON.stringify(body);
    check(body);
    expect(JSON.stringify(body)).toBe(before);
  });
});

describe('a property that is not listed', () => {
  it.each([
    ['extra', '#/extra'],
    ['BusinessId', '#/BusinessId'],
    ['__proto__', '#/__proto__'],
    ['constructor', '#/constructor'],
    ['toString', '#/toString'],
    ['hasOwnProperty', '#/hasOwnProperty'],
    ['', '#/'],
    ['a b', '#/a%20b'],
    ['a/b', '#/a~1b'],
    ['a~b', '#/a~0b'],
    ['~1', '#/~01'],
    ['a%20b', '#/a%2520b'],
    ['#"\\<', '#/%23%22%5C%3C'],
    ['ü', '#/%C3%BC'],
    ['😀', '#/%F0%9F%98%80'],
    ['\ud83d', '#/%EF%BF%BD'],
    ['a\ude00b', '#/a%EF%BF%BDb'],
  ])('is refused by name: %j is %s', (name, pointer) => {
    const body: unknown = JSON.parse(`{"businessId":1,"content":"x",${JSON.stringify(name)}:null}`);
    expect(check(body)).toEqual([{ pointer, detail: 'is not a known property' }]);
  });

  it('is pointed at so that the name can be read back (RFC 6901 section 6)', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (name) => {
        fc.pre(!KNOWN.includes(name as (typeof KNOWN)[number]));
        const body: unknown = JSON.parse(`{"businessId":1,"content":"x",${JSON.stringify(name)}:null}`);
        const [pointer = ''] = pointers(body);
        expect(pointer).toMatch(/^#\/[\w%~.!*'()-]*$/);
        const token = decodeURIComponent(pointer.slice(2)).replaceAll('~1', '/').replaceAll('~0', '~');
        // What UTF-8 cannot hold comes back as the replacement character.
        expect(token).toBe(Buffer.from(name, 'utf8').toString('utf8'));
      }),
      { numRuns: 500 },
    );
  });

  it('is refused whatever it holds and however many there are', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string({ unit: 'binary' }), fc.jsonValue()), (extra) => {
        const names = Object.keys(extra).filter((name) => !KNOWN.includes(name as (typeof KNOWN)[number]));
        expect(check(extra).filter((error) => error.detail === 'is not a known property')).toHaveLength(
          names.length,
        );
      }),
    );
  });
});

describe('the compiled check and class-validator', () => {
  const value = fc.oneof(
    fc.constantFrom<unknown>(
      null,
      true,
      '',
      ' ',
      'operator',
      '1',
      1,
      0,
      -1,
      1.5,
      2147483647,
      2147483648,
      1e300,
    ),
    fc.integer(),
    fc.string({ unit: 'binary', maxLength: 25 }),
    fc.jsonValue({ maxDepth: 2 }),
  );
  const messages = fc.record(
    {
      businessId: fc.oneof(fc.integer({ min: 1, max: 2 ** 31 - 1 }), value),
      content: fc.oneof(fc.string({ minLength: 1, maxLength: 12 }), value),
      action: fc.oneof(fc.constant('operator'), value),
      userId: value,
      sessionId: value,
      extra: value,
    },
    { requiredKeys: [] },
  );
  const bodies = fc.oneof({ arbitrary: messages, weight: 4 }, fc.dictionary(fc.string(), value)).map(parsed);

  it('agree on which properties of any body are at fault', () => {
    let faulty = 0;
    fc.assert(
      fc.property(bodies, (body) => {
        const given = body as Record<string, unknown>;
        const instance = new ChatMessageDto() as unknown as Record<string, unknown>;
        for (const name of KNOWN) if (Object.hasOwn(given, name)) instance[name] = given[name];
        const theirs = validateSync(instance).map((error) => error.property);
        const ours = check(body)
          .map((error) => error.pointer?.slice(2) ?? '')
          .filter((name) => (KNOWN as readonly string[]).includes(name));
        expect(ours.sort()).toEqual(theirs.sort());
        if (theirs.length > 0) faulty += 1;
      }),
      { numRuns: 2_000 },
    );
    // Both kinds were seen, or the agreement says nothing.
    expect(faulty).toBeGreaterThan(100);
    expect(faulty).toBeLessThan(2_000);
  });
});

describe('compileCheck', () => {
  it('refuses a rule that it does not understand rather than ignore it', () => {
    class Child {
      @Validate(EntityId) id!: number;
    }
    class WithIsInt {
      @IsInt() count!: number;
    }
    class WithEquals {
      @Validate(EntityId) fine!: number;
      @IsOptional() @Equals(7) seven!: number;
    }
    class WithNested {
      @ValidateNested() child!: Child;
    }
    expect(() => compileCheck(WithIsInt, resolve)).toThrow();
    expect(() => compileCheck(WithEquals, resolve)).toThrow();
    expect(() => compileCheck(WithNested, resolve)).toThrow(
      'WithNested.child has a rule that cannot be compiled',
    );
  });

  it('refuses an option of a rule that it does not understand rather than ignore it', () => {
    class WithEach {
      @Validate(EntityId, { each: true }) ids!: number[];
    }
    class WithMessage {
      @Validate(EntityId, { message: 'must be a desk' }) desk!: number;
    }
    expect(() => compileCheck(WithEach, resolve)).toThrow('WithEach.ids');
    expect(() => compileCheck(WithMessage, resolve)).toThrow('WithMessage.desk');
  });

  it('applies a rule only where every condition holds', () => {
    class Conditional {
      @ValidateIf((object: Record<string, unknown>) => object['strict'] === true)
      @IsOptional()
      @Validate(EntityId)
      id?: number;

      @IsOptional()
      @Validate(OneOf, [true, false])
      strict?: boolean;
    }
    const conditional = compileCheck(Conditional, resolve);
    expect(conditional({ id: 'x' })).toEqual([]);
    expect(conditional({ id: 'x', strict: false })).toEqual([]);
    expect(conditional({ id: null, strict: true })).toEqual([]);
    expect(conditional({ id: 'x', strict: true })).toHaveLength(1);
  });

  it('takes the rules of a parent class too', () => {
    class Parent {
      @Validate(EntityId) id!: number;
    }
    class Heir extends Parent {
      @IsOptional() @Validate(EntityId) other?: number;
    }
    expect(
      compileCheck(
        Heir,
        resolve,
      )({ other: 0 })
        .map((error) => error.pointer)
        .sort(),
    ).toEqual(['#/id', '#/other']);
  });

  it('asks for each constraint when it compiles, not with every body', () => {
    const asked: string[] = [];
    const counting = compileCheck(ChatMessageDto, (type) => {
      asked.push(type.name);
      return resolve(type);
    });
    const atFirst = asked.length;
    counting(GOOD);
    counting({});
    expect(atFirst).toBeGreaterThan(0);
    expect(asked).toHaveLength(atFirst);
  });
});
