import { Injectable } from '@nestjs/common';
import { Clock } from '../clock/clock.js';
import { Lifecycle } from './lifecycle.js';
import { VERSION } from './version.js';

/**
 * What an operator sees at a glance: a section for each part of the service, asked for whenever somebody looks. No
 * secrets, no account names, no callers.
 */
@Injectable()
export class OperatorInfo {
  readonly #startedAtMs: number;
  readonly #sections = new Map<string, () => unknown>();

  constructor(
    private readonly lifecycle: Lifecycle,
    private readonly clock: Clock,
  ) {
    this.#startedAtMs = clock.nowMs();
  }

  add(section: string, read: () => unknown): void {
    this.#sections.set(section, read);
  }

  read(): object {
    return {
      status: this.lifecycle.state,
      version: VERSION,
      uptimeSeconds: seconds(this.clock.nowMs() - this.#startedAtMs),
      requests: this.lifecycle.requests,
      ...Object.fromEntries([...this.#sections].map(([section, read]) => [section, read()])),
    };
  }
}

/** To the tenth. */
export function seconds(ms: number): number {
  return Math.round(ms / 100) / 10;
}
