import { URL } from 'node:url';
import { freePort } from '../../../dist/sandbox/service-process.js';
import { CORES, TOOLS } from '../machine.js';
import { startNginx } from '../nginx.js';
import { PASSED_ON, UPSTREAM_PATH, UPSTREAM_TOKEN } from '../setting.js';

/** `undefined` where there is no nginx. */
export async function nginxProxy(upstreamUrl) {
  if (!TOOLS.nginx) return undefined;
  const port = await freePort(0);
  const url = `http://127.0.0.1:${port}`;
  const { child, stop } = await startNginx({
    core: CORES.contestant,
    readyUrl: url,
    http: `upstream nexudus {
    server ${new URL(upstreamUrl).host};
    keepalive 128;
    keepalive_requests 1000000000;
  }
  server {
    listen 127.0.0.1:${port};
    location = /v1/chat-messages {
      proxy_pass http://nexudus${UPSTREAM_PATH};
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Authorization "Bearer ${UPSTREAM_TOKEN}";
    }
    location / { return 404; }
  }`,
  });
  return {
    target: { url: `${url}/v1/chat-messages`, authorizations: ['Bearer unused'], expect: PASSED_ON },
    child,
    stop,
  };
}
