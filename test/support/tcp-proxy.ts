import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

/** Stands between a client and a server, and plays what a network can do to both. */
export class TcpProxy {
  /** @param targetUrl of a server on this machine: `postgresql://user@127.0.0.1:5432/name` */
  static async before(targetUrl: string): Promise<TcpProxy> {
    const target = new URL(targetUrl);
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new TcpProxy(server, target);
  }

  readonly #clients = new Set<Socket>();
  readonly #servers = new Set<Socket>();
  #isCut = false;
  #frozen: 'both' | 'answers' | undefined;

  private constructor(
    private readonly server: Server,
    private readonly target: URL,
  ) {
    server.on('connection', (client) => {
      this.#join(client);
    });
  }

  /** The target's URL, through this proxy. */
  get url(): string {
    const url = new URL(this.target);
    url.port = String((this.server.address() as AddressInfo).port);
    return url.href;
  }

  /** How many connections there are. */
  get connections(): number {
    return this.#clients.size;
  }

  /** Every connection is reset, and each new one at once. */
  cut(): void {
    this.#isCut = true;
    this.resetAll();
  }

  /** Every connection there is now is reset; new ones are good. */
  resetAll(): void {
    for (const socket of [...this.#clients, ...this.#servers]) socket.resetAndDestroy();
  }

  /**
   * Nothing gets through any more, and nobody is told: connections are half open.
   *
   * @param direction `answers`: what clients say arrives, and no answer comes back
   */
  freeze(direction: 'both' | 'answers' = 'both'): void {
    this.#frozen = direction;
    if (direction === 'both') for (const socket of this.#clients) socket.pause();
    for (const socket of this.#servers) socket.pause();
  }

  /** All is well again. What was held up in a frozen connection arrives now. */
  mend(): void {
    this.#isCut = false;
    this.#frozen = undefined;
    for (const socket of [...this.#clients, ...this.#servers]) socket.resume();
  }

  async close(): Promise<void> {
    const closed = once(this.server, 'close');
    this.server.close();
    this.resetAll();
    await closed;
  }

  #join(client: Socket): void {
    if (this.#isCut) {
      client.resetAndDestroy();
      return;
    }
    const server = connect(Number(this.target.port), this.target.hostname);
    this.#carry(client, server, this.#clients);
    this.#carry(server, client, this.#servers);
    if (this.#frozen === 'both') client.pause();
    if (this.#frozen !== undefined) server.pause();
  }

  #carry(from: Socket, to: Socket, sockets: Set<Socket>): void {
    sockets.add(from);
    from.setNoDelay(true);
    from.on('data', (bytes) => {
      to.write(bytes);
    });
    from.on('end', () => to.end());
    // A reset is handed on as one; whoever caused it knows of it.
    from.on('error', () => to.resetAndDestroy());
    from.on('close', () => {
      sockets.delete(from);
      to.destroy();
    });
  }
}
