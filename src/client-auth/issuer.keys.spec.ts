import { describe, expect, it } from '@jest/globals';
import { exportJWK, type FlattenedJWSInput, generateKeyPair, type JSONWebKeySet, type JWK } from 'jose';
import { VirtualClock } from '../../test/support/virtual-clock.js';
import type { AppLogger } from '../observability/app-logger.js';
import { Problem } from '../problem-details/problem.js';
import { IssuerUnusable } from './issuer.endpoint.js';
import { IssuerKeys } from './issuer.keys.js';

const MINUTE_MS = 60_000;
const { publicKey } = await generateKeyPair('ES256', { extractable: true });
const KEY = await exportJWK(publicKey);

type Fetch = (signal: AbortSignal) => Promise<JSONWebKeySet>;

/** Lets every promise that is settled have its say. */
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

class Scene {
  readonly clock = new VirtualClock();
  fetches = 0;
  kids = ['old'];
  isDown = false;
  /** Played instead of an answer at once. */
  fetch: Fetch | undefined;
  readonly log: Record<string, unknown>[] = [];
  readonly keys = new IssuerKeys(
    async (signal) => {
      this.fetches += 1;
      if (this.fetch) return this.fetch(signal);
      if (this.isDown) throw new IssuerUnusable('discovery: status 503');
      return { keys: this.kids.map((kid): JWK => ({ ...KEY, kid })) };
    },
    this.clock,
    this.#logger(),
  );

  /** Goes on event by event, so that a fetch ends before the next begins. */
  async pass(ms: number): Promise<void> {
    const untilMs = this.clock.nowMs() + ms;
    await settle();
    while (this.clock.step(untilMs)) await settle();
    this.clock.run(untilMs);
  }

  /** What becomes of a token that names a key: found, not-found, or unavailable with the seconds to wait. */
  async ask(kid: string): Promise<string> {
    try {
      await this.keys.find({ alg: 'ES256', kid }, {} as FlattenedJWSInput);
      return 'found';
    } catch (error) {
      if (error instanceof Problem) return `${error.slug} ${error.headers['retry-after'] ?? ''}`;
      return (error as { code: string }).code;
    }
  }

  #logger(): AppLogger {
    const write = (fields: object): void => {
      this.log.push({ ...fields });
    };
    return { debug: write, info: write, warn: write, error: write };
  }
}

const NOT_FOUND = 'ERR_JWKS_NO_MATCHING_KEY';

