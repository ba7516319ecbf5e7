import type { NexudusMessage } from './write.js';

/** Names the session of a message: writes of one session are sent in order. `undefined` where it belongs to none. */
export function sessionName({
  BusinessId,
  AiChannelSessionId,
}: Pick<NexudusMessage, 'BusinessId' | 'AiChannelSessionId'>): string | undefined {
  return AiChannelSessionId === undefined ? undefined : `${BusinessId}/${AiChannelSessionId}`;
}
