import 'reflect-metadata';
import { describe, expect, it } from '@jest/globals';
import type { ValidationArguments } from 'class-validator';
import fc from 'fast-check';
import { EntityId, LARGEST_ID, MessageContent, NOT_BLANK, OneOf, isEntityId } from './chat-message.rules.js';

const content = (contentMaxLength: number): MessageContent =>
  new MessageContent({ contentMaxLength, updateReadFirst: 'restricted' });

/** One unit of text for each way to be one code point: plain, beyond 16 bits, and half of a pair. */
const unit = fc.constantFrom(
  'a',
  ' ',
  '\n',
  'é',
  'e\u0301',
  '漢',
  '😀',
  '👩‍👩‍👧',
  '\u{10ffff}',
  '\ud83d',
  '\ude00',
  '\0',
);
const text = fc.oneof(fc.string({ unit }), fc.string({ unit: 'binary' }));

describe('the content of a message', () => {
  it('may be as long as the limit in code points, and not one longer', () => {
    fc.assert(
      fc.property(text, fc.integer({ min: 1, max: 20 }), (value, limit) => {
        fc.pre(NOT_BLANK.test(value));
        expect(content(limit).validate(value)).toBe(Array.from(value).length <= limit);
      }),
      { numRuns: 1_000 },
    );
  });

  it('is counted exactly at the limit, whatever it is made of', () => {
    fc.assert(
      fc.property(text, (value) => {
        fc.pre(NOT_BLANK.test(value));
        const length = Array.from(value).length;
        expect(content(length).validate(value)).toBe(true);
        if (length > 1) expect(content(length - 1).validate(value)).toBe(false);
      }),
      { numRuns: 1_000 },
    );
  });

  it.each<[string, string, number]>([
    ['plain letters', 'abc', 3],
    ['a character beyond 16 bits', '😀', 1],
    ['several of them', '😀😀😀', 3],
    ['a family of five code points', '👩‍👩‍👧', 5],
    ['a letter with a combining accent', 'e\u0301', 2],
    ['a first half of a pair', '\ud83d', 1],
    ['a second half of a pair', '\ude00', 1],
    ['the halves in the wrong order', '\ude00\ud83d', 2],
    ['two first halves and a second', '\ud83d\ud83d\ude00', 2],
    ['the last code point', '\u{10ffff}', 1],
    ['a null character', '\0', 1],
  ])('counts %s', (_, value, codePoints) => {
    expect(content(codePoints).validate(value)).toBe(true);
    expect(content(codePoints - 1).validate(value)).toBe(false);
  });

  it.each(['', ' ', '\n', '\t \r\n', '\u00a0', '\u3000', '\ufeff', '\u2028', '\u0085', ' \u0085\n'])(
    'must not be blank: %j',
    (value) => {
      expect(content(100).validate(value)).toBe(false);
    },
  );

  it.each([' a ', '\u0085a', '\u200b', '<b>', '0', 'null'])('may be anything else: %j', (value) => {
    expect(content(100).validate(value)).toBe(true);
  });

  it.each([undefined, null, 0, 5, true, {}, [], ['a'], new String('a')])(
    'must be a text, and is not made one: %p',
    (value) => {
      expect(content(100).validate(value)).toBe(false);
    },
  );

  it('says its limit when it is refused', () => {
    expect(content(42).defaultMessage()).toContain('42 Unicode code points');
  });
});

describe('an id', () => {
  it.each([1, 2, 77, LARGEST_ID, 1.0, 2147483647])('may be %p', (value) => {
    expect(isEntityId(value)).toBe(true);
    expect(new EntityId().validate(value)).toBe(true);
  });

  it.each([
    0,
    -0,
    -1,
    1.5,
    2147483648,
    1e300,
    NaN,
    Infinity,
    '1',
    '',
    null,
    undefined,
    true,
    [1],
    {},
    1n,
    new Number(1),
  ])('must not be %p', (value) => {
    expect(isEntityId(value)).toBe(false);
    expect(new EntityId().validate(value)).toBe(false);
  });

  it('names its range when it is refused', () => {
    expect(new EntityId().defaultMessage()).toBe('must be an integer from 1 to 2147483647');
  });
});

describe('one of', () => {
  const given = (constraints: unknown[]): ValidationArguments => ({
    constraints,
    value: undefined,
    targetName: '',
    object: {},
    property: '',
  });

  it('takes the listed values alone, in their own type and case', () => {
    const taken = (value: unknown): boolean => new OneOf().validate(value, given(['operator', 1]));
    expect(['operator', 1].map(taken)).toEqual([true, true]);
    expect(['Operator', 'operator ', '1', '', null, undefined, ['operator'], {}].map(taken)).not.toContain(
      true,
    );
  });

  it('names them when it refuses', () => {
    expect(new OneOf().defaultMessage(given(['operator', 1]))).toBe('must be one of "operator", 1');
  });
});
