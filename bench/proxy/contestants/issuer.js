import { fetch } from 'undici';
import { freePort } from '../../../dist/sandbox/service-process.js';
import { Child } from '../child.js';
import { CORES } from '../machine.js';

export const AUDIENCE = 'nexudus-bff';

/** An OpenID issuer in a process of its own, and a token of each caller. */
export async function startIssuer(callers) {
  const port = await freePort(0);
  const url = `http://127.0.0.1:${port}`;
  const child = await Child.startScript('contestants/issuer.child.js', {
    core: CORES.load,
    env: { PORT: String(port), ISSUER: url, AUDIENCE, CALLERS: String(callers) },
    readyUrl: `${url}/tokens`,
  });
  const tokens = await (await fetch(`${url}/tokens`)).json();
  return { url, tokens, stop: () => child.stop() };
}
