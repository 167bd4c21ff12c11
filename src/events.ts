// Promises one stream of facts for whoever wants to follow what happens: the same as the log's lines from level info on, redacted, each with a
// number that grows. The last ones are kept, so that a follower who was away can go on where it was.

import type { Said } from './log.ts';

export type Fact = Said & {
  /** From 1; one more for each. */
  readonly id: number;
  /** Epoch milliseconds of the wall clock. */
  readonly at: number;
};

export type Events = {
  publish(said: Said): void;
  /** What is kept of everything after that number, oldest first. */
  after(id: number): readonly Fact[];
  /** The number of the last fact; 0 before the first. */
  last(): number;
  /** Calls back for each fact from now on; returns how to stop. A follower must not throw. */
  follow(take: (fact: Fact) => void): () => void;
};

const factsKept = 1_000;

export function createEvents(wall: () => number): Events {
  const kept: Fact[] = [];
  const followers = new Set<(fact: Fact) => void>();
  let last = 0;
  return {
    publish(said) {
      last += 1;
      const fact = { ...said, id: last, at: wall() };
      kept.push(fact);
      if (kept.length > factsKept) kept.shift();
      for (const take of followers) take(fact);
    },
    after: (id) => kept.filter((fact) => fact.id > id),
    last: () => last,
    follow(take) {
      followers.add(take);
      return () => void followers.delete(take);
    },
  };
}
