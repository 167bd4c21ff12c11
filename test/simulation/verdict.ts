// Promises what is said of one run when it is over.

export type Tally = Map<string, number>;

export type Verdict = {
  readonly seed: number;
  readonly ticks: number;
  readonly crashes: number;
  readonly faults: Tally;
  readonly jobs: number;
  /** Jobs without an end although every fault had stopped long before. */
  readonly lost: readonly string[];
  /** Jobs that were begun twice. */
  readonly doubled: readonly string[];
  readonly wronglyStopped: readonly string[];
  readonly leftOver: readonly string[];
  /** Invariants seen broken. */
  readonly broken: readonly string[];
};

/** Several runs of one seed as one. */
export function mergedOf(seed: number, verdicts: readonly Verdict[]): Verdict {
  const faults: Tally = new Map();
  for (const verdict of verdicts) for (const [kind, count] of verdict.faults) faults.set(kind, (faults.get(kind) ?? 0) + count);
  const sum = (of: (verdict: Verdict) => number): number => verdicts.reduce((total, verdict) => total + of(verdict), 0);
  return {
    seed,
    ticks: sum(({ ticks }) => ticks),
    crashes: sum(({ crashes }) => crashes),
    faults,
    jobs: sum(({ jobs }) => jobs),
    lost: verdicts.flatMap(({ lost }) => lost),
    doubled: verdicts.flatMap(({ doubled }) => doubled),
    wronglyStopped: verdicts.flatMap(({ wronglyStopped }) => wronglyStopped),
    leftOver: verdicts.flatMap((verdict) => verdict.leftOver),
    broken: verdicts.flatMap(({ broken }) => broken),
  };
}
