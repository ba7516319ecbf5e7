import { once } from 'node:events';

/**
 * Asks a child process: sends the question, if there is one, and resolves with the next message that comes back.
 *
 * @param {import('node:child_process').ChildProcess} child
 */
export function asking(child) {
  const ended = once(child, 'exit');
  const asked = async (question) => {
    const answer = once(child, 'message');
    if (question !== undefined) child.send(question);
    const died = ended.then(([code]) => Promise.reject(new Error(`The upstream ended with code ${code}`)));
    const [message] = await Promise.race([answer, died]);
    return message;
  };
  return { ended, asked };
}
