import { freePort } from '../../../dist/sandbox/service-process.js';
import { Child } from '../child.js';
import { CORES } from '../machine.js';

/** Starts a contestant that is a script of this folder: it listens on PORT and calls UPSTREAM_URL. */
export function script(file, expect) {
  return async (upstreamUrl) => {
    const port = await freePort(0);
    const url = `http://127.0.0.1:${port}`;
    const child = await Child.startScript(`contestants/${file}`, {
      core: CORES.contestant,
      env: { NODE_ENV: 'production', PORT: String(port), UPSTREAM_URL: upstreamUrl },
      readyUrl: url,
      anyAnswer: true,
    });
    return {
      target: { url: `${url}/v1/chat-messages`, authorizations: ['Bearer unused'], expect },
      child,
      stop: () => child.stop(),
    };
  };
}
