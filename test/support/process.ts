import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { afterEach } from '@jest/globals';

const children: { readonly child: ChildProcess; readonly endedBy: NodeJS.Signals }[] = [];

afterEach(async () => {
  for (const { child, endedBy } of children.splice(0)) {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill(endedBy);
      await once(child, 'exit');
    }
  }
});

/** A process whose standard output is read line by line; it ends with the test. */
export class Process {
  readonly child: ChildProcess;
  readonly lines: string[] = [];
  readonly #ended: Promise<unknown>;
  readonly #waiting: {
    readonly matches: (line: string) => boolean;
    readonly resolve: (line: string) => void;
  }[] = [];

  /** Runs a script with Node, or a whole command; `endedBy` is for one that has to end children of its own. */
  constructor(
    script: string | readonly [string, ...string[]],
    env: Record<string, string>,
    endedBy: NodeJS.Signals = 'SIGKILL',
  ) {
    const [command, ...args] = typeof script === 'string' ? ([process.execPath, script] as const) : script;
    this.child = spawn(command, args, { env, stdio: ['ignore', 'pipe', 'inherit'] });
    children.push({ child: this.child, endedBy });
    if (this.child.stdout === null) throw new Error('no standard output');
    const output = createInterface(this.child.stdout);
    this.#ended = Promise.all([once(output, 'close'), once(this.child, 'close')]);
    output.on('line', (line) => {
      this.lines.push(line);
      for (const { matches, resolve } of this.#waiting) if (matches(line)) resolve(line);
    });
  }

  /** The first line that matches, past or future; of those from index `from` on. */
  async line(matches: (line: string) => boolean, from = 0): Promise<string> {
    const seen = this.lines.slice(from).find(matches);
    return seen ?? new Promise((resolve) => this.#waiting.push({ matches, resolve }));
  }

  async exit(): Promise<number | null> {
    await this.#ended;
    return this.child.exitCode;
  }

  records(): Record<string, unknown>[] {
    return this.lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  }
}
