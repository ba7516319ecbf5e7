import { Injectable } from '@nestjs/common';

/** Where the process is in its life, and what it still has to finish. */
@Injectable()
export class Lifecycle {
  #state: 'starting' | 'ready' | 'stopping' = 'starting';
  #stopByMs = Infinity;
  #requests = 0;
  readonly #requirements: (() => boolean)[] = [];
  readonly #whenStopping = new Set<() => void>();
  readonly #whenIdle: (() => void)[] = [];

  /** As operators see it: `unready` where it has started, and what it stands on is away. */
  get state(): 'starting' | 'ready' | 'unready' | 'stopping' {
    return this.#state === 'ready' && !this.isReady ? 'unready' : this.#state;
  }

  /** Started, not stopping, and what it stands on is there. */
  get isReady(): boolean {
    return this.#state === 'ready' && this.#requirements.every((holds) => holds());
  }

  /** Without it no request is to come here: a store that cannot be reached, say. */
  require(holds: () => boolean): void {
    this.#requirements.push(holds);
  }

  get isStopping(): boolean {
    return this.#state === 'stopping';
  }

  /** When everything must be finished, on the clock's monotonic scale; Infinity until a stop. */
  get stopByMs(): number {
    return this.#stopByMs;
  }

  started(): void {
    if (this.#state === 'starting') this.#state = 'ready';
  }

  stop(byMs: number): void {
    this.#state = 'stopping';
    this.#stopByMs = byMs;
    for (const listener of [...this.#whenStopping]) listener();
  }

  /** Called once, when the stop begins; the returned function takes that back. */
  onStop(listener: () => void): () => void {
    this.#whenStopping.add(listener);
    return () => {
      this.#whenStopping.delete(listener);
    };
  }

  /** How many are under way. */
  get requests(): number {
    return this.#requests;
  }

  requestBegan(): void {
    this.#requests += 1;
  }

  requestEnded(): void {
    this.#requests -= 1;
    if (this.#requests === 0) for (const resolve of this.#whenIdle.splice(0)) resolve();
  }

  /** Resolves when no request is under way. */
  async idle(): Promise<void> {
    if (this.#requests > 0) await new Promise<void>((resolve) => this.#whenIdle.push(resolve));
  }
}
