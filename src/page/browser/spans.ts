// Promises the timeline as data: one span for each runner of the last hour with its phases, and a lane for each that it keeps. A lane is a
// place in use, not a subnet: those are given out in turn, and there are many more of them. Pure.

import type { Status } from '../../http/wire.ts';

export type Done = Status['recent'][number];
type Live = Status['runners'][number];

export const hourMs = 3_600_000;

export type PhaseName = 'starting' | 'pickup' | 'running' | 'bad' | 'cleaning';

export type Phase = { readonly name: PhaseName; readonly from: number; readonly to: number };

export type Span = {
  /** Of one machine for one attempt at a job. */
  readonly key: string;
  readonly from: number;
  /** Now, while it goes on. */
  readonly to: number;
  readonly phases: readonly Phase[];
  readonly job: Live | Done;
  /** How it ended; undefined while it goes on. */
  readonly end: Done | undefined;
};

export function keyOf({ id, scheduled_at: at }: Pick<Live, 'id' | 'scheduled_at'>): string {
  return `${id} ${at}`;
}

/** Those that were there in the hour before `now`, oldest first. `cleaningFrom`: since when a runner that goes on has been seen to be cleaned up. */
export function spansOf(
  runners: readonly Live[],
  done: readonly Done[],
  now: number,
  cleaningFrom: ReadonlyMap<string, number> = new Map(),
): readonly Span[] {
  const ended = new Set(done.map(keyOf));
  const live = runners
    .filter((runner) => !ended.has(keyOf(runner)))
    .map((runner) => liveSpan(runner, now, cleaningFrom.get(keyOf(runner))));
  return [...done.map(doneSpan), ...live].filter(({ to }) => to > now - hourMs).toSorted((a, b) => a.from - b.from || a.to - b.to);
}

function liveSpan(runner: Live, now: number, cleaningFrom: number | undefined): Span {
  const from = Date.parse(runner.scheduled_at);
  const to = Math.max(from, now);
  const cleaning = cleaningFrom ?? (runner.phase === 'finalizing' ? to : undefined);
  const phases = phasesOf({ from, to }, [
    ['starting', from],
    ['pickup', momentOf(runner.assigned_at)],
    ['running', momentOf(runner.picked_at)],
    ['cleaning', cleaning],
  ]);
  return { key: keyOf(runner), from, to, job: runner, end: undefined, phases };
}

function doneSpan(done: Done): Span {
  const from = Date.parse(done.scheduled_at);
  const to = Math.max(from, Date.parse(done.ended_at));
  const phases = phasesOf({ from, to }, [
    ['starting', from],
    ['pickup', momentOf(done.assigned_at)],
    [done.reason === 'finished' ? 'running' : 'bad', momentOf(pickedOf(done))],
    ['cleaning', momentOf(done.cleaning_at)],
  ]);
  return { key: keyOf(done), from, to, job: done, end: done, phases };
}

function momentOf(iso: string | null): number | undefined {
  return iso === null ? undefined : Date.parse(iso);
}

/** One that finished had its job, also when that was over before it was seen to run. */
export function pickedOf({ picked_at: picked, assigned_at: assigned, reason }: Done): string | null {
  return picked ?? (reason === 'finished' ? assigned : null);
}

/** One behind the other without a gap; a step that was not seen takes no time. */
function phasesOf({ from, to }: Pick<Span, 'from' | 'to'>, steps: readonly (readonly [PhaseName, number | undefined])[]): readonly Phase[] {
  const begun = steps.flatMap(([name, at]) => (at === undefined ? [] : [{ name, at: Math.min(Math.max(at, from), to) }]));
  return begun
    .map(({ name, at }, index) => ({ name, from: at, to: Math.max(at, begun[index + 1]?.at ?? to) }))
    .filter((phase) => phase.to > phase.from);
}

/**
 * A lane for each span, from 0. Who has one keeps it, so that nothing jumps while time goes on; a new one gets the lowest that is free for all of
 * its time. `known` is brought up to date, and forgets those that are gone.
 */
export function laneSpans(spans: readonly Span[], known: Map<string, number>): void {
  const keys = new Set(spans.map(({ key }) => key));
  for (const key of known.keys()) if (!keys.has(key)) known.delete(key);
  const lanes: Span[][] = [];
  const put = (span: Span, lane: number): void => {
    (lanes[lane] ??= []).push(span);
    known.set(span.key, lane);
  };
  for (const span of spans) {
    const lane = known.get(span.key);
    if (lane !== undefined) put(span, lane);
  }
  for (const span of spans) {
    if (known.has(span.key)) continue;
    let lane = 0;
    while (lanes[lane]?.some((other) => other.from < span.to && span.from < other.to) === true) lane += 1;
    put(span, lane);
  }
}