describe('the keys of the issuer', () => {
  it('are fetched once for all who come before they are there', async () => {
    const scene = new Scene();
    scene.keys.start();
    expect(await Promise.all(Array.from({ length: 30 }, () => scene.ask('old')))).toEqual(
      Array.from({ length: 30 }, () => 'found'),
    );
    expect(scene.fetches).toBe(1);
  });

  it('are fetched again every ten minutes, while nobody waits and with the old ones in use until then', async () => {
    const scene = new Scene();
    scene.keys.start();
    await scene.pass(10 * MINUTE_MS - 1);
    expect(scene.fetches).toBe(1);
    let answer: (keys: JSONWebKeySet) => void = () => undefined;
    scene.fetch = () => new Promise((resolve) => (answer = resolve));
    await scene.pass(1);
    expect(scene.fetches).toBe(2);
    expect(await scene.ask('old')).toBe('found');
    answer({ keys: [{ ...KEY, kid: 'new' }] });
    await settle();
    expect(await scene.ask('new')).toBe('found');
    expect(scene.fetches).toBe(2);
  });

  it('stay one set for as long as they are the same', async () => {
    const scene = new Scene();
    scene.keys.start();
    await settle();
    const { current } = scene.keys;
    await scene.pass(25 * MINUTE_MS);
    expect(scene.fetches).toBe(3);
    expect(scene.keys.current).toBe(current);
    scene.kids.push('new');
    await scene.pass(10 * MINUTE_MS);
    expect(scene.keys.current).not.toBe(current);
  });

  it('that are new are found at once, and the ones that are gone are gone', async () => {
    const scene = new Scene();
    scene.keys.start();
    expect(await scene.ask('old')).toBe('found');
    scene.kids = ['new'];
    expect(await scene.ask('new')).toBe('found');
    expect(await scene.ask('old')).toBe(NOT_FOUND);
    expect(scene.fetches).toBe(2);
  });

  it('are asked for at most once in 5 seconds by tokens with keys that nobody knows', async () => {
    const scene = new Scene();
    scene.keys.start();
    await scene.ask('old');
    const strangers = Array.from({ length: 30 }, (_, index) => scene.ask(`stranger-${index}`));
    expect(await Promise.all(strangers)).toEqual(strangers.map(() => NOT_FOUND));
    await scene.pass(4_999);
    expect(await scene.ask('stranger')).toBe(NOT_FOUND);
    expect(scene.fetches).toBe(2);
    await scene.pass(1);
    expect(await scene.ask('stranger')).toBe(NOT_FOUND);
    expect(scene.fetches).toBe(3);
  });

  it('are asked for less and less by ourselves and never by callers, while the issuer is down', async () => {
    const scene = new Scene();
    scene.isDown = true;
    scene.keys.start();
    expect(await scene.ask('old')).toBe('upstream-unavailable 1');
    const fetchedAtMs: number[] = [];
    scene.fetch = async () => {
      fetchedAtMs.push(scene.clock.nowMs());
      throw new IssuerUnusable('x');
    };
    for (let seconds = 0; seconds < 200; seconds += 1) {
      await scene.pass(999);
      for (let caller = 0; caller < 3; caller += 1) await scene.ask('old');
      await scene.pass(1);
    }
    expect(fetchedAtMs).toEqual([1, 3, 7, 15, 31, 63, 123, 183].map((seconds) => seconds * 1000));
    expect(await scene.ask('old')).toBe('upstream-unavailable 43');
  });

  it('are there again soon after the issuer is, without a caller', async () => {
    const scene = new Scene();
    scene.isDown = true;
    scene.keys.start();
    await scene.pass(500);
    scene.isDown = false;
    await scene.pass(500);
    expect(scene.fetches).toBe(2);
    expect(await scene.ask('old')).toBe('found');
    expect(scene.fetches).toBe(2);
  });

  it('serve on for an hour while the issuer is down, and not a millisecond longer', async () => {
    const scene = new Scene();
    scene.keys.start();
    await settle();
    scene.isDown = true;
    await scene.pass(60 * MINUTE_MS - 1);
    expect(await scene.ask('old')).toBe('found');
    expect(scene.keys.current).toBeDefined();
    await scene.pass(1);
    expect(await scene.ask('old')).toMatch(/^upstream-unavailable \d+$/);
    expect(scene.keys.current).toBeUndefined();
    scene.isDown = false;
    await scene.pass(MINUTE_MS);
    expect(await scene.ask('old')).toBe('found');
  });

  it('that are not known cannot be judged while the issuer is down: that is not the fault of a token', async () => {
    const scene = new Scene();
    scene.keys.start();
    await settle();
    scene.isDown = true;
    expect(await scene.ask('new')).toBe('upstream-unavailable 1');
    expect(await scene.ask('old')).toBe('found');
    expect(scene.fetches).toBe(2);
  });

  it('are given up after three seconds without an answer', async () => {
    const scene = new Scene();
    scene.fetch = (signal) =>
      new Promise((_, reject) => {
        signal.addEventListener('abort', () => {
          reject(new IssuerUnusable('discovery: no answer in time'));
        });
      });
    scene.keys.start();
    const waiting = scene.ask('old');
    await scene.pass(2_999);
    expect(scene.log).toEqual([]);
    await scene.pass(1);
    expect(await waiting).toBe('upstream-unavailable 1');
  });

  it.each<[string, unknown]>([
    ['nothing', null],
    ['an error', { error: 'server_error' }],
    ['no list', { keys: 'canary' }],
    ['a list of texts', { keys: ['canary'] }],
  ])('are not what %s is, and the old ones serve on', async (_, nonsense) => {
    const scene = new Scene();
    scene.keys.start();
    await settle();
    scene.fetch = async () => nonsense as JSONWebKeySet;
    await scene.pass(10 * MINUTE_MS);
    expect(await scene.ask('old')).toBe('found');
    expect(scene.log.at(-1)).toEqual({
      reason: 'the keys are not a JSON Web Key Set',
      failures: 1,
      retryAfterSeconds: 1,
      keysInUse: true,
    });
  });

  it('are no longer asked for after a stop, which ends a fetch that is under way', async () => {
    const scene = new Scene();
    let signal: AbortSignal | undefined;
    scene.fetch = (given) => {
      signal = given;
      return new Promise((_, reject) => {
        given.addEventListener('abort', () => {
          reject(new Error('aborted'));
        });
      });
    };
    scene.keys.start();
    scene.keys.stop();
    await settle();
    expect(signal?.aborted).toBe(true);
    expect(scene.clock.pending).toBe(0);
    expect(scene.log).toEqual([]);
  });
});
