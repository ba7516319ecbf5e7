import { describe, expect, it } from '@jest/globals';
import { connected, connectedUntilNoticed } from './support/connection.js';
import { TestIssuer } from './support/issuer.js';
import { KEYS, rawCreate, startService, type TestService } from './support/service.js';
import { until } from './support/until.js';

const MESSAGE = { businessId: 1, content: 'x', sessionId: 4 };
const CREATE = rawCreate(JSON.stringify(MESSAGE));

const lines = ({ log }: TestService): readonly Record<string, unknown>[] =>
  log.filter(({ message }) => message === 'request');

describe('a client that sends its next requests before it has the first answer, and hangs up', () => {
  it('has nothing sent any more, and nothing of it stays behind', async () => {
    const service = await startService({ env: { CALLER_WAITING_LIMIT: '3' } });
    const { sandbox, create } = service;
    sandbox.next({ kind: 'hold' });
    const socket = await connected(service);
    socket.write(CREATE.repeat(3));
    await sandbox.waitForCall(() => sandbox.writes.length === 1);
    socket.destroy();
    // Of one session: they waited for the first, which is sent and so is finished.
    await until(() => lines(service).length === 2);
    sandbox.release();
    await until(() => lines(service).length === 3);
    expect(lines(service).map(({ outcome, aborted }) => [outcome, aborted])).toEqual([
      ['not-sent', true],
      ['not-sent', true],
      ['done', true],
    ]);
    expect(sandbox.writes).toHaveLength(1);
    sandbox.next({ kind: 'hold' });
    const others = [1, 2, 3].map((sessionId) => create({ ...MESSAGE, sessionId }));
    await sandbox.waitForCall(() => sandbox.writes.length === 4);
    sandbox.release();
    expect((await Promise.all(others)).map(({ status }) => status)).toEqual([201, 201, 201]);
    await service.app.stop();
  });

  it('is forgotten, too, where nobody knows it', async () => {
    const service = await startService();
    const socket = await connected(service);
    socket.write(
      'POST /v1/chat-messages HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n'.repeat(100),
      () => {
        socket.resetAndDestroy();
      },
    );
    await until(() => lines(service).length === 100);
    await service.app.stop();
  });
});

describe('a client that hangs up while the keys of the issuer are fetched for its token', () => {
  it('has nothing sent, and nothing of it stays behind', async () => {
    const issuer = await TestIssuer.start();
    try {
      const service = await startService({ env: { ...issuer.env, CALLER_WAITING_LIMIT: '1' } });
      await until(() => service.log.some(({ message }) => message === 'The keys of the issuer were fetched'));
      await issuer.rotate();
      const token = await issuer.token();
      const held: (() => void)[] = [];
      issuer.answer = (request, response) => {
        held.push(() => {
          issuer.serve(request, response);
        });
      };
      const { socket, gone } = await connectedUntilNoticed(service);
      socket.write(CREATE.replace(KEYS.everything, token));
      await until(() => held.length === 1);
      socket.destroy();
      await gone;
      issuer.answer = undefined;
      for (const answer of held) answer();
      const line = (): Record<string, unknown> | undefined =>
        lines(service).find(({ method }) => method === 'POST');
      await until(() => line() !== undefined);
      expect(line()).toMatchObject({ outcome: 'not-sent', aborted: true, caller: 'jwt:web-app' });
      expect(service.sandbox.writes).toEqual([]);
      expect((await service.create(MESSAGE, { authorization: `Bearer ${token}` })).status).toBe(201);
    } finally {
      await issuer.close();
    }
  });
});
