import { createHash } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { ApiKeys, ApiKeysUnusable } from './api-keys.js';
import { mayWriteFor } from './caller.js';

const NOW = Date.UTC(2025, 0, 15);
const KEY = 'kJ3mQ8-reception';
const hash = (key: string): string => createHash('sha256').update(key).digest('hex');
const entry = (extra: object = {}): object => ({
  id: 'reception',
  sha256: hash(KEY),
  businesses: [1, 2],
  ...extra,
});
const parse = (...entries: unknown[]): ApiKeys => ApiKeys.parse(JSON.stringify(entries));

describe('a key', () => {
  it('is known by its hash, and its caller may write for its businesses alone', () => {
    const caller = parse(entry()).find(KEY, NOW);
    expect(caller).toEqual({ kind: 'api-key', id: 'reception', businesses: new Set([1, 2]) });
    expect(caller && [1, 2, 3].map((id) => mayWriteFor(caller, id))).toEqual([true, true, false]);
  });

  it('may be for every business', () => {
    const caller = parse(entry({ businesses: '*' })).find(KEY, NOW);
    expect(caller?.businesses).toBe('*');
    expect(caller && mayWriteFor(caller, 77)).toBe(true);
  });

  it('may be for none', () => {
    const caller = parse(entry({ businesses: [] })).find(KEY, NOW);
    expect(caller && mayWriteFor(caller, 1)).toBe(false);
  });

  it('is found whatever the case of the hash in the file', () => {
    expect(parse(entry({ sha256: hash(KEY).toUpperCase() })).find(KEY, NOW)?.id).toBe('reception');
  });

  it('is found among others, each with its own caller', () => {
    const keys = parse(
      entry(),
      entry({ id: 'kiosk', sha256: hash('other') }),
      entry({ id: 'x', sha256: hash('') }),
    );
    expect([KEY, 'other', ''].map((key) => keys.find(key, NOW)?.id)).toEqual(['reception', 'kiosk', 'x']);
  });

  it('may be changed for a new one of the same caller while both are good', () => {
    const keys = parse(entry(), entry({ sha256: hash('next') }));
    expect([KEY, 'next'].map((key) => keys.find(key, NOW)?.id)).toEqual(['reception', 'reception']);
  });

  it('that is not in the file is nobody, its own hash included', () => {
    const keys = parse(entry());
    for (const key of ['', 'x', `${KEY} `, KEY.toUpperCase(), hash(KEY), '__proto__', 'constructor']) {
      expect(keys.find(key, NOW)).toBeUndefined();
    }
    expect(parse().find(KEY, NOW)).toBeUndefined();
  });

  it('is found if and only if it was given out', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.string({ minLength: 1 }), { minLength: 2 }),
        ([stranger = '', ...given]) => {
          const keys = parse(...given.map((key, i) => entry({ id: `k${i}`, sha256: hash(key) })));
          expect(given.map((key) => keys.find(key, NOW)?.id)).toEqual(given.map((_, i) => `k${i}`));
          expect(keys.find(stranger, NOW)).toBeUndefined();
        },
      ),
    );
  });

  it.each<[string, number, boolean]>([
    ['a millisecond before', NOW - 1, true],
    ['at', NOW, false],
    ['after', NOW + 1, false],
  ])('%s its expiry is accepted: %d %s', (_, epochMs, accepted) => {
    for (const expiresAt of ['2025-01-15T00:00:00Z', '2025-01-15T01:00:00+01:00', '2025-01-15']) {
      expect(parse(entry({ expiresAt })).find(KEY, epochMs) !== undefined).toBe(accepted);
    }
  });
});

describe('the file', () => {
  const messageOf = (text: string): string => {
    try {
      ApiKeys.parse(text);
    } catch (error) {
      if (error instanceof ApiKeysUnusable) return error.message;
      throw error;
    }
    throw new Error('the file was accepted');
  };

  it.each([
    ['empty', ''],
    ['half-written', JSON.stringify([entry()]).slice(0, -2)],
    ['not JSON', 'reception: 123'],
    ['an object', JSON.stringify({ reception: hash(KEY) })],
    ['null', 'null'],
    ['a list of texts', JSON.stringify([hash(KEY)])],
    ['a list with null', JSON.stringify([entry(), null])],
    ['a list of lists', JSON.stringify([[entry()]])],
  ])('is not usable when it is %s', (_, text) => {
    expect(messageOf(text)).toMatch(/^(is not JSON|must be a JSON array of objects)$/);
  });

  it.each<[string, object]>([
    ['"id"', { id: undefined }],
    ['"id"', { id: '' }],
    ['"id"', { id: 7 }],
    ['"id"', { id: 'a b' }],
    ['"id"', { id: 'a\n' }],
    ['"id"', { id: 'x'.repeat(65) }],
    ['"sha256"', { sha256: undefined }],
    ['"sha256"', { sha256: KEY }],
    ['"sha256"', { sha256: hash(KEY).slice(1) }],
    ['"sha256"', { sha256: `${hash(KEY)}00` }],
    ['"sha256"', { sha256: `${hash(KEY)}\n` }],
    ['"businesses"', { businesses: undefined }],
    ['"businesses"', { businesses: null }],
    ['"businesses"', { businesses: 1 }],
    ['"businesses"', { businesses: 'all' }],
    ['"businesses"', { businesses: ['1'] }],
    ['"businesses"', { businesses: ['*'] }],
    ['"businesses"', { businesses: [1.5] }],
    ['"businesses"', { businesses: [1, null] }],
    ['"businesses"', { businesses: { 0: 1, length: 1 } }],
    ['"expiresAt"', { expiresAt: 'next year' }],
    ['"expiresAt"', { expiresAt: '' }],
    ['"expiresAt"', { expiresAt: null }],
    ['"expiresAt"', { expiresAt: NOW }],
    ['"expiresAt"', { expiresAt: '2025-13-01' }],
    ['"expiresAt"', { expiresAt: '03/04/2026' }],
    ['"expiresAt"', { expiresAt: '1' }],
  ])('is not usable for a fault in %s (%j), and says in which entry', (field, extra) => {
    const message = messageOf(JSON.stringify([entry({ sha256: hash('first') }), entry(extra)]));
    expect(message).toMatch(/^entry 2: /);
    expect(message).toContain(field);
  });

  it('is not usable when two callers share a key, whatever the case of the hash', () => {
    const twice = [entry(), entry({ id: 'kiosk', sha256: hash(KEY).toUpperCase() })];
    expect(messageOf(JSON.stringify(twice))).toMatch(/^entry 2: /);
  });

  it('never has its content repeated in a fault', () => {
    for (const extra of [
      { id: 'canary canary' },
      { sha256: 'canary' },
      { businesses: 'canary' },
      { expiresAt: 'canary' },
    ]) {
      expect(messageOf(JSON.stringify([entry(extra)]))).not.toContain('canary');
    }
    expect(messageOf('canary')).not.toContain('canary');
  });

  it('is read from its path, and is unusable where there is none', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'api-keys-'));
    try {
      const path = join(directory, 'keys.json');
      const missing = await ApiKeys.read(path).catch((error: unknown) => error);
      expect(missing).toBeInstanceOf(ApiKeysUnusable);
      expect((missing as ApiKeysUnusable).message).toBe('cannot be read (ENOENT)');
      await writeFile(path, `${JSON.stringify([entry()])}\n`);
      expect((await ApiKeys.read(path)).find(KEY, NOW)?.id).toBe('reception');
    } finally {
      await rm(directory, { recursive: true });
    }
  });
});
