// Promises facts for the tests of metrics, and the lines of a metric out of its text.

import type { Fact } from '../../src/events.ts';
import type { Event } from '../../src/log.ts';

let last = 0;

/** A fact of a runner of job 41, unless the facts say another. */
export function aFact(event: Event, facts: Fact['facts'] = {}, level: Fact['level'] = 'info'): Fact {
  last += 1;
  return { id: last, at: 0, level, event, facts: { runner: 'j0000041abc', forge: 'forge', repository: 9, job: 41, handle: 'h', ...facts } };
}

/** What the text says of a metric: its lines without the prefix, comments left out; those of a histogram with all their buckets. */
export function linesOf(text: string, name: string): readonly string[] {
  return samplesOf(text)
    .map((line) => line.replace('forgejo_runner_controller_', ''))
    .filter((line) => new RegExp(String.raw`^${name}(?:_bucket|_sum|_count)?[ {]`).test(line));
}

export function samplesOf(text: string): readonly string[] {
  return text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
}
