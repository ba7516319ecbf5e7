import { describe, expect, it } from '@jest/globals';
import { resemblance, type SoughtMessage } from './message.likeness.js';
import type { ListedMessage } from './message.page.js';

const SENT_AT_MS = Date.parse('2030-01-01T10:00:00Z');
const SOUGHT: SoughtMessage = {
  message: { BusinessId: 1, Action: 1, Content: 'See you at ten.', AiChannelSessionId: 42 },
  sentAtMs: SENT_AT_MS,
  endedAtMs: SENT_AT_MS + 10_000,
  tag: 'the-tag',
};
const RECORD: ListedMessage = {
  id: 7,
  businessId: 1,
  userId: null,
  sessionId: 42,
  action: 1,
  content: 'See you at ten.',
  systemId: null,
  createdAtMs: SENT_AT_MS + 1_000,
  updatedAt: null,
};

describe('a record', () => {
  it.each<[string, Partial<ListedMessage>, ReturnType<typeof resemblance>]>([
    ['the same in everything', {}, 'match'],
    ['in other clock minutes', { createdAtMs: SENT_AT_MS - 119_000 }, 'match'],
    [
      'created while somebody still waited, and a little later',
      { createdAtMs: SENT_AT_MS + 129_000 },
      'match',
    ],
    ['of another business', { businessId: 2 }, 'different'],
    ['of another session', { sessionId: 43 }, 'different'],
    ['of another action', { action: 2 }, 'different'],
    ['with another text', { content: 'See you at eleven.' }, 'different'],
    ['with the text of another case', { content: 'see you at ten.' }, 'different'],
    ["with somebody else's tag", { systemId: 'another' }, 'different'],
    ['with our tag, whatever else', { systemId: 'the-tag', content: 'tidied up' }, 'match'],
    ['with an empty tag', { systemId: '' }, 'match'],
    ['for which Nexudus filled a user in', { userId: 9 }, 'doubtful'],
    ['that lost its session', { sessionId: null }, 'doubtful'],
    ['whose text was trimmed', { content: 'See you at ten. ' }, 'doubtful'],
    ['whose spaces were tidied up', { content: 'See you\r\nat ten.' }, 'doubtful'],
    ['without a text', { content: null }, 'doubtful'],
    ['created long before', { createdAtMs: SENT_AT_MS - 121_000 }, 'doubtful'],
    ['created long after', { createdAtMs: SENT_AT_MS + 131_000 }, 'doubtful'],
    ['without a date', { createdAtMs: NaN }, 'doubtful'],
    ['of another session and without a date', { createdAtMs: NaN, sessionId: 43 }, 'different'],
  ])('%s: %j', (_name, difference, expected) => {
    expect(resemblance(SOUGHT, { ...RECORD, ...difference })).toBe(expected);
  });

  it('of a message without session or user is its match only without them', () => {
    const sought = { ...SOUGHT, message: { BusinessId: 1, Action: 1, Content: 'See you at ten.' } };
    expect(resemblance(sought, { ...RECORD, sessionId: null })).toBe('match');
    expect(resemblance(sought, RECORD)).toBe('doubtful');
  });
});
