import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import type { TestService } from './service.js';

/** A connection of a client to a service. */
export async function connected({ app }: TestService): Promise<Socket> {
  const socket = connect(app.apiPort, '127.0.0.1');
  await once(socket, 'connect');
  return socket;
}

/** As {@link connected}, with a promise of the moment at which the service knows that the client is gone. */
export async function connectedUntilNoticed(
  service: TestService,
): Promise<{ socket: Socket; gone: Promise<unknown> }> {
  const accepted = new Promise<Socket>((resolve) => {
    const take = (message: unknown): void => {
      const { socket } = message as { socket: Socket };
      if (socket.localPort !== service.app.apiPort) return;
      unsubscribe('net.server.socket', take);
      resolve(socket);
    };
    subscribe('net.server.socket', take);
  });
  const socket = await connected(service);
  return { socket, gone: once(await accepted, 'close') };
}
