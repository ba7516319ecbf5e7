import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { promisify } from 'node:util';

/** The code on a page of docs: each block of JavaScript or TypeScript, in order. */
export function codeOf(page: string): string[] {
  return [...readFileSync(page, 'utf8').matchAll(/^```[jt]s\n([^]*?)^```/gm)].map(([, code = '']) => code);
}

/** Runs a block as a script with one argument; what it printed. */
export async function printedBy(
  code: string,
  argument = '',
  env: Record<string, string> = {},
): Promise<string> {
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ['--input-type=module', '--eval', code, argument],
    { env },
  );
  return stdout.trim();
}

/** Runs a block here, with these names in place of what it imports; each line that it printed. */
export async function linesOf(code: string, known: Readonly<Record<string, unknown>>): Promise<unknown[]> {
  const lines: unknown[] = [];
  const names = { ...known, console: { log: (...line: unknown[]) => lines.push(line.join(' ')) } };
  const text = code.replace(/^import .*$/gm, '');
  // eslint-disable-next-line @typescript-eslint/no-implied-eval -- it is the page's own
  const body = new Function(...Object.keys(names), `return (async () => {${text}})()`) as (
    ...values: unknown[]
  ) => Promise<void>;
  await body(...Object.values(names));
  return lines;
}
