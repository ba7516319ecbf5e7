import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach } from '@jest/globals';
import { Process } from '../support/process.js';

/** What an image says about how it wants to be run (OCI image configuration). */
export interface ImageConfig {
  readonly User: string;
  readonly Env: readonly string[];
  readonly Entrypoint: readonly string[];
  readonly Cmd?: readonly string[];
  readonly WorkingDir: string;
  readonly Labels: Readonly<Record<string, string>>;
  readonly ExposedPorts: Readonly<Record<string, unknown>>;
  readonly StopSignal: string;
}

/** The image that `scripts/image` has built, unpacked. */
export const image = {
  root: variable('IMAGE_ROOT'),
  ...inspected(readFileSync(variable('IMAGE_INSPECT'), 'utf8')),
};

const containers: Container[] = [];
let count = 0;

afterEach(() => {
  for (const container of containers.splice(0)) container.remove();
});

/** A container as the chart asks for one: read-only root, no capability, no way to new ones; the host's network. */
export class Container {
  readonly process: Process;
  readonly #id = `nexudus-bff-${process.pid}-${(count += 1)}`;
  readonly #state = mkdtempSync(join(tmpdir(), 'runc-'));

  /**
   * Starts the image's own command, or its entry point with other `args`; `files` are mounted read-only, by their place
   * in the container.
   */
  constructor(
    env: Readonly<Record<string, string>>,
    files: Readonly<Record<string, string>>,
    args: readonly string[] = image.config.Cmd ?? [],
  ) {
    const bundle = join(this.#state, 'bundle');
    mkdirSync(bundle);
    writeFileSync(join(bundle, 'config.json'), JSON.stringify(runtimeConfig(env, files, args)));
    this.process = new Process(['runc', '--root', this.#state, 'run', '--bundle', bundle, this.#id], {
      PATH: process.env['PATH'] ?? '',
    });
    containers.push(this);
  }

  /** A file of the container's process 1 in the host's /proc. */
  proc(file: string): string {
    const { pid } = JSON.parse(this.#runc('state', this.#id)) as { pid: number };
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  }

  /** Sends the image's stop signal to process 1, as the kubelet does. */
  stop(): void {
    this.#runc('kill', this.#id, image.config.StopSignal);
  }

  /** Ends what is left of it: a container outlives the runc that started it. */
  remove(): void {
    this.#runc('delete', '--force', this.#id);
    rmSync(this.#state, { recursive: true });
  }

  #runc(...args: readonly string[]): string {
    return execFileSync('runc', ['--root', this.#state, ...args], { encoding: 'utf8' });
  }
}

/** OCI runtime specification, config.json: all that Kubernetes would state, and what is needed to start. */
function runtimeConfig(
  env: Readonly<Record<string, string>>,
  files: Readonly<Record<string, string>>,
  args: readonly string[],
): object {
  const [uid, gid] = image.config.User.split(':').map(Number);
  const { Entrypoint, Env, WorkingDir } = image.config;
  const none = { bounding: [], effective: [], permitted: [], inheritable: [], ambient: [] };
  return {
    ociVersion: '1.0.2',
    root: { path: image.root, readonly: true },
    process: {
      user: { uid, gid },
      args: [...Entrypoint, ...args],
      env: [...Env, ...Object.entries(env).map(([name, value]) => `${name}=${value}`)],
      cwd: WorkingDir,
      capabilities: none,
      noNewPrivileges: true,
    },
    mounts: [
      { destination: '/proc', type: 'proc', source: 'proc' },
      { destination: '/dev', type: 'tmpfs', source: 'tmpfs', options: ['nosuid', 'mode=755'] },
      // Every engine brings its own hosts file.
      ...Object.entries({ '/etc/hosts': '/etc/hosts', ...files }).map(([destination, source]) => ({
        destination,
        source,
        type: 'bind',
        options: ['bind', 'ro'],
      })),
    ],
    linux: { namespaces: ['pid', 'mount', 'ipc', 'uts'].map((type) => ({ type })) },
  };
}

function inspected(text: string): { readonly config: ImageConfig; readonly sizeBytes: number } {
  const { Docker, Manifest } = JSON.parse(text) as { Docker: { config: ImageConfig }; Manifest: string };
  const { layers } = JSON.parse(Manifest) as { layers: { size: number }[] };
  return { config: Docker.config, sizeBytes: layers.reduce((sum, { size }) => sum + size, 0) };
}

function variable(name: string): string {
  const value = process.env[name];
  if (value === undefined) throw new Error(`${name} is not set: this is run by scripts/image`);
  return value;
}
