import { Injectable } from '@nestjs/common';

/** Where the process is in its life, and what it still has to finish. */
@Injectable()
export class Lifecycle {
  #state: 'starting' | 'ready' | 'stopping' = 'starting';
  #requests = 0;
  readonly #waitingForIdle: (() => void)[] = [];

  get isReady(): boolean {
    return this.#state === 'ready';
  }

  get isStopping(): boolean {
    return this.#state === 'stopping';
  }

  started(): void {
    if (this.#state === 'starting') this.#state = 'ready';
  }

  stop(): void {
    this.#state = 'stopping';
  }

  requestBegan(): void {
    this.#requests += 1;
  }

  requestEnded(): void {
    this.#requests -= 1;
    if (this.#requests === 0) for (const resolve of this.#waitingForIdle.splice(0)) resolve();
  }

  /** Resolves when no request is under way. */
  async idle(): Promise<void> {
    if (this.#requests > 0) await new Promise<void>((resolve) => this.#waitingForIdle.push(resolve));
  }
}
