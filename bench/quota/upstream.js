import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath, URL } from 'node:url';

const CHILD = fileURLToPath(new URL('./upstream.child.js', import.meta.url));

/** Starts a fresh fake Nexudus, with empty windows. */
export async function startUpstream(scenario) {
  const child = fork(CHILD, [JSON.stringify(scenario)], {
    // The fake plays many slow answers at once, each with a listener on the signal of its end.
    execArgv: ['--disable-warning=MaxListenersExceededWarning'],
  });
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
