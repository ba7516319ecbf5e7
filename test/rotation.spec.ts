import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { startService, type TestService } from './support/service.js';
import { until } from './support/until.js';

const OLD = { username: 'service@example.com', password: 'sandbox-password', roles: 'all' as const };
const NEW = { username: 'successor@example.com', password: 'another-password', roles: 'all' as const };
const MESSAGE = { businessId: 1, content: 'x' };

type Files = Readonly<Record<string, string>>;

/** A directory of credentials as a Kubernetes Secret volume has it: the files are links through `..data`. */
class SecretVolume {
  readonly path = mkdtempSync(join(tmpdir(), 'credentials-'));
  #version = 0;

  constructor(files: Files) {
    this.swap(files);
    for (const name of ['username', 'password', 'totp-secret'])
      symlinkSync(join('..data', name), join(this.path, name));
  }

  /** As the kubelet does it: a new directory, and one rename of the link to it. */
  swap(files: Files): void {
    const before = `..version-${this.#version}`;
    const now = `..version-${(this.#version += 1)}`;
    mkdirSync(join(this.path, now));
    for (const [name, text] of Object.entries(files)) writeFileSync(join(this.path, now, name), `${text}\n`);
    symlinkSync(now, join(this.path, '..data_tmp'));
    renameSync(join(this.path, '..data_tmp'), join(this.path, '..data'));
    rmSync(join(this.path, before), { recursive: true, force: true });
  }
}

async function startWith(volume: { path: string }): Promise<TestService> {
  return startService({
    env: { NEXUDUS_CREDENTIALS_DIR: volume.path },
    sandbox: { accounts: [{ ...OLD }, { ...NEW }] },
  });
}

const logged = ({ log }: TestService, text: string): boolean =>
  log.some(({ message }) => typeof message === 'string' && message.startsWith(text));

async function metric({ app }: TestService, name: string): Promise<string[]> {
  const text = await (await fetch(`http://127.0.0.1:${app.managementPort}/metrics`)).text();
  return text.split('\n').filter((line) => line.startsWith(name));
}

