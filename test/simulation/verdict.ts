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
