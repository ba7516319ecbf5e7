/** Between our API and Nexudus', for those contestants that map. */

export function toNexudus({ businessId, content, userId, sessionId }) {
  return {
    BusinessId: businessId,
    Action: 1,
    Content: content,
    UserId: userId ?? undefined,
    AiChannelSessionId: sessionId ?? undefined,
  };
}

export function toRepresentation({ businessId, content, userId, sessionId }, { Value, UpdatedOn }) {
  return {
    id: Value.Id,
    businessId,
    action: 'operator',
    content,
    userId: userId ?? null,
    sessionId: sessionId ?? null,
    updatedAt: UpdatedOn,
  };
}
