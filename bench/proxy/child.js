import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { get } from 'node:http';
import { performance } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath, URL } from 'node:url';
import { pinned } from './machine.js';

const PROBE = new URL('./probe.js', import.meta.url).href;
const READY_WITHIN_MS = 30_000;
const READY_POLL_MS = 2;
const STOP_WITHIN_MS = 10_000;
/** The unit of /proc/<pid>/stat: 100 a second on every Linux that is in use. */
const MS_PER_TICK = 10;

/** A process of the benchmark, on a core of its own. */
export class Child {
  #process;
  #ended;

  /** @param readyUrl answers when the process is ready: with 200, or with anything where `anyAnswer` */
  static async start({ command, args, env = {}, core, readyUrl, anyAnswer = false, probed = false }) {
    const child = new Child();
    const startedAtMs = performance.now();
    const [file, argv] = pinned(core, command, probed ? ['--expose-gc', '--import', PROBE, ...args] : args);
    child.#process = spawn(file, argv, {
      env: { PATH: process.env.PATH, ...env },
      // Logs are read, as they are in production.
      stdio: ['ignore', 'pipe', 'inherit', ...(probed ? ['ipc'] : [])],
    });
    child.#process.stdout.resume();
    child.#ended = once(child.#process, 'exit');
    const kill = () => child.#process.kill('SIGKILL');
    process.once('exit', kill);
    void child.#ended.then(() => process.off('exit', kill));
    try {
      await child.#ready(readyUrl, anyAnswer, startedAtMs + READY_WITHIN_MS);
    } catch (error) {
      await child.stop();
      throw error;
    }
    child.readyInMs = performance.now() - startedAtMs;
    return child;
  }

  /** A script of this folder, run by this Node.js. */
  static async startScript(script, options) {
    const file = fileURLToPath(new URL(script, import.meta.url));
    return Child.start({ command: process.execPath, args: [file], ...options });
  }

  /** User and system time so far; NaN where there is no /proc. */
  async cpuMs() {
    const stat = await readFile(`/proc/${this.#process.pid}/stat`, 'utf8').catch(() => '');
    // The name in brackets may hold anything; utime and stime are the 14th and 15th field.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return (Number(fields[11]) + Number(fields[12])) * MS_PER_TICK;
  }

  /** Resident bytes; NaN where there is no /proc. */
  async rssBytes() {
    const status = await readFile(`/proc/${this.#process.pid}/status`, 'utf8').catch(() => '');
    return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]) * 1024;
  }

  /** Memory after a garbage collection, and what keeps the event loop busy: of a probed one. */
  async probe() {
    const answer = once(this.#process, 'message');
    this.#process.send('probe');
    return (await answer)[0];
  }

  async stop() {
    this.#process.kill('SIGTERM');
    const patience = new globalThis.AbortController();
    const insist = delay(STOP_WITHIN_MS, undefined, { signal: patience.signal }).then(
      () => this.#process.kill('SIGKILL'),
      () => undefined,
    );
    await this.#ended;
    patience.abort();
    await insist;
  }

  async #ready(url, anyAnswer, deadlineMs) {
    let exitCode;
    void this.#ended.then(([code]) => {
      exitCode = code ?? 'signal';
    });
    for (;;) {
      const status = await statusOf(url);
      if (status === 200 || (anyAnswer && status !== undefined)) return;
      if (exitCode !== undefined) throw new EndedEarly(exitCode);
      if (performance.now() > deadlineMs) throw new Error(`Nobody got ready at ${url}`);
      await delay(READY_POLL_MS);
    }
  }
}

/** A process ended before it was ready. */
export class EndedEarly extends Error {
  constructor(exitCode) {
    super(`A process ended with ${exitCode} before it was ready`);
    this.exitCode = exitCode;
  }
}

async function statusOf(url) {
  return new Promise((resolve) => {
    const request = get(url, { agent: false }, (answer) => {
      answer.resume();
      resolve(answer.statusCode);
    });
    request.on('error', () => resolve(undefined));
  });
}
