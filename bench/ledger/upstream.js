import { fork } from 'node:child_process';
import { fileURLToPath, URL } from 'node:url';
import { asking } from '../asked.js';

const CHILD = fileURLToPath(new URL('./upstream.child.js', import.meta.url));

/** A Nexudus without limits that always says yes, as fast as can be, in a process of its own. */
export async function startUpstream() {
  const child = fork(CHILD);
  const { ended, asked } = asking(child);
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
