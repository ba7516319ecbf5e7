import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { startService, type TestService } from './support/service.js';
import { until } from './support/until.js';

const MESSAGE = { businessId: 1, content: 'x' };
const RECEPTION = 'key-of-reception';
const KIOSK = 'key-of-kiosk';
const UNUSABLE = 'The file of API keys cannot be used';

const entry = (id: string, key: string): object => ({
  id,
  sha256: createHash('sha256').update(key).digest('hex'),
  businesses: '*',
});

/** A file of API keys that a test writes to. */
class KeysFile {
  readonly path = join(mkdtempSync(join(tmpdir(), 'api-keys-')), 'api-keys.json');

  constructor(...entries: object[]) {
    this.write(JSON.stringify(entries));
  }

  write(text: string): void {
    writeFileSync(this.path, text);
  }
}

const startWith = (file: KeysFile): Promise<TestService> =>
  startService({ env: { AUTH_API_KEYS_FILE: file.path } });

const statusWith = async ({ create }: TestService, key: string): Promise<number> =>
  (await create(MESSAGE, { authorization: `Bearer ${key}` })).status;

/** Calls until the answer to a key is this one. */
async function untilStatus(service: TestService, key: string, status: number): Promise<void> {
  while ((await statusWith(service, key)) !== status) await new Promise((resolve) => setTimeout(resolve, 50));
}

const complaints = ({ log }: TestService): Record<string, unknown>[] =>
  log.filter(({ message }) => typeof message === 'string' && message.startsWith(UNUSABLE));

async function rejected({ app }: TestService): Promise<string | undefined> {
  const text = await (await fetch(`http://127.0.0.1:${app.managementPort}/metrics`)).text();
  return /^client_api_keys_rejected (\d)$/m.exec(text)?.[1];
}

describe('the file of API keys, while the service runs', () => {
  it('takes a key in and another out, without a restart', async () => {
    const file = new KeysFile(entry('reception', RECEPTION));
    const service = await startWith(file);
    expect(await statusWith(service, KIOSK)).toBe(401);
    file.write(JSON.stringify([entry('kiosk', KIOSK)]));
    await untilStatus(service, KIOSK, 201);
    expect(await statusWith(service, RECEPTION)).toBe(401);
    expect(await rejected(service)).toBe('0');
  });

  it('that is broken keeps the old keys, says so once, and is taken up when it is whole', async () => {
    const file = new KeysFile(entry('reception', RECEPTION));
    const service = await startWith(file);
    const whole = JSON.stringify([entry('kiosk', KIOSK)]);
    file.write(whole.slice(0, -9));
    await until(() => complaints(service).length > 0);
    // Long enough for another look at the file.
    const looked = Date.now();
    await until(() => Date.now() - looked > 1_500);
    expect(complaints(service)).toMatchObject([{ level: 50, reason: 'is not JSON' }]);
    expect(await rejected(service)).toBe('1');
    expect(await statusWith(service, RECEPTION)).toBe(201);
    expect(await statusWith(service, KIOSK)).toBe(401);

    file.write(whole);
    await untilStatus(service, KIOSK, 201);
    expect(await statusWith(service, RECEPTION)).toBe(401);
    expect(await rejected(service)).toBe('0');
  });

  it('that is gone keeps the old keys', async () => {
    const file = new KeysFile(entry('reception', RECEPTION));
    const service = await startWith(file);
    rmSync(file.path);
    await until(() => complaints(service).length > 0);
    expect(complaints(service)).toMatchObject([{ reason: 'cannot be read (ENOENT)' }]);
    expect(await statusWith(service, RECEPTION)).toBe(201);
  });

  it('that holds no key any more refuses everybody: that is a change like any other', async () => {
    const file = new KeysFile(entry('reception', RECEPTION));
    const service = await startWith(file);
    file.write('[]');
    await untilStatus(service, RECEPTION, 401);
    expect(complaints(service)).toEqual([]);
  });
});

describe('npm run api-key', () => {
  const run = (...args: string[]): { status: number | null; stdout: string; stderr: string } =>
    spawnSync(process.execPath, ['scripts/api-key.js', ...args], { encoding: 'utf8' });

  it.each<[string, string, number[]]>([
    ['1,2', '2099-01-01', [201, 201, 403]],
    ['*', '', [201, 201, 201]],
  ])(
    'makes a key for the businesses %s, and its entry for the file',
    async (businesses, expires, statuses) => {
      const expiry = expires === '' ? [] : ['--expires', expires];
      const { status, stdout, stderr } = run('create', 'reception', '--businesses', businesses, ...expiry);
      expect([status, stderr]).toEqual([0, '']);
      const [key = '', line = '', ...rest] = stdout.split('\n');
      expect(key).toMatch(/^nbff_[\w-]{43}$/);
      expect(line).not.toContain(key);
      expect(rest).toEqual(['']);
      const made = JSON.parse(line) as object;
      expect(Object.keys(made)).toEqual([
        'id',
        'sha256',
        'businesses',
        ...(expires === '' ? [] : ['expiresAt']),
      ]);

      const { create, log } = await startWith(new KeysFile(made));
      const answers: number[] = [];
      for (const businessId of [1, 2, 3]) {
        answers.push((await create({ ...MESSAGE, businessId }, { authorization: `Bearer ${key}` })).status);
      }
      expect(answers).toEqual(statuses);
      expect(log.find(({ message }) => message === 'request')).toMatchObject({ caller: 'api-key:reception' });
      expect(JSON.stringify(log)).not.toContain(key);
    },
  );

  it('never makes the same key twice', () => {
    const make = (): string => run('create', 'reception', '--businesses', '*').stdout;
    expect(make()).not.toBe(make());
  });

  it.each([
    [''],
    ['create'],
    ['create reception'],
    ['create --businesses 1'],
    ['delete reception --businesses 1'],
    ['create reception kiosk --businesses 1'],
    ['create re/ception --businesses 1'],
    ['create reception --businesses'],
    ['create reception --businesses all'],
    ['create reception --businesses 1,'],
    ['create reception --businesses 1,*'],
    ['create reception --businesses 0'],
    ['create reception --businesses 1 --expires soon'],
    ['create reception --businesses 1 --expires 2020-01-01'],
    ['create reception --businesses 1 --expires 2099-13-01'],
    ['create reception --businesses 1 --verbose'],
  ])('tells how it is used, and makes nothing, with the arguments "%s"', (line) => {
    const { status, stdout, stderr } = run(...line.split(' '));
    expect([status, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(/^usage: /);
  });
});
