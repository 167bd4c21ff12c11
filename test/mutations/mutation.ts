// Promises what a mutation is: a fault that a person could plausibly write, as one exact piece of source text and what stands in its place.

/** What is broken, as a sentence; text that occurs exactly once in the file; its replacement. */
type Mutation = readonly [name: string, from: string, to: string];

/** Mutations of one source file and what is run against each of them until something fails, quick things first. */
export type Target = {
  readonly file: string;
  readonly tests: readonly string[];
  /** Seeds of the simulation that are run when every test has passed; for mutations of the loop. */
  readonly seeds?: number;
  readonly mutations: readonly Mutation[];
};
