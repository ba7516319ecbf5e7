import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

const READY_WITHIN_MS = 30_000;
const POLL_MS = 100;
/** A little more than the service's own SHUTDOWN_TIMEOUT_MS. */
const STOP_WITHIN_MS = 30_000;

/** The service as a child process. */
export class ServiceProcess {
  /** Resolves with the exit code, 1 when a signal ended it. */
  readonly ended: Promise<number>;
  private readonly child: ChildProcess;

  constructor(mainFile: string, env: NodeJS.ProcessEnv) {
    this.child = spawn(process.execPath, [mainFile], {
      env,
      stdio: ['ignore', 'inherit', 'inherit'],
      // Its own process group: Ctrl-C in the terminal reaches only the parent, which then asks once, with SIGTERM.
      detached: process.platform !== 'win32',
    });
    this.ended = new Promise((resolve) => {
      this.child.once('error', () => {
        resolve(1);
      });
      this.child.once('exit', (code) => {
        resolve(code ?? 1);
      });
    });
    process.once('exit', () => this.child.kill('SIGKILL'));
  }

  get pid(): number | undefined {
    return this.child.pid;
  }

  /** True when the probe says ready; false when the service ended or took too long. */
  async isReady(readyUrl: string): Promise<boolean> {
    const deadlineMs = Date.now() + READY_WITHIN_MS;
    const end = new AbortController();
    void this.ended.then(() => {
      end.abort();
    });
    while (!end.signal.aborted && Date.now() < deadlineMs) {
      const isOk = await fetch(readyUrl, { signal: AbortSignal.timeout(1000) }).then(
        async (answer) => {
          await answer.arrayBuffer();
          return answer.ok;
        },
        () => false,
      );
      if (isOk) return true;
      await delay(POLL_MS);
    }
    return false;
  }

  /** Asks it to stop, and insists when it does not. */
  async stop(): Promise<void> {
    this.child.kill('SIGTERM');
    const patience = new AbortController();
    const insist = delay(STOP_WITHIN_MS, undefined, { signal: patience.signal }).then(
      () => this.child.kill('SIGKILL'),
      () => false,
    );
    await this.ended;
    patience.abort();
    await insist;
  }
}

/** The wanted port of 127.0.0.1 if nobody has it, else any free one. */
export async function freePort(wanted: number): Promise<number> {
  for (const port of [wanted, 0]) {
    const server = createServer();
    const listening = once(server, 'listening').then(
      () => true,
      () => false,
    );
    server.listen(port, '127.0.0.1');
    if (!(await listening)) continue;
    const address = server.address();
    server.close();
    await once(server, 'close');
    if (typeof address === 'object' && address !== null) return address.port;
  }
  throw new Error('no port of 127.0.0.1 is free');
}
