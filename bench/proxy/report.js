const KIBIBYTE = 2 ** 10;
const MEBIBYTE = 2 ** 20;

/** One measurement as Markdown. */
export function section({ title, text, tables, notes }) {
  return [`## ${title}`, text, ...tables, ...notes].join('\n\n');
}

/** The whole page. */
export function page({ contestants, sections, machine, command, beganAt, plan }) {
  return `# Benchmarks

One message of about 200 bytes is created again and again, by several contestants beside each other: same machine, same
load, same upstream, which says yes at once. Every answer is checked; one that is not the right one ends the run.

- Run: \`${command}\`, ${beganAt.toISOString().slice(0, 10)}; medians of ${plan.rounds} rounds in turn after a warm-up, in brackets the
  least and the most
${machine.map((line) => `- ${line}`).join('\n')}

${contestants.map(({ number, name, about }) => `${number}. **${name}**: ${about}`).join('\n')}

${sections.map(section).join('\n\n')}
`;
}

/** A table, aligned as prettier would. */
export function table(head, rows) {
  const widths = head.map((title, index) =>
    Math.max(3, title.length, ...rows.map((cells) => cells[index].length)),
  );
  const line = (cells) =>
    `| ${cells.map((cell, index) => (index === 0 ? cell.padEnd(widths[index]) : cell.padStart(widths[index]))).join(' | ')} |`;
  const rule = widths.map((width, index) => (index === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`));
  return [line(head), line(rule), ...rows.map(line)].join('\n');
}

/** The median, with the least and the most. */
export function spread({ median, least, most }, digits) {
  if (Number.isNaN(median)) return '–';
  const show = (value) => value.toFixed(digits);
  return least === most ? show(median) : `${show(median)} (${show(least)}–${show(most)})`;
}

export function times(ratio) {
  return `${ratio.toFixed(2)} ×`;
}

export function megabytes(bytes) {
  return Number.isNaN(bytes) ? '–' : `${(bytes / MEBIBYTE).toFixed(0)} MB`;
}

export function kilobytes(bytes) {
  return `${(bytes / KIBIBYTE).toFixed(1)} kB`;
}
