import { freePort } from '../../dist/sandbox/service-process.js';
import { Child } from './child.js';
import { CORES, TOOLS } from './machine.js';
import { startNginx } from './nginx.js';
import { ENVELOPE, TOKEN_ANSWER, UPSTREAM_PATH, UPSTREAM_TOKEN } from './setting.js';

/**
 * An upstream that always says yes, as fast as can be: so that the contestants are measured, not it. Whoever does not
 * send the token is refused.
 *
 * @param delayMs before each answer; nginx cannot wait, so that it is a server in Node.js then
 */
export async function startUpstream(delayMs = 0) {
  const port = await freePort(0);
  const url = `http://127.0.0.1:${port}`;
  if (TOOLS.nginx && delayMs === 0) {
    const { stop } = await startNginx({
      core: CORES.upstream,
      readyUrl: url,
      http: `server {
    listen 127.0.0.1:${port} backlog=4096;
    location = ${UPSTREAM_PATH} {
      if ($http_authorization != "Bearer ${UPSTREAM_TOKEN}") { return 401; }
      return 200 '${ENVELOPE}';
    }
    location = /api/token { return 200 '${TOKEN_ANSWER}'; }
  }`,
    });
    return { url, stop };
  }
  const child = await Child.startScript('upstream.child.js', {
    core: CORES.upstream,
    env: { PORT: String(port), DELAY_MS: String(delayMs) },
    readyUrl: url,
    anyAnswer: true,
  });
  return { url, stop: () => child.stop() };
}
