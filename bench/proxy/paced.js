import { execFile } from 'node:child_process';
import { fileURLToPath, URL } from 'node:url';
import { promisify } from 'node:util';
import { CORES, pinned } from './machine.js';
import { BODY } from './setting.js';

const SENDER = fileURLToPath(new URL('./paced.child.js', import.meta.url));
const run = promisify(execFile);

/**
 * So many requests a second, whether answers come or not. The time of each counts from when it should have been
 * sent, so that one that had to wait for the sender or for a socket counts with its wait (no coordinated omission).
 *
 * @param {import('./load.js').Target} target
 * @returns the milliseconds of each request, and how late the sender itself was
 * @throws when anything but the right answer came
 */
export async function pace(target, perSecond, seconds) {
  const options = JSON.stringify({ ...target, body: BODY, perSecond, seconds });
  const { stdout } = await run(...pinned(CORES.load, process.execPath, [SENDER, options]), {
    maxBuffer: 2 ** 26,
  });
  const { samplesMs, lateMs, wrong } = JSON.parse(stdout);
  if (wrong.length > 0) throw new Error(`${target.url}: ${wrong.length} wrong answers. ${wrong[0]}`);
  return { samplesMs, lateMs };
}
