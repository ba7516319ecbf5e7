import { describe, expect, it } from '@jest/globals';
import { VirtualClock } from '../../test/support/virtual-clock.js';
import { FileWatch } from './file-watch.js';

/** Lets every promise that is settled have its say. */
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** One file, that holds a text or cannot be used for a reason. */
class Scene {
  readonly clock = new VirtualClock();
  content: string | Error = 'first';
  readonly told: string[] = [];
  readonly watch = new FileWatch(
    {
      read: async () => {
        if (typeof this.content === 'string') return this.content;
        throw this.content;
      },
      fingerprint: (content) => content,
      changed: (content) => this.told.push(content),
      unusable: (error) => this.told.push(`unusable: ${(error as Error).message}`),
    },
    'first',
    this.clock,
  );

  /** What was told after each look at these contents, one a second. */
  async looks(...contents: (string | Error)[]): Promise<string[]> {
    const told: string[] = [];
    for (const content of contents) {
      this.content = content;
      this.clock.run(this.clock.nowMs() + 1_000);
      await settle();
      told.push(this.told.splice(0).join());
    }
    return told;
  }
}

const BROKEN = new Error('broken');
const GONE = new Error('gone');

describe('a watched file', () => {
  it.each<[string, (string | Error)[], string[]]>([
    ['the content that was there', ['first', 'first'], ['', '']],
    ['another, when it was seen twice', ['next', 'next', 'next'], ['', 'next', '']],
    ['one that is written bit by bit, when it is whole', ['n', 'ne', 'next', 'next'], ['', '', '', 'next']],
    ['one that came and went', ['next', 'first', 'next', 'first', 'first'], ['', '', '', '', '']],
    ['the old one, after another', ['next', 'next', 'first', 'first'], ['', 'next', '', 'first']],
    ['a fault, once', [BROKEN, BROKEN, BROKEN], ['', 'unusable: broken', '']],
    ['a fault while it is written, which is none', [BROKEN, 'next', 'next'], ['', '', 'next']],
    ['one fault after another', [BROKEN, BROKEN, GONE, GONE], ['', 'unusable: broken', '', 'unusable: gone']],
    ['the old content after a fault', [BROKEN, BROKEN, 'first', 'first'], ['', 'unusable: broken', '', '']],
    ['another content after a fault', [GONE, GONE, 'next', 'next'], ['', 'unusable: gone', '', 'next']],
    [
      'a fault that comes again',
      [GONE, GONE, 'first', 'first', GONE, GONE],
      ['', 'unusable: gone', '', '', '', 'unusable: gone'],
    ],
  ])('tells of %s', async (_, contents, told) => {
    expect(await new Scene().looks(...contents)).toEqual(told);
  });

  it('knows whether it can be used', async () => {
    const scene = new Scene();
    const usable: boolean[] = [];
    for (const content of ['first', BROKEN, BROKEN, 'first', 'first']) {
      await scene.looks(content);
      usable.push(scene.watch.isUsable);
    }
    expect(usable).toEqual([true, true, false, false, true]);
  });

  it('is not looked at after a stop', async () => {
    const scene = new Scene();
    await scene.looks('next');
    scene.watch.stop();
    expect(scene.clock.pending).toBe(0);
    expect(await scene.looks('next', 'next')).toEqual(['', '']);
  });

  it('tells nothing of a look that a stop came into', async () => {
    const scene = new Scene();
    await scene.looks('next');
    scene.clock.run(scene.clock.nowMs() + 1_000);
    scene.watch.stop();
    await settle();
    expect(scene.told).toEqual([]);
    expect(scene.clock.pending).toBe(0);
  });
});
