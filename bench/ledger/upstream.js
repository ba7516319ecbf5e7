import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath, URL } from 'node:url';

const CHILD = fileURLToPath(new URL('./upstream.child.js', import.meta.url));

/** A Nexudus without limits that always says yes, as fast as can be, in a process of its own. */
export async function startUpstream() {
  const child = fork(CHILD);
  const ended = once(child, 'exit');
  const asked = async (question) => {
    const answer = once(child, 'message');
    if (question !== undefined) child.send(question);
    const died = ended.then(([code]) => Promise.reject(new Error(`The upstream ended with code ${code}`)));
    const [message] = await Promise.race([answer, died]);
    return message;
  };
  const { url } = await asked();
  return {
    url,
    /** @returns {Promise<Writes>} since the start, or since the last `forget` */
    writes: () => asked('report'),
    forget: () => asked('forget'),
    stop: async () => {
      if (child.connected) child.disconnect();
      await ended;
    },
  };
}

/**
 * @typedef {object} Writes
 * @property {number} count
 * @property {number} duplicates creates with a content that was there before
 * @property {number} firstAtMs Unix time
 * @property {number} lastAtMs Unix time
 */
