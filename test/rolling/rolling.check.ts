import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, expect, it } from '@jest/globals';
import { NexudusSandbox } from '../../src/sandbox/nexudus-sandbox.js';
import { Process } from '../support/process.js';
import { environmentFor, KEYS } from '../support/service.js';
import { Nginx } from './nginx.js';

const REPLICAS = 3;
const CALLS_PER_S = 40;
/**
 * From the new list of endpoints to SIGTERM: what a preStop buys, for requests that the proxy has begun to hand on. A
 * fifth of the chart's, and still longer than a busy machine holds them up.
 */
const PRE_STOP_MS = 1_000;

const cleanUp: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const end of cleanUp.splice(0)) await end();
});

interface Replica {
  readonly process: Process;
  readonly port: number;
}

async function startReplica(nexudusUrl: string, name: string): Promise<Replica> {
  const process = new Process('dist/main.js', { ...environmentFor(nexudusUrl), NEXUDUS_CLIENT_ID: name });
  const ready = await process.line((line) => line.includes('"ready"'));
  return { process, port: (JSON.parse(ready) as { port: number }).port };
}

const portsOf = (replicas: readonly Replica[]): number[] => replicas.map(({ port }) => port);

interface Answer {
  readonly content: string;
  readonly status: number;
  readonly text: string;
}

/** Creates messages at a steady rate, each with a content of its own, whatever becomes of the others. */
class Load {
  readonly #answers: Promise<Answer>[] = [];
  readonly #timer: NodeJS.Timeout;

  constructor(url: string) {
    this.#timer = setInterval(() => {
      this.#answers.push(create(url, `message ${this.#answers.length}`));
    }, 1000 / CALLS_PER_S);
  }

  async end(): Promise<Answer[]> {
    clearInterval(this.#timer);
    return Promise.all(this.#answers);
  }
}

async function create(url: string, content: string): Promise<Answer> {
  try {
    const answer = await fetch(`${url}/v1/chat-messages`, {
      method: 'POST',
      headers: { authorization: `Bearer ${KEYS.everything}`, 'content-type': 'application/json' },
      body: JSON.stringify({ businessId: 1, content }),
    });
    return { content, status: answer.status, text: await answer.text() };
  } catch (error) {
    return { content, status: 0, text: String(error) };
  }
}

it('a rolling restart under load fails no call and sends every message once', async () => {
  const sandbox = await NexudusSandbox.start();
  cleanUp.push(() => sandbox.close());
  const before = await Promise.all(
    Array.from({ length: REPLICAS }, (_, n) => startReplica(sandbox.url, `before-${n}`)),
  );
  const nginx = await Nginx.start(portsOf(before));
  const load = new Load(nginx.url);
  cleanUp.push(() => load.end());

  let routed = before;
  for (const [n, old] of before.entries()) {
    const fresh = await startReplica(sandbox.url, `after-${n}`);
    // Nexudus holds its answers back, so that the stop meets calls that are under way: nginx goes round in turns.
    sandbox.always({ kind: 'hang' });
    await sandbox.waitForCall(
      () => sandbox.writes.filter(({ status }) => status === undefined).length >= 2 * REPLICAS,
    );
    routed = [...routed.filter((replica) => replica !== old), fresh];
    await nginx.route(portsOf(routed));
    await delay(PRE_STOP_MS);
    old.process.child.kill('SIGTERM');
    await old.process.line((line) => line.includes('"stopping"'));
    sandbox.clearScenarios();
    sandbox.release();

    expect(await old.process.exit()).toBe(0);
    const said = old.process.records();
    const finished = said
      .slice(said.findIndex(({ message }) => message === 'stopping'))
      .filter(({ message }) => message === 'request');
    expect(finished.length).toBeGreaterThan(0);
  }

  const answers = await load.end();
  expect(answers.filter(({ status }) => status !== 201)).toEqual([]);
  const arrived = sandbox.writes.map(({ json }) => (json as { Content: string }).Content);
  expect(arrived.sort()).toEqual(answers.map(({ content }) => content).sort());
  await nginx.stop();
});
