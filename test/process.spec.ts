import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from '@jest/globals';
import { NexudusSandbox } from '../src/sandbox/nexudus-sandbox.js';
import { Process } from './support/process.js';
import { environmentFor, KEYS, rawCreate } from './support/service.js';

// The built service as a process of its own, as operators run it: `npm test` builds it first.

const sandboxes: NexudusSandbox[] = [];

afterEach(async () => {
  for (const sandbox of sandboxes.splice(0)) await sandbox.close();
});

async function startService(
  env: Record<string, string> = {},
  script: ConstructorParameters<typeof Process>[0] = 'dist/main.js',
): Promise<{
  service: Process;
  sandbox: NexudusSandbox;
  api: string;
  management: string;
}> {
  const sandbox = await NexudusSandbox.start();
  sandboxes.push(sandbox);
  const service = new Process(script, { ...environmentFor(sandbox.url), ...env });
  const ready = JSON.parse(await service.line((line) => line.includes('"ready"'))) as {
    port: number;
    managementPort: number;
  };
  return {
    service,
    sandbox,
    api: `http://127.0.0.1:${ready.port}`,
    management: `http://127.0.0.1:${ready.managementPort}`,
  };
}

const post = (api: string, content: string): Promise<Response> =>
  fetch(`${api}/v1/chat-messages`, {
    method: 'POST',
    headers: { authorization: `Bearer ${KEYS.everything}`, 'content-type': 'application/json' },
    body: JSON.stringify({ businessId: 1, content }),
  });

/** Sends a message that Nexudus has and does not answer before `release()`. */
async function sendOne(sandbox: NexudusSandbox, api: string): Promise<{ answer: Promise<Response> }> {
  sandbox.next({ kind: 'hang' });
  const answer = post(api, 'under way');
  await sandbox.waitForCall(
    ({ json }) => (json as { Content?: string } | undefined)?.Content === 'under way',
  );
  return { answer };
}

async function connected(api: string): Promise<Socket> {
  const socket = connect(Number(new URL(api).port), '127.0.0.1');
  await once(socket, 'connect');
  return socket;
}

/** All that comes until the service closes the connection. */
async function rest(socket: Socket): Promise<string> {
  let text = '';
  for await (const chunk of socket) text += String(chunk);
  return text;
}

describe('a start', () => {
  it('with an unusable configuration reports every fault and exits with 78', async () => {
    const service = new Process('dist/main.js', {
      PORT: 'http',
      NEXUDUS_BASE_URL: 'ftp://x',
      NEXUDUS_PASSWORD: 'changeme',
      NODE_ENV: 'production',
      AUTH_MODES: 'none',
    });
    expect(await service.exit()).toBe(78);
    const variables = service.records().flatMap(({ variable }) => (variable === undefined ? [] : [variable]));
    expect(variables).toEqual(
      expect.arrayContaining([
        'PORT',
        'NEXUDUS_BASE_URL',
        'NEXUDUS_PASSWORD',
        'NEXUDUS_CREDENTIALS_DIR',
        'AUTH_MODES',
      ]),
    );
    expect(service.lines.join()).not.toContain('changeme');
  });

  it.each([
    ['NEXUDUS_CREDENTIALS_DIR', '/nonexistent'],
    ['AUTH_API_KEYS_FILE', '/nonexistent'],
    ['AUTH_API_KEYS_FILE', 'package.json'],
  ])('with an unusable file in %s=%s says which, and exits with 78', async (variable, value) => {
    const service = new Process('dist/main.js', {
      ...environmentFor('http://127.0.0.1:9'),
      [variable]: value,
    });
    expect(await service.exit()).toBe(78);
    expect(service.records()).toContainEqual(expect.objectContaining({ variable }));
  });

  it('reports what is wrong with variables and with files together', async () => {
    const service = new Process('dist/main.js', {
      ...environmentFor('http://127.0.0.1:9'),
      LOG_LEVEL: 'loud',
      NEXUDUS_TOTP_SECRET: '1!canary',
      NEXUDUS_CREDENTIALS_DIR: '/nonexistent',
      AUTH_API_KEYS_FILE: '/nonexistent',
      DATABASE_URL: 'mysql://canary',
      LEDGER_KEYS_FILE: '/nonexistent',
    });
    expect(await service.exit()).toBe(78);
    const variables = service.records().flatMap(({ variable }) => (variable === undefined ? [] : [variable]));
    expect(variables.sort()).toEqual([
      'AUTH_API_KEYS_FILE',
      'DATABASE_URL',
      'LEDGER_KEYS_FILE',
      'LOG_LEVEL',
      'NEXUDUS_CREDENTIALS_DIR',
      'NEXUDUS_TOTP_SECRET',
    ]);
    expect(service.lines.join()).not.toContain('canary');
  });

  // The one of a network for documentation, which no machine is on (RFC 5737).
  it('at an address that is not that of the machine exits with 78', async () => {
    const service = new Process('dist/main.js', {
      ...environmentFor('http://127.0.0.1:9'),
      HOST: '192.0.2.1',
    });
    expect(await service.exit()).toBe(78);
    expect(service.records()).toContainEqual(expect.objectContaining({ variable: 'HOST' }));
  });

  it('does not need the upstream to be there', async () => {
    const service = new Process('dist/main.js', environmentFor('http://127.0.0.1:9'));
    await service.line((line) => line.includes('"ready"'));
    expect(service.child.exitCode).toBeNull();
  });
});

