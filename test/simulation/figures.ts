// Promises the sums over many seeded runs and how they are said: seeds, ticks, crashes, faults by kind, and the four numbers that must be
// zero. Plain data, so that it can be sent between threads.

import type { Verdict } from './verdict.ts';

export type Figures = {
  readonly seeds: number;
  readonly jobs: number;
  readonly ticks: number;
  readonly crashes: number;
  readonly faults: ReadonlyMap<string, number>;
  readonly lost: number;
  readonly doubled: number;
  readonly wronglyStopped: number;
  readonly leftOver: number;
  /** Promises broken in other ways: an invariant seen broken, a bug that ended the process. */
  readonly broken: number;
  readonly failures: readonly Failure[];
};

export type Failure = { readonly seed: number; readonly wrongs: readonly string[] };

export const noFigures: Figures = {
  seeds: 0,
  jobs: 0,
  ticks: 0,
  crashes: 0,
  faults: new Map(),
  lost: 0,
  doubled: 0,
  wronglyStopped: 0,
  leftOver: 0,
  broken: 0,
  failures: [],
};

/** Every promise that a run broke, as a sentence. */
export function wrongsOf(verdict: Verdict): string[] {
  return [
    ...verdict.lost.map((each) => `lost: ${each}`),
    ...verdict.doubled.map((each) => `doubled: ${each}`),
    ...verdict.wronglyStopped.map((each) => `wrongly stopped: ${each}`),
    ...verdict.leftOver.map((each) => `left over: ${each}`),
    ...verdict.broken,
  ];
}

export function figuresOf(verdict: Verdict): Figures {
  const wrongs = wrongsOf(verdict);
  return {
    seeds: 1,
    jobs: verdict.jobs,
    ticks: verdict.ticks,
    crashes: verdict.crashes,
    faults: verdict.faults,
    lost: verdict.lost.length,
    doubled: verdict.doubled.length,
    wronglyStopped: verdict.wronglyStopped.length,
    leftOver: verdict.leftOver.length,
    broken: verdict.broken.length,
    failures: wrongs.length === 0 ? [] : [{ seed: verdict.seed, wrongs }],
  };
}

export function sumOf(a: Figures, b: Figures): Figures {
  const faults = new Map(a.faults);
  for (const [kind, count] of b.faults) faults.set(kind, (faults.get(kind) ?? 0) + count);
  return {
    seeds: a.seeds + b.seeds,
    jobs: a.jobs + b.jobs,
    ticks: a.ticks + b.ticks,
    crashes: a.crashes + b.crashes,
    faults,
    lost: a.lost + b.lost,
    doubled: a.doubled + b.doubled,
    wronglyStopped: a.wronglyStopped + b.wronglyStopped,
    leftOver: a.leftOver + b.leftOver,
    broken: a.broken + b.broken,
    failures: [...a.failures, ...b.failures],
  };
}

/** The lines that say it; each failing seed with the command that replays it. */
export function linesOf(figures: Figures, seconds: number): string[] {
  const { seeds, jobs, ticks, crashes, faults, lost, doubled, wronglyStopped, leftOver, broken, failures } = figures;
  const injected = [...faults.values()].reduce((sum, count) => sum + count, 0);
  const kinds = [...faults].toSorted((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1)).map(([kind, count]) => `${kind} ${count}`);
  return [
    ...failures.flatMap(({ seed, wrongs }) => [`seed ${seed}: ${wrongs.join('; ')}`, `  npm run simulate -- --seed ${seed} --trace`]),
    `${seeds} seeds in ${seconds} s: ${jobs} jobs, ${ticks} ticks, ${crashes} crashes, ${injected} faults injected`,
    ...folded(kinds, 140).map((line) => `  ${line}`),
    ...(broken === 0 ? [] : [`${broken} invariants broken`]),
    `${lost} / ${doubled} / ${wronglyStopped} / ${leftOver} (lost, doubled, wrongly stopped, left over)`,
  ];
}

function folded(words: readonly string[], width: number): string[] {
  const lines: string[] = [];
  for (const word of words) {
    const last = lines.at(-1);
    if (last === undefined || last.length + word.length > width) lines.push(word);
    else lines[lines.length - 1] = `${last}, ${word}`;
  }
  return lines;
}
