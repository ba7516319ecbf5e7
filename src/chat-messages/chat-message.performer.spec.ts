import { describe, expect, it } from '@jest/globals';
import { AccessDenied, StoreUnavailable } from '../nexudus/nexudus.errors.js';
import type { ProblemResponder } from '../problem-details/problem.responder.js';
import { ChatMessagePerformer } from './chat-message.performer.js';
import type { ChatMessagesService } from './chat-messages.service.js';

const WORK = {
  operation: 'create' as const,
  messageId: undefined,
  content: JSON.stringify({
    message: { businessId: 1, content: 'x' },
    caller: { kind: 'api-key', id: 'app', businesses: '*' },
    request: { id: 'request', path: '/v1/chat-messages' },
  }),
};

describe('a delivery that could not be sent', () => {
  it.each([
    ['edge-blocked', 'validation-failed'],
    // It was never tried: whatever comes through in between, it is not this message that is meant.
    ['token-blocked', undefined],
    ['invalid-credentials', undefined],
  ] as const)('may be the one that is meant, where it was blocked itself: %s', (reason, problem) => {
    const responder = { textFor: () => '' } as unknown as ProblemResponder;
    const performer = new ChatMessagePerformer({} as ChatMessagesService, responder);
    const failure = performer.failed(new AccessDenied(reason, 1_000), WORK, 1);
    expect(failure).toMatchObject({ outcome: 'not-sent', retryAfterMs: 1_000, concernsAll: true });
    expect(failure.ifBlocked?.problem).toBe(problem);
  });

  it.each(['unreachable', 'taken-over'] as const)(
    'waits for its next turn where the store allows no further attempt: %s',
    (reason) => {
      const responder = { textFor: () => '' } as unknown as ProblemResponder;
      const performer = new ChatMessagePerformer({} as ChatMessagesService, responder);
      const failure = performer.failed(new StoreUnavailable(reason), WORK, 2);
      expect(failure).toMatchObject({ outcome: 'not-sent', concernsAll: false, ifBlocked: undefined });
    },
  );
});
