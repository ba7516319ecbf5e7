import type { ProblemType } from './problem.catalogue.js';

const OUTCOMES = {
  'not-sent': 'This request sent nothing to Nexudus, or what Nexudus provably refused before running it.',
  rejected: 'Nexudus decided against the message.',
  unknown: 'The message may or may not exist in Nexudus now.',
} as const;

/** One problem as a page for a person. All that goes into it is text of ours. */
export function problemPage(
  slug: string,
  { title, status, outcome, retryable, explanation }: ProblemType,
): string {
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${title}</title>
<style>body{font:1.1rem/1.6 system-ui,sans-serif;max-width:40rem;margin:3rem auto;padding:0 1rem}code,dt{font-family:ui-monospace,monospace}dt{font-weight:600}</style>
<h1>${title}</h1>
<p>${explanation}</p>
<dl>
<dt>type</dt><dd><code>${slug}</code></dd>
<dt>status</dt><dd>${status}</dd>
<dt>outcome</dt><dd><code>${outcome}</code>: ${OUTCOMES[outcome]}</dd>
<dt>retryable</dt><dd>${retryable ? 'yes: the same request may be sent again as it is' : 'no'}</dd>
</dl>
<p><a href="../problems">All problems</a></p>
</html>
`;
}
