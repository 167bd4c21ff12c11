// Promises what a line of the table is, and the few numbers that lines are made of: medians and percentiles by the nearest rank. Pure.

export type Line = {
  readonly name: string;
  /** What was promised, for a reader. */
  readonly target: string;
  readonly measured: string;
  /** Undefined: nothing was promised, the number explains another. */
  readonly held: boolean | undefined;
  /** How it was measured, or where the time goes. */
  readonly note: string;
  readonly values: Readonly<Record<string, number>>;
};

/** The value below which this share of the samples lies. */
export function quantile(samples: readonly number[], share: number): number {
  const sorted = samples.toSorted((a, b) => a - b);
  const value = sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)];
  if (value === undefined) throw new Error('no samples');
  return value;
}

export const median = (samples: readonly number[]): number => quantile(samples, 0.5);

export const ms = (value: number): string => `${value >= 100 ? value.toFixed(0) : value.toFixed(1)} ms`;

/** A line that holds when a number is at most its target. */
export function atMost(name: string, limit: number, value: number, show: (value: number) => string, note: string, values = {}): Line {
  return { name, target: `at most ${show(limit)}`, measured: show(value), held: value <= limit, note, values: { value, limit, ...values } };
}

/** A line that only explains. */
export function told(name: string, measured: string, note: string, values = {}): Line {
  return { name, target: '-', measured, held: undefined, note, values };
}

export function tableOf(lines: readonly Line[]): string {
  const rows = [
    ['what', 'target', 'measured', '', 'how'],
    ...lines.map((line) => [line.name, line.target, line.measured, verdictOf(line), line.note]),
  ];
  const widths = [0, 1, 2, 3].map((column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const text = rows.map((row) => `| ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`);
  text.splice(1, 0, `|${[...widths.map((width) => '-'.repeat(width + 2)), '---'].join('|')}|`);
  return text.join('\n');
}

function verdictOf({ held }: Line): string {
  if (held === undefined) return '';
  return held ? 'held' : 'MISSED';
}
