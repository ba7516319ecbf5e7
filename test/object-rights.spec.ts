import { describe, expect, it } from '@jest/globals';
import { KEYS, startService } from './support/service.js';

// OWASP API1: a caller who may write for some businesses touches only messages of those.

const RESTRICTED = { authorization: `Bearer ${KEYS.businessesOneAndTwo}` };
const MESSAGE = { businessId: 1, content: 'after' };

describe('a caller who is restricted to some businesses', () => {
  it('replaces messages of these, which are read first', async () => {
    const { replace, sandbox } = await startService();
    const { Id } = sandbox.seed({ BusinessId: 2, Content: 'before' });
    expect((await replace(Id, MESSAGE, RESTRICTED)).status).toBe(200);
    expect(sandbox.calls.map(({ method }) => method)).toEqual(['POST', 'GET', 'PUT']);
    expect(sandbox.messages.get(Id)).toMatchObject({ BusinessId: 1, Content: 'after' });
  });

  it('hears of a foreign message what it hears of none, and nothing is sent', async () => {
    const { replace, sandbox } = await startService();
    const { Id } = sandbox.seed({ BusinessId: 3, Content: 'foreign' });
    const foreign = await replace(Id, MESSAGE, { ...RESTRICTED, 'x-request-id': 'same' });
    const missing = await replace(Id + 1, MESSAGE, { ...RESTRICTED, 'x-request-id': 'same' });
    expect(foreign.status).toBe(404);
    expect(foreign.json).toMatchObject({ type: '/problems/message-not-found', outcome: 'rejected' });
    expect(foreign.text.replaceAll(String(Id), 'N')).toBe(missing.text.replaceAll(String(Id + 1), 'N'));
    expect(sandbox.writes).toHaveLength(0);
    expect(sandbox.messages.get(Id)?.Content).toBe('foreign');
  });

  it('does not erase the fields that this API does not know', async () => {
    const { replace, sandbox } = await startService();
    const { Id } = sandbox.seed({
      BusinessId: 1,
      CoworkerMessageId: 11,
      HelpDeskCommentId: 12,
      SystemId: 'key',
      UserId: 5,
    });
    await replace(Id, MESSAGE, RESTRICTED);
    expect(sandbox.messages.get(Id)).toMatchObject({
      CoworkerMessageId: 11,
      HelpDeskCommentId: 12,
      SystemId: 'key',
      UserId: null,
    });
  });

  it('is served when the read fails at first: a read can be repeated', async () => {
    const { replace, sandbox } = await startService();
    const { Id } = sandbox.seed({ BusinessId: 1 });
    sandbox.next({ kind: 'error-500' }, { on: 'read' });
    sandbox.next({ kind: 'throttle', retryAfter: '1' }, { on: 'read' });
    sandbox.next({ kind: 'lost' }, { on: 'read' });
    expect((await replace(Id, MESSAGE, RESTRICTED)).status).toBe(200);
    expect(sandbox.writes).toHaveLength(1);
  });

  it.each([
    [{ kind: 'error-500' }],
    [{ kind: 'json', status: 200, body: { Id: 1, BusinessId: 1 } }],
    [{ kind: 'html', status: 200 }],
    // The edge's, not Nexudus' own: it says nothing about the message.
    [{ kind: 'html', status: 404 }],
  ] as const)('is never let through where the record cannot be read: %j', async (scenario) => {
    const { replace, sandbox } = await startService();
    const { Id } = sandbox.seed({ BusinessId: 1 });
    sandbox.always(scenario, { on: 'read' });
    const answer = await replace(Id, MESSAGE, { ...RESTRICTED, prefer: 'wait=2' });
    expect(answer.status).toBe(503);
    expect(answer.json).toMatchObject({
      type: '/problems/upstream-unavailable',
      outcome: 'not-sent',
      retryable: true,
    });
    expect(sandbox.writes).toHaveLength(0);
  });

  it('depends on the role to read: without it an operator must act, and the log names it', async () => {
    const roles = ['OpenAiChatMessage-Create', 'OpenAiChatMessage-Edit'] as const;
    const accounts = [{ username: 'service@example.com', password: 'sandbox-password', roles: [...roles] }];
    const { replace, sandbox, log } = await startService({ sandbox: { accounts } });
    const { Id } = sandbox.seed({ BusinessId: 1 });
    const answer = await replace(Id, MESSAGE, RESTRICTED);
    expect(answer.json).toMatchObject({ type: '/problems/upstream-access-denied', outcome: 'not-sent' });
    expect(log.filter(({ role }) => role === 'OpenAiChatMessage-Read')).toHaveLength(1);
    expect(sandbox.writes).toHaveLength(0);
  });
});

describe('a caller who may write for every business', () => {
  it('costs no read', async () => {
    const { replace, sandbox } = await startService();
    const { Id } = sandbox.seed({ BusinessId: 3 });
    expect((await replace(Id, MESSAGE)).status).toBe(200);
    expect(sandbox.calls.filter(({ method }) => method === 'GET')).toEqual([]);
  });

  it('has the record read, too, where NEXUDUS_UPDATE_READ_FIRST is always', async () => {
    const { replace, sandbox } = await startService({ env: { NEXUDUS_UPDATE_READ_FIRST: 'always' } });
    const { Id } = sandbox.seed({ BusinessId: 3, HelpDeskMessageId: 9 });
    expect((await replace(Id, MESSAGE)).status).toBe(200);
    expect(sandbox.messages.get(Id)?.HelpDeskMessageId).toBe(9);
  });
});