describe('the management port', () => {
  it('answers the probes, and the API port does not', async () => {
    const { api, management } = await startService();
    expect((await fetch(`${management}/health/live`)).status).toBe(200);
    expect((await fetch(`${management}/health/ready`)).status).toBe(200);
    expect((await fetch(`${management}/nope`)).status).toBe(404);
    expect((await fetch(`${api}/health/live`)).status).toBe(404);
  });
});

describe('SIGTERM', () => {
  it('finishes what is sent, closes everything, and exits with 0', async () => {
    const { service, sandbox, api } = await startService();
    await post(api, 'first');
    const { answer } = await sendOne(sandbox, api);
    service.child.kill('SIGTERM');
    await service.line((line) => line.includes('"stopping"'));
    sandbox.release();
    expect((await answer).status).toBe(201);
    expect(await service.exit()).toBe(0);
    expect(service.records().at(-1)).toMatchObject({ message: 'stopped' });
  });

  it('answers who comes while what is sent is finished, on a new connection and on an old one', async () => {
    const { service, sandbox, api } = await startService();
    const old = await connected(api);
    old.write('HEAD /problems HTTP/1.1\r\nhost: x\r\n\r\n');
    expect(String((await once(old, 'data'))[0])).toMatch(/^HTTP\/1\.1 200 /);
    const { answer } = await sendOne(sandbox, api);
    service.child.kill('SIGTERM');
    await service.line((line) => line.includes('"stopping"'));
    for (const socket of [old, await connected(api), await connected(api)]) {
      socket.write(rawCreate(JSON.stringify({ businessId: 1, content: 'too late' })));
      const refusal = await rest(socket);
      expect(refusal).toMatch(/^HTTP\/1\.1 503 /);
      expect(refusal.toLowerCase()).toContain('\r\nconnection: close\r\n');
      expect(refusal).toContain('"type":"/problems/shutting-down"');
    }
    sandbox.release();
    const { status, headers } = await answer;
    expect([status, headers.get('connection')]).toEqual([201, 'close']);
    expect(await service.exit()).toBe(0);
    expect(sandbox.writes).toHaveLength(1);
  });

  it('loses no answer to what was sent behind something else on one connection', async () => {
    const { service, sandbox, api } = await startService();
    sandbox.next({ kind: 'hang' }, { times: 2 });
    const socket = await connected(api);
    socket.write(rawCreate(JSON.stringify({ businessId: 1, content: 'x' })).repeat(2));
    await sandbox.waitForCall(() => sandbox.writes.length === 2);
    service.child.kill('SIGTERM');
    await service.line((line) => line.includes('"stopping"'));
    sandbox.release();
    const answers = await rest(socket);
    expect(answers.match(/HTTP\/1\.1 201 /g)).toHaveLength(2);
    expect(answers.match(/^connection: close\r$/gim)).toHaveLength(1);
    expect(await service.exit()).toBe(0);
  });

  it('gives up what Nexudus does not answer before the end, says that its outcome is unknown, and exits with 0', async () => {
    const { service, sandbox, api } = await startService({ SHUTDOWN_TIMEOUT_MS: '500' });
    const { answer } = await sendOne(sandbox, api);
    service.child.kill('SIGTERM');
    const { status, headers } = await answer;
    expect([status, headers.get('connection')]).toEqual([504, 'close']);
    expect(await (await answer).json()).toMatchObject({
      type: '/problems/upstream-timeout',
      outcome: 'unknown',
      retryable: false,
    });
    expect(await service.exit()).toBe(0);
  });

  it('ends the log with its end, however slowly that is written', async () => {
    // Files are written to by one thread, which has something else to do from the signal on.
    const occupied = `process.on('SIGTERM', () => process.getBuiltinModule('crypto').pbkdf2('', '', 1e6, 64, 'sha512', () => {}));`;
    const { service, sandbox, api } = await startService({
      UV_THREADPOOL_SIZE: '1',
      NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(occupied)}`,
    });
    const { answer } = await sendOne(sandbox, api);
    service.child.kill('SIGTERM');
    sandbox.release();
    await answer;
    expect(await service.exit()).toBe(0);
    const messages = service.records().map(({ message }) => message);
    expect(messages).toEqual(expect.arrayContaining(['request', 'stopping']));
    expect(messages.at(-1)).toBe('stopped');
  });

  it('answers what cannot be served before the end, and what is still being sent, and exits with 0', async () => {
    const { service, sandbox, api } = await startService({ SHUTDOWN_TIMEOUT_MS: '3000' });
    await post(api, 'first');
    sandbox.next({ kind: 'throttle', retryAfter: '20' });
    const waiting = post(api, 'waiting');
    await sandbox.waitForCall(({ throttled, status }) => throttled && status !== undefined);
    const half = await connected(api);
    half.write(rawCreate('{', 100));
    await service.line((line) => line.includes('throttled'));
    // What came after it is answered, so it has begun to be read: one that was not even accepted hears nothing.
    for (let n = 0; n < 3; n += 1) await (await fetch(`${api}/problems`)).text();
    service.child.kill('SIGTERM');
    const answer = await waiting;
    expect(answer.status).toBe(503);
    expect(await answer.json()).toMatchObject({
      type: '/problems/shutting-down',
      outcome: 'not-sent',
      retryable: true,
    });
    expect(await rest(half)).toContain('/problems/shutting-down');
    expect(await service.exit()).toBe(0);
  });

  it('answers who waits for a token that does not come, and exits with 0', async () => {
    const { service, sandbox, api } = await startService({ SHUTDOWN_TIMEOUT_MS: '2000' });
    await post(api, 'first');
    sandbox.revokeAccessTokens();
    sandbox.always({ kind: 'hang' }, { on: 'token' });
    const waiting = post(api, 'waiting');
    await sandbox.waitForCall(({ path, body }) => path === '/api/token' && body.includes('refresh_token='));
    service.child.kill('SIGTERM');
    const answer = await waiting;
    expect(await answer.json()).toMatchObject({ type: '/problems/shutting-down', outcome: 'not-sent' });
    expect(await service.exit()).toBe(0);
  });

  it('a second time changes nothing: what is sent is finished', async () => {
    const { service, sandbox, api } = await startService();
    await post(api, 'first');
    const { answer } = await sendOne(sandbox, api);
    service.child.kill('SIGTERM');
    await service.line((line) => line.includes('"stopping"'));
    service.child.kill('SIGTERM');
    service.child.kill('SIGINT');
    sandbox.release();
    expect((await answer).status).toBe(201);
    expect(await service.exit()).toBe(0);
  });

  it('during the start ends it with 0', async () => {
    const service = new Process('dist/main.js', {
      ...environmentFor('http://127.0.0.1:9'),
      LOG_LEVEL: 'trace',
    });
    await service.line((line) => line.includes('nest'));
    service.child.kill('SIGTERM');
    expect(await service.exit()).toBe(0);
  });

  it('is heeded at once when nothing is under way, also with idle connections open', async () => {
    const { service, api } = await startService();
    await post(api, 'first');
    service.child.kill('SIGTERM');
    expect(await service.exit()).toBe(0);
  });
});

/** The service with a script that runs before it; its standard error is read with its log. */
const preceded = (script: string): [string, ...string[]] => {
  const module = `data:text/javascript;base64,${Buffer.from(script).toString('base64')}`;
  return ['/bin/sh', '-c', 'exec "$0" --import "$1" dist/main.js 2>&1', process.execPath, module];
};
const onSignal = (script: string): [string, ...string[]] =>
  preceded(`process.on('SIGUSR2', () => setImmediate(() => { ${script} }));`);
const ERROR = `Object.assign(new Error('of a library'), { config: { data: 'grant_type=password&canary' } })`;

describe('a fault that nobody caught', () => {
  it.each([
    ['an exception', `throw ${ERROR};`, { type: 'Error', message: 'of a library' }],
    ['a rejection', `void Promise.reject(${ERROR});`, { type: 'Error', message: 'of a library' }],
    ['no error at all', `void Promise.reject('canary');`, { type: 'string' }],
  ])('ends the service with 1, after what is sent is finished: %s', async (_, fault, err) => {
    const { service, sandbox, api } = await startService({}, onSignal(fault));
    await post(api, 'first');
    const { answer } = await sendOne(sandbox, api);
    service.child.kill('SIGUSR2');
    await service.line((line) => line.includes('"stopping"'));
    sandbox.release();
    expect((await answer).status).toBe(201);
    expect(await service.exit()).toBe(1);
    expect(service.records()).toContainEqual(
      expect.objectContaining({ level: 60, err: expect.objectContaining(err) as unknown }),
    );
    expect(service.lines.join()).not.toContain('canary');
  });

  it('during the start ends it with 1, as a line of the log', async () => {
    // Main's first act is to listen for signals.
    const script = preceded(`process.once('newListener', () => setImmediate(() => { throw ${ERROR}; }));`);
    const service = new Process(script, environmentFor('http://127.0.0.1:9'));
    expect(await service.exit()).toBe(1);
    expect(service.records()).toContainEqual(expect.objectContaining({ level: 60 }));
  });
});

describe('the log', () => {
  it('has a warning of Node as a line like any other', async () => {
    const { service } = await startService({}, onSignal(`process.emitWarning('too many');`));
    service.child.kill('SIGUSR2');
    await service.line((line) => line.includes('too many'));
    service.child.kill('SIGTERM');
    expect(await service.exit()).toBe(0);
    expect(service.records()).toContainEqual(
      expect.objectContaining({
        level: 40,
        err: expect.objectContaining({ message: 'too many' }) as unknown,
      }),
    );
  });

  it('is JSON lines, with the request on each, and never holds a secret or the content of a message', async () => {
    const { service, api } = await startService({ LOG_LEVEL: 'trace' });
    await post(api, 'a very private sentence');
    await fetch(`${api}/v1/chat-messages`, {
      method: 'POST',
      headers: { authorization: 'Bearer not-a-key' },
    });
    service.child.kill('SIGTERM');
    await service.exit();
    expect(service.records().filter(({ message }) => message === 'request')).toMatchObject([
      {
        method: 'POST',
        route: '/v1/chat-messages',
        status: 201,
        outcome: 'done',
        caller: 'api-key:everything',
        attempts: 1,
      },
      {
        method: 'POST',
        route: '/v1/chat-messages',
        status: 401,
        outcome: 'not-sent',
        problem: 'unauthenticated',
      },
    ]);
    expect(service.lines.join()).not.toMatch(
      /private sentence|sandbox-password|not-a-key|key-for-everything/,
    );
  });
});

describe('npm run sandbox', () => {
  const env = { PORT: '0', MANAGEMENT_PORT: '0', SANDBOX_PORT: '0' };

  it('prints lines that do what they say, to two replicas on one database', async () => {
    const sandbox = new Process('dist/sandbox/run.js', env, 'SIGTERM');
    await sandbox.line((line) => line.includes('Ctrl-C'));
    const text = sandbox.lines.join('\n');
    expect(text).toContain('Nothing here is real');
    const said: [number, number, string][] = [];
    for (const [index, line] of sandbox.lines.entries()) {
      if (!line.startsWith('curl ') || !line.includes(' -d ')) continue;
      const promised = Number(/\d{3}/.exec(sandbox.lines[index - 1] ?? '')?.[0]);
      const answer = await performed(line);
      const { outcome = 'done' } = (await answer.json()) as { outcome?: string };
      said.push([promised, answer.status, outcome]);
    }
    expect(said).toEqual([
      [201, 201, 'done'],
      [200, 200, 'done'],
      [422, 422, 'not-sent'],
      [422, 422, 'rejected'],
      [201, 201, 'done'],
      [502, 502, 'unknown'],
      [201, 201, 'done'],
    ]);
    const operators = [...text.matchAll(/how things stand: (\S+)\/info/g)].map(([, url]) => url);
    expect(operators).toHaveLength(2);
    for (const url of operators) expect((await fetch(`${String(url)}/health/ready`)).status).toBe(200);
    sandbox.child.kill('SIGTERM');
    expect(await sandbox.exit()).toBe(0);
  });

  it('shows a message that is handed over to one replica, and known to the other', async () => {
    const sandbox = new Process('dist/sandbox/run.js', env, 'SIGTERM');
    await sandbox.line((line) => line.includes('Ctrl-C'));
    /** As the shell keeps them. */
    const variables = new Map<string, string>();
    const said: [number, number, unknown][] = [];
    for (const [index, line] of sandbox.lines.entries()) {
      if (!line.includes('respond-async') && !line.includes('/v1/deliveries')) continue;
      const [, variable] = /^([A-Z]+)=\$\(/.exec(line) ?? [];
      const filledIn = line
        .replace(/\$([A-Z]+)/, (_, name: string) => variables.get(name) ?? '')
        // Nobody has to read what is said here; all else must come before the end of it, even where it takes seconds.
        .replace('throttle=20', 'throttle=12');
      const promised = Number(/\d{3}/.exec(sandbox.lines[index - 1] ?? '')?.[0]);
      let answer = await performed(filledIn);
      let text = await answer.text();
      // A person is slower than Nexudus, which has throttled by now.
      while (line.includes('-X GET') && line.includes('$ID') && !text.includes('"attempts":1')) {
        answer = await performed(filledIn);
        text = await answer.text();
      }
      if (line.includes('/events')) {
        const states = [...text.matchAll(/"state":"(\w+)"/g)].map(([, state]) => state);
        said.push([promised, answer.status, states.at(-1)]);
        continue;
      }
      const {
        id = '',
        state,
        deliveries,
      } = JSON.parse(text) as {
        id?: string;
        state?: string;
        deliveries?: { id: string }[];
      };
      if (variable !== undefined) variables.set(variable, id);
      said.push([promised, answer.status, deliveries?.map((delivery) => delivery.id) ?? state]);
    }
    expect(said).toEqual([
      [202, 202, expect.stringMatching(/^(accepted|sending)$/)],
      [200, 200, expect.stringMatching(/^(accepted|sending)$/)],
      [202, 202, 'accepted'],
      [200, 200, 'cancelled'],
      [200, 200, [variables.get('NEXT'), variables.get('ID')]],
      [200, 200, 'done'],
    ]);
    sandbox.child.kill('SIGTERM');
    expect(await sandbox.exit()).toBe(0);
  });

  it('is one replica without a database where none is wanted', async () => {
    const sandbox = new Process('dist/sandbox/run.js', { ...env, SANDBOX_DATABASE: 'none' }, 'SIGTERM');
    await sandbox.line((line) => line.includes('Ctrl-C'));
    expect(sandbox.lines.filter((line) => line.includes('for operators'))).toHaveLength(1);
    expect(sandbox.lines.join('\n')).not.toMatch(/replica|respond-async|\/v1\/deliveries/);
    sandbox.child.kill('SIGTERM');
    expect(await sandbox.exit()).toBe(0);
  });

  /** What a curl line does, as far as these lines go. */
  async function performed(line: string): Promise<Response> {
    const [, method = 'GET'] = / -X (\w+)/.exec(line) ?? [];
    const [url = ''] = /http:[^\s"]+/.exec(line) ?? [];
    const headers = [...line.matchAll(/-H '([^:]+): ([^']+)'/g)].map(
      ([, name = '', value = '']) => [name, value] as [string, string],
    );
    const [, body] = /-d '([^']+)'/.exec(line) ?? [];
    return fetch(url, { method, headers, ...(body !== undefined && { body }) });
  }

  it('cannot be switched on in production', async () => {
    const sandbox = new Process('dist/sandbox/run.js', { NODE_ENV: 'production' });
    expect(await sandbox.exit()).toBe(1);
  });
});