describe('credentials that change', () => {
  it('take over once a login has proven them, under load and without one failed call', async () => {
    const volume = new SecretVolume(OLD);
    const service = await startWith(volume);
    const { create, sandbox } = service;
    let running = true;
    const statuses: number[] = [];
    const load = Array.from({ length: 8 }, async () => {
      while (running) statuses.push((await create(MESSAGE)).status);
    });
    await sandbox.waitForCall(({ status }) => status === 200);
    volume.swap(NEW);
    await until(() => logged(service, 'The new credentials are proven'));
    // The old account is gone: its tokens die while calls are under way.
    sandbox.revokeAccessTokens(OLD.username);
    const served = statuses.length;
    await until(() => statuses.length > served + 50);
    running = false;
    await Promise.all(load);
    expect(statuses.filter((status) => status !== 201)).toEqual([]);
    expect(sandbox.messages.size).toBe(statuses.length);
    expect([...sandbox.messages.values()].at(-1)?.UpdatedBy).toBe(NEW.username);
    expect(await metric(service, 'nexudus_credentials_generation')).toEqual([
      'nexudus_credentials_generation 2',
    ]);
  });

  it('that Nexudus refuses are tried once and said so loudly, while the old ones serve on', async () => {
    const volume = new SecretVolume(OLD);
    const service = await startWith(volume);
    const { create, sandbox } = service;
    await create(MESSAGE);
    volume.swap({ ...NEW, password: 'mistyped' });
    await until(() => logged(service, 'The new credentials are rejected'));
    // Long enough for another look at the files: there must be no second try.
    const looked = Date.now();
    await until(() => Date.now() - looked > 2_500);
    const tries = sandbox.tokenCalls.filter(({ body }) => body.includes('successor'));
    expect(tries).toHaveLength(1);
    expect((await create(MESSAGE)).status).toBe(201);
    expect(await metric(service, 'nexudus_credentials_rejected')).toEqual([
      'nexudus_credentials_rejected{reason="invalid-credentials"} 1',
    ]);
    expect(JSON.stringify(service.log)).not.toMatch(/mistyped|sandbox-password/);

    volume.swap(NEW);
    await until(() => logged(service, 'The new credentials are proven'));
    expect((await create(MESSAGE)).status).toBe(201);
    expect(await metric(service, 'nexudus_credentials_rejected{')).toEqual([]);
  });

  it('with a TOTP secret that is none are not tried, while the old ones serve on', async () => {
    const volume = new SecretVolume(OLD);
    const service = await startWith(volume);
    await service.create(MESSAGE);
    volume.swap({ ...NEW, 'totp-secret': '1!canary' });
    await until(() => logged(service, 'The credentials cannot be used as they are now'));
    expect(await metric(service, 'nexudus_credentials_rejected{')).toEqual([
      'nexudus_credentials_rejected{reason="unusable-files"} 1',
    ]);
    service.sandbox.revokeAccessTokens(OLD.username);
    expect((await service.create(MESSAGE)).status).toBe(201);
    expect(service.sandbox.tokenCalls.filter(({ body }) => body.includes('successor'))).toEqual([]);
    expect(JSON.stringify(service.log)).not.toContain('canary');
  });

  it('wake the callers who wait for a token of the old ones', async () => {
    const volume = new SecretVolume(OLD);
    const service = await startWith(volume);
    const { create, sandbox } = service;
    await create(MESSAGE);
    sandbox.revokeAccessTokens(OLD.username);
    sandbox.next({ kind: 'hang' }, { on: 'token' });
    const waiting = create(MESSAGE);
    await sandbox.waitForCall(({ body }) => body.includes('refresh_token='));
    volume.swap(NEW);
    expect((await waiting).status).toBe(201);
    expect(logged(service, 'The new credentials are proven')).toBe(true);
    sandbox.release();
  });

  it('and are rejected stay so for operators, though the old ones are renewed', async () => {
    const volume = new SecretVolume(OLD);
    const service = await startWith(volume);
    const { sandbox } = service;
    await service.create(MESSAGE);
    volume.swap({ ...NEW, password: 'mistyped' });
    await until(() => logged(service, 'The new credentials are rejected'));
    sandbox.revokeAccessTokens(OLD.username);
    expect((await service.create(MESSAGE)).status).toBe(201);
    expect(await metric(service, 'nexudus_credentials_rejected{')).toEqual([
      'nexudus_credentials_rejected{reason="invalid-credentials"} 1',
    ]);
  });

  it('in files written one after the other are tried when the set is whole', async () => {
    const path = mkdtempSync(join(tmpdir(), 'credentials-'));
    const write = (files: Files): void => {
      for (const [name, text] of Object.entries(files)) writeFileSync(join(path, name), text);
    };
    write({ username: OLD.username, password: OLD.password });
    const service = await startWith({ path });
    const { create, sandbox } = service;
    await create(MESSAGE);
    // The password is missing for a while, then there: an editor that replaces files.
    rmSync(join(path, 'password'));
    writeFileSync(join(path, 'username'), NEW.username);
    await until(() => logged(service, 'The credentials cannot be used as they are now'));
    expect((await create(MESSAGE)).status).toBe(201);
    expect(await metric(service, 'nexudus_credentials_rejected{')).toEqual([
      'nexudus_credentials_rejected{reason="unusable-files"} 1',
    ]);
    writeFileSync(join(path, 'password'), `${NEW.password}\r\n`);
    await until(() => logged(service, 'The new credentials are proven'));
    expect(await metric(service, 'nexudus_credentials_rejected{')).toEqual([]);
    expect(sandbox.tokenCalls.map(({ status }) => status)).toEqual([200, 200]);
  });

  it('heal a service whose credentials were refused, without a restart', async () => {
    const volume = new SecretVolume({ ...OLD, password: 'mistyped' });
    const service = await startWith(volume);
    expect((await service.create(MESSAGE)).json).toMatchObject({ type: '/problems/upstream-access-denied' });
    volume.swap(OLD);
    await until(() => logged(service, 'The new credentials are proven'));
    expect((await service.create(MESSAGE)).status).toBe(201);
  });

  it.each([
    ['an outage', { kind: 'html', status: 503 }, 'The token endpoint of Nexudus gave no token'],
    ['a block', { kind: 'edge-403' }, 'The firewall in front of Nexudus blocks'],
  ] as const)(
    'during %s of the token endpoint are not taken for wrong ones, and take over after it',
    async (_, no, line) => {
      const volume = new SecretVolume(OLD);
      const service = await startWith(volume);
      const { create, sandbox } = service;
      await create(MESSAGE);
      sandbox.next(no, { on: 'token', times: 2 });
      volume.swap(NEW);
      await until(() => logged(service, line));
      expect((await create(MESSAGE)).status).toBe(201);
      await until(() => logged(service, 'The new credentials are proven'));
    },
  );
});
