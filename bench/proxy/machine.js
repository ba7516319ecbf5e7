import { execFileSync } from 'node:child_process';
import { accessSync, constants, readFileSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, release } from 'node:os';
import { delimiter, join } from 'node:path';
import { URL } from 'node:url';

/** The tools that are used where they are there, and what stands in for them. */
export const TOOLS = {
  nginx: findTool('nginx'),
  wrk: findTool('wrk'),
  taskset: availableParallelism() > 1 ? findTool('taskset') : undefined,
};

/** The contestant has a core for itself; what loads it and what it calls have another one, or two. */
export const CORES = { load: 0, contestant: 1, upstream: availableParallelism() > 2 ? 2 : 0 };

/** The command that runs on one core, where the machine can do that. */
export function pinned(core, command, args) {
  return TOOLS.taskset ? [TOOLS.taskset, ['-c', String(core), command, ...args]] : [command, args];
}

/** This process reads the logs of the contestants: not on their core. */
export function pinMyself() {
  if (TOOLS.taskset) execFileSync(TOOLS.taskset, ['-a', '-c', '-p', String(CORES.load), String(process.pid)]);
}

/** Lines for the report; called before the run, since what else the machine does is a part of it. */
export function describeMachine() {
  const [{ model }] = cpus();
  const nginx = TOOLS.nginx ? 'nginx' : 'node:http';
  const load = TOOLS.wrk ? 'wrk, which checks every answer' : 'autocannon, which checks every answer';
  return [
    `Machine: ${cpus().length} cores, ${model.trim()}, Linux ${release().split('.', 2).join('.')}, Node.js ${process.version}; load average before the run ${loadavg()[0].toFixed(1)}`,
    TOOLS.taskset
      ? 'The contestant alone has one core; the load and the upstream have the rest'
      : 'Nothing is pinned to a core: there is no taskset, or only one core',
    `Upstream: ${nginx}; load: ${load}`,
    `Libraries: ${LIBRARIES.map(nameAndVersion).join(', ')}`,
  ];
}

// The Express platform under a name of its own: under its real one npm would count it as an optional part of
// @nestjs/core, and put it into production images.
const LIBRARIES = [
  '@nestjs/core',
  'fastify',
  '@fastify/reply-from',
  'nest-platform-express',
  '@nestjs/axios',
  'axios',
  'undici',
];

/** By its own name: one is installed under another. */
function nameAndVersion(installedAs) {
  const file = new URL(`../../node_modules/${installedAs}/package.json`, import.meta.url);
  const { name, version } = JSON.parse(readFileSync(file, 'utf8'));
  return `${name} ${version}`;
}

function findTool(name) {
  // nginx is a server: Debian does not have it on everybody's PATH.
  const places = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin'];
  return places.map((place) => join(place, name)).find(isExecutable);
}

function isExecutable(file) {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
