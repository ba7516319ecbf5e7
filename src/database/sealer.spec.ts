import { randomBytes } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import type { LedgerKey } from '../config/ledger-keys.js';
import { Sealer } from './sealer.js';

const key = (id: string): LedgerKey => ({ id, secret: randomBytes(32) });
const [OLD, NEW] = [key('old'), key('new')];
const TEXT = 'See you at ten. 🙂';

describe('what was sealed', () => {
  const sealer = new Sealer([OLD]);
  const sealed = sealer.seal(TEXT, 'delivery/1');

  it('opens where it belongs, and does not show what it is', () => {
    expect(sealer.open(sealed, 'delivery/1')).toBe(TEXT);
    expect(sealed.toString('latin1')).not.toContain('See you');
    expect(sealer.open(sealer.seal('', 'x'), 'x')).toBe('');
  });

  it('looks different each time', () => {
    expect(sealer.seal(TEXT, 'delivery/1').equals(sealed)).toBe(false);
  });

  it('opens nowhere else', () => {
    expect(() => sealer.open(sealed, 'delivery/2')).toThrow();
  });

  it('does not open when any byte of it was changed, or is missing', () => {
    for (let at = 0; at < sealed.length; at += 1) {
      const changed = Buffer.from(sealed);
      changed[at] = (changed[at] ?? 0) ^ 1;
      expect(() => sealer.open(changed, 'delivery/1')).toThrow();
      expect(() => sealer.open(sealed.subarray(0, at), 'delivery/1')).toThrow();
    }
  });

  it('does not open without its key, whatever that other key is called', () => {
    expect(() => new Sealer([NEW]).open(sealed, 'delivery/1')).toThrow('ledger key');
    expect(() => new Sealer([{ ...NEW, id: OLD.id }]).open(sealed, 'delivery/1')).toThrow();
    expect(() => new Sealer([]).seal(TEXT, 'x')).toThrow('ledger key');
  });
});

describe('a rotation', () => {
  it('seals with the new key and opens what the old one closed, until that one goes', () => {
    const sealer = new Sealer([OLD]);
    const sealed = sealer.seal(TEXT, 'x');
    sealer.replace([NEW, OLD]);
    const resealed = sealer.seal(TEXT, 'x');
    expect(sealer.open(sealed, 'x')).toBe(TEXT);
    expect(new Sealer([NEW]).open(resealed, 'x')).toBe(TEXT);
    sealer.replace([NEW]);
    expect(() => sealer.open(sealed, 'x')).toThrow('ledger key');
  });

  it('keeps the names that the old key gave, behind those of the new one', () => {
    const [name] = new Sealer([OLD]).names('reception');
    const names = new Sealer([NEW, OLD]).names('reception');
    expect(names).toEqual([expect.not.stringMatching(String(name)), name]);
  });
});

describe('a name', () => {
  it('is the same in every replica, another for another text, and says nothing of it', () => {
    const [name = ''] = new Sealer([OLD]).names('reception');
    expect(new Sealer([{ ...OLD }]).names('reception')).toEqual([name]);
    expect(new Sealer([OLD]).names('receptio')).not.toEqual([name]);
    expect(name).toMatch(/^[\w-]{43}$/);
  });
});

describe('a mark', () => {
  const mark = new Sealer([NEW, OLD]).mark('reception');

  it('tells one text from another wherever its key is, first or not', () => {
    for (const sealer of [new Sealer([NEW]), new Sealer([OLD, NEW])]) {
      expect(sealer.isMarkOf(mark, 'reception')).toBe(true);
      expect(sealer.isMarkOf(mark, 'receptio')).toBe(false);
    }
  });

  it('tells nothing elsewhere, but which key it takes', () => {
    expect(() => new Sealer([OLD]).isMarkOf(mark, 'reception')).toThrow('"new"');
  });
});
