import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../../src/sandbox/service-process.js';
import { Process } from '../support/process.js';

/** A real nginx in front of replicas, as an ingress is; it ends with the test. */
export class Nginx {
  private constructor(
    readonly url: string,
    private readonly port: number,
    private readonly directory: string,
    private readonly process: Process,
  ) {}

  static async start(replicaPorts: readonly number[]): Promise<Nginx> {
    const directory = mkdtempSync(join(tmpdir(), 'nginx-'));
    const port = await freePort(0);
    writeFileSync(join(directory, 'nginx.conf'), configuration(port, replicaPorts));
    const nginx = new Process(
      // It opens what it logs to by name, which a pipe of ours does not have; standard error it takes as it is.
      ['sh', '-c', 'exec nginx -e stderr -p "$0" -c nginx.conf 2>&1', directory],
      { PATH: process.env['PATH'] ?? '' },
      'SIGTERM',
    );
    await nginx.line((line) => line.includes('start worker process '));
    return new Nginx(`http://127.0.0.1:${port}`, port, directory, nginx);
  }

  /** Sends new connections to these alone; resolves when the worker that knew others takes no more. */
  async route(replicaPorts: readonly number[]): Promise<void> {
    const said = this.process.lines.length;
    writeFileSync(join(this.directory, 'nginx.conf'), configuration(this.port, replicaPorts));
    this.process.child.kill('SIGHUP');
    await this.process.line((line) => line.includes('gracefully shutting down'), said);
  }

  async stop(): Promise<void> {
    this.process.child.kill('SIGQUIT');
    await this.process.exit();
    rmSync(this.directory, { recursive: true });
  }
}

/**
 * All that is not said is nginx' default, also `proxy_next_upstream`: a POST goes to another replica only when no
 * connection could be had.
 */
function configuration(port: number, replicaPorts: readonly number[]): string {
  return `
    daemon off;
    pid nginx.pid;
    error_log stderr notice;
    worker_processes 1;
    events { worker_connections 1024; }
    http {
      access_log off;
      client_body_temp_path body;
      proxy_temp_path proxy;
      fastcgi_temp_path fastcgi;
      uwsgi_temp_path uwsgi;
      scgi_temp_path scgi;
      upstream replicas {
        ${replicaPorts.map((replica) => `server 127.0.0.1:${replica};`).join(' ')}
        keepalive 32;
      }
      server {
        listen 127.0.0.1:${port};
        # A reload closes idle connections of callers: nginx' affair, and not what is tested here.
        keepalive_timeout 0;
        location / {
          proxy_pass http://replicas;
          proxy_http_version 1.1;
          proxy_set_header Connection "";
        }
      }
    }`;
}
