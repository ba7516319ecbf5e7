import { fork } from 'node:child_process';
import { fileURLToPath, URL } from 'node:url';
import { asking } from '../asked.js';

const CHILD = fileURLToPath(new URL('./upstream.child.js', import.meta.url));

/** Starts a fresh fake Nexudus, with empty windows. */
export async function startUpstream(scenario) {
  const child = fork(CHILD, [JSON.stringify(scenario)], {
    // The fake plays many slow answers at once, each with a listener on the signal of its end.
    execArgv: ['--disable-warning=MaxListenersExceededWarning'],
  });
  const { ended, asked } = asking(child);
  const { url } = await asked();
  return {
    url,
    /** The messages are offered now. */
    begin: () => child.send('begin'),
    /** Every write that arrived, in order. */
    writes: async () => (await asked('report')).writes,
    stop: async () => {
      if (child.connected) child.disconnect();
      await ended;
    },
  };
}
