import { FastifyAdapter } from '@nestjs/platform-fastify';
import type { Clock } from './clock/clock.js';
import type { Lifecycle } from './observability/lifecycle.js';

/**
 * Keeps the port open for as long as a stop has something to finish: until then, whoever comes is answered that this
 * instance stops, and does not find nobody there.
 */
export class DrainingAdapter extends FastifyAdapter {
  #drained: () => Promise<void> = () => Promise.resolve();

  /** To be said before it listens: what a stop waits for, and for how long at most. */
  drain(lifecycle: Lifecycle, clock: Clock): void {
    this.#drained = async () => {
      await Promise.race([lifecycle.idle(), clock.sleep(Math.max(0, lifecycle.stopByMs - clock.nowMs()))]);
      const server = this.getHttpServer();
      server.close();
      await lifecycle.idle();
      // A socket on which no request ever came is not idle to Node, and would hold the stop up.
      server.closeAllConnections();
    };
  }

  /** Called when all that has to happen before is done: deliveries that are under way are finished by then. */
  override async close(): Promise<void> {
    await this.#drained();
    await super.close();
  }
}
