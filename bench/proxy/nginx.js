import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Child } from './child.js';
import { TOOLS } from './machine.js';

/** nginx as one process in the foreground, without a log; `http` is what stands in that block of its configuration. */
export async function startNginx({ http, core, readyUrl }) {
  const directory = await mkdtemp(join(tmpdir(), 'bench-nginx-'));
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((kind) => `${kind}_temp_path ${directory}/${kind};`)
    .join('\n  ');
  const file = join(directory, 'nginx.conf');
  await writeFile(
    file,
    `daemon off;
master_process off;
pid ${directory}/nginx.pid;
error_log stderr crit;
events { worker_connections 8192; }
http {
  access_log off;
  default_type application/json;
  keepalive_requests 1000000000;
  ${temporary}
  ${http}
}
`,
  );
  const child = await Child.start({
    command: TOOLS.nginx,
    args: ['-p', directory, '-e', 'stderr', '-c', file],
    core,
    readyUrl,
    anyAnswer: true,
  });
  return {
    child,
    stop: async () => {
      await child.stop();
      await rm(directory, { recursive: true, force: true });
    },
  };
}
