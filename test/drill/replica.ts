import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

const READY_WITHIN_MS = 60_000;
/** Of what a replica said last, for whoever looks into a run that failed. */
const LINES_KEPT = 4_000;

/** At which point, and how, a replica ends or freezes itself. */
export interface PointPlan {
  readonly point: string;
  readonly signal: 'SIGKILL' | 'SIGSTOP';
  /** The how many-th time that it comes there. */
  readonly nth: number;
}

/** One replica: a process of its own. */
export class Replica {
  readonly lines: string[] = [];
  readonly ended: Promise<void>;
  #url: string | undefined;
  #isFrozen = false;
  #hasEnded = false;

  private constructor(
    readonly name: string,
    private readonly child: ChildProcess,
    /** Called when it has come to its point. */
    private readonly onPoint: (replica: Replica, plan: PointPlan) => void,
    readonly plan: PointPlan | undefined,
  ) {
    this.ended = once(child, 'exit').then(() => {
      this.#hasEnded = true;
    });
    running.add(child);
    void this.ended.then(() => running.delete(child));
  }

  static spawn(
    script: string,
    name: string,
    env: Readonly<Record<string, string>>,
    plan: PointPlan | undefined,
    onPoint: (replica: Replica, plan: PointPlan) => void,
  ): Replica {
    const child = spawn(process.execPath, [script], {
      env: {
        ...env,
        ...(plan && {
          DRILL_POINT: plan.point,
          DRILL_SIGNAL: plan.signal,
          DRILL_NTH: String(plan.nth),
        }),
      },
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    const replica = new Replica(name, child, onPoint, plan);
    for (const output of [child.stdout, child.stderr]) {
      if (output === null) throw new Error('no output');
      createInterface(output).on('line', (line) => {
        replica.#hear(line);
      });
    }
    return replica;
  }

  /** Of its API; undefined until it is ready. */
  get url(): string | undefined {
    return this.#url;
  }

  /** Whether a caller may find it: it looks alive, though it may be frozen. */
  get isUp(): boolean {
    return this.#url !== undefined && !this.#hasEnded;
  }

  get isFrozen(): boolean {
    return this.#isFrozen;
  }

  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /** Resolves when it serves, or has ended, or froze itself at a point. */
  async ready(): Promise<void> {
    const deadlineMs = Date.now() + READY_WITHIN_MS;
    while (this.#url === undefined && !this.#hasEnded && !this.#isFrozen) {
      if (Date.now() > deadlineMs) throw new Error(`${this.name} is not ready:\n${this.lines.join('\n')}`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  /** Whatever point it was to end at: it does not any more. */
  disarm(): void {
    if (!this.#hasEnded) this.child.send('disarm', () => undefined);
  }

  kill(): void {
    this.child.kill('SIGKILL');
  }

  freeze(): void {
    this.#isFrozen = true;
    this.child.kill('SIGSTOP');
  }

  thaw(): void {
    this.#isFrozen = false;
    this.child.kill('SIGCONT');
  }

  #hear(line: string): void {
    this.lines.push(line);
    if (this.lines.length > LINES_KEPT) this.lines.shift();
    if (!line.startsWith('{"drill"')) return;
    const said = JSON.parse(line) as { drill: string; port: number };
    if (said.drill === 'ready') this.#url = `http://127.0.0.1:${said.port}`;
    if (said.drill === 'point' && this.plan !== undefined) {
      if (this.plan.signal === 'SIGSTOP') this.#isFrozen = true;
      this.onPoint(this, this.plan);
    }
  }
}

/** Nothing of ours outlives us, frozen or not. */
const running = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});
