/** What every contestant is put before. One place, so that the report says what was run. */

export const CONNECTIONS = 64;
/** Requests a second of the open-loop sender, who does not wait for answers. */
export const PACE = 500;
export const SOAK_PACE = 200;
export const UPSTREAM_DELAY_MS = 50;
export const CALLERS = 16;
/** Callers that wait at once, and the keys that they share evenly. */
export const WAITING = [1_000, 10_000];
export const WAITING_KEYS = 100;

/** What the service's own windows are by default, with limits that nobody reaches: all that counts is counted. */
export const WRITE_LIMITS = '100000000/1m,100000000/1d';
export const CALL_LIMITS = '100000000/100ms,100000000/1m,100000000/1h';

export const UPSTREAM_PATH = '/api/sys/openaichatmessages';
export const UPSTREAM_TOKEN = 'the-token-of-the-benchmark';

/** What is sent: about 200 bytes, and no session, since the messages of one are sent one after the other. */
export const MESSAGE = {
  businessId: 1,
  content:
    'Good morning! The meeting room on the second floor is ready for you from nine, coffee is in the kitchen next to it. See you at ten.',
  action: 'operator',
  userId: 77,
};
export const BODY = JSON.stringify(MESSAGE);

/** What Nexudus answers to a create. */
export const ENVELOPE = JSON.stringify({
  Status: 200,
  Message: 'OpenAiChatMessage was successfully created.',
  Value: { Id: 87654321 },
  OpenInDialog: false,
  OpenInWindow: false,
  RedirectURL: null,
  JavaScript: null,
  UpdatedOn: '2025-01-15T10:30:00Z',
  UpdatedBy: 'service@example.com',
  Errors: null,
  WasSuccessful: true,
});
export const TOKEN_ANSWER = JSON.stringify({
  access_token: UPSTREAM_TOKEN,
  token_type: 'bearer',
  expires_in: 86_400,
  refresh_token: 'unused',
});

const representation = JSON.stringify({
  id: 87654321,
  businessId: MESSAGE.businessId,
  action: MESSAGE.action,
  content: MESSAGE.content,
  userId: MESSAGE.userId,
  sessionId: null,
  updatedAt: '2025-01-15T10:30:00Z',
});

/** The only right answers, to the last byte: of those that pass the envelope on, and of those that map it. */
export const PASSED_ON = { status: 200, equals: ENVELOPE };
export const MAPPED = { status: 201, equals: representation };

/** Seconds and rounds. */
export const FULL = { warmUpS: 4, roundS: 5, rounds: 3, pacedS: 4, starts: 5 };
export const QUICK = { warmUpS: 1, roundS: 1, rounds: 1, pacedS: 1, starts: 1 };
