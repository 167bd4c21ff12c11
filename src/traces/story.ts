// Promises the story of each runner as a tree of spans, made of nothing but the facts of the log: from when its job was first seen to when
// everything of it was gone. All times are laid out on the one clock that only grows, so a wall clock that is set bends no span. Bounded.

import type { Fact } from '../events.ts';

export type Attributes = Readonly<Record<string, string | number | boolean>>;

/** From and to are epoch milliseconds. */
export type Tree = {
  readonly name: string;
  readonly from: number;
  readonly to: number;
  readonly attributes: Attributes;
  /** Why it is to be called a failure; absent = it is none. */
  readonly failure?: string;
  readonly happened: readonly { readonly name: string; readonly at: number; readonly attributes: Attributes }[];
  readonly parts: readonly Tree[];
};

/** A runner that is gone. `job` tells its job from others; `again`: the job waits on and may get another machine. */
export type Told = { readonly tree: Tree; readonly job: string; readonly again: boolean };

export type Stories = { take(fact: Fact): Told | undefined };

type Said = { readonly at: number; readonly fact: Fact };
type Story = { readonly seenAt: number | undefined; readonly said: Said[] };

/** Some megabytes at most; of more the oldest are forgotten. */
const kept = 5_000;
const partsKept = 50;
const told = new Set(['launch', 'retry', 'assign', 'picked', 'stop', 'report']);

/** `now`: milliseconds that only ever grow. */
export function createStories(now: () => number): Stories {
  const seen = new Map<string, number>();
  const stories = new Map<string, Story>();

  const storyOf = (fact: Fact, runner: string): Story => {
    const story = stories.get(runner) ?? { seenAt: seen.get(jobOf(fact)), said: [] };
    stories.set(runner, story);
    trim(stories);
    return story;
  };

  return {
    take(fact) {
      const at = now();
      const runner = textOf(fact, 'runner');
      if (fact.event === 'deny' && !seen.has(jobOf(fact))) {
        seen.set(jobOf(fact), at);
        trim(seen);
      }
      // A retry of what has no job tells of a sweep.
      if (runner === undefined || fact.facts['job'] === undefined) return undefined;
      if (fact.event !== 'finalize') {
        if (!told.has(fact.event)) return undefined;
        const { said } = storyOf(fact, runner);
        if (said.length < partsKept) said.push({ at, fact });
        return undefined;
      }
      const story = storyOf(fact, runner);
      stories.delete(runner);
      const reason = textOf(fact, 'reason') ?? '';
      // A job that its machine did not get waits on.
      const again = msOf(fact, 'ranMs') === undefined && reason !== 'cancelled' && reason !== 'job-gone';
      if (again) seen.set(jobOf(fact), at);
      else seen.delete(jobOf(fact));
      return { tree: treeOf(story, { at, fact }), job: jobOf(fact), again };
    },
  };
}

function trim(map: Map<string, unknown>): void {
  for (const oldest of map.keys()) if (map.size > kept) map.delete(oldest);
}

function jobOf({ facts }: Fact): string {
  return JSON.stringify([facts['forge'], facts['job'], facts['handle']]);
}

function textOf({ facts }: Fact, name: string): string | undefined {
  const value = facts[name];
  return typeof value === 'string' ? value : undefined;
}

function msOf({ facts }: Fact, name: string): number | undefined {
  const value = facts[name];
  return typeof value === 'number' && Number.isFinite(value) && value >= 0 ? value : undefined;
}

const failures: Readonly<Record<string, string>> = {
  'start-failed': 'its machine could not be made',
  'start-timeout': 'its machine did not come up in time',
  unpicked: 'Forgejo did not hand it the job in time',
  'job-timeout': 'its job ran longer than its profile allows',
  'machine-failed': 'its machine died',
  'machine-lost': 'its machine vanished without a record of its end',
};
/** Those that befall a job at work. */
const ofTheRun = new Set(['job-timeout', 'machine-failed', 'machine-lost']);

function treeOf({ seenAt, said }: Story, last: Said): Tree {
  const { fact } = last;
  const wall = (at: number): number => fact.at - (last.at - at);
  const life = lifeOf(said, last);
  const { createdAt, endedAt, reason } = life;
  const from = Math.min(seenAt ?? createdAt, createdAt);
  const span = (name: string, start: number, end: number, failure?: string): Tree => {
    // What lies outside of the whole is an error of measurement.
    const [a, b] = [start, end].map((at) => Math.min(last.at, Math.max(from, at))) as [number, number];
    return { name, from: wall(a), to: wall(Math.max(a, b)), attributes: {}, happened: [], parts: [], ...failed(failure) };
  };
  return {
    ...span('job', from, last.at, failures[reason]),
    attributes: attributesOf(fact, said),
    happened: said.flatMap((one) => happeningOf(one, wall)),
    parts: [
      span('wait', from, createdAt),
      ...startsOf(life, span),
      ...pickOf(life, span),
      ...runOf(life, span),
      span('clean-up', endedAt, last.at),
    ],
  };
}

/** What the parts of a tree are drawn from. */
type Life = {
  readonly said: readonly Said[];
  /** The hand-over of its job; undefined when it had none, or under an earlier process. */
  readonly assign: Fact | undefined;
  readonly createdAt: number;
  readonly endedAt: number;
  readonly ranMs: number | undefined;
  readonly reason: string;
};

function lifeOf(said: readonly Said[], { at, fact }: Said): Life {
  return {
    said,
    assign: said.findLast((one) => one.fact.event === 'assign')?.fact,
    createdAt: at - (msOf(fact, 'tookMs') ?? 0),
    endedAt: at - (msOf(fact, 'cleanMs') ?? 0),
    ranMs: msOf(fact, 'ranMs'),
    reason: textOf(fact, 'reason') ?? '',
  };
}

type Draw = (name: string, start: number, end: number, failure?: string) => Tree;

function failed(failure: string | undefined): Pick<Tree, 'failure'> {
  return failure === undefined ? {} : { failure };
}

/** Each start that failed, then the phases of the one that did not; they lie one behind the other and end with the hand-over. */
function startsOf({ said, assign, createdAt, endedAt, reason }: Life, span: Draw): readonly Tree[] {
  const launches = said.filter(({ fact }) => fact.event === 'launch');
  const failedStarts = launches.flatMap((launch, index): Tree[] => {
    const until = launches[index + 1]?.at ?? Infinity;
    const retry = said.find(({ at, fact }) => isRetryOf(fact, 'launch') && at >= launch.at && at <= until);
    if (retry !== undefined) return [span('start', launch.at, retry.at, errorOf(retry.fact).message)];
    return assign === undefined && index === launches.length - 1 && reason in failures
      ? [span('start', launch.at, endedAt, failures[reason])]
      : [];
  });
  if (assign === undefined) return failedStarts;
  const took = (name: string): number => msOf(assign, name) ?? 0;
  const assignedAt = createdAt + took('afterMs');
  const registeredAt = assignedAt - took('assignedMs');
  const startedAt = registeredAt - took('registeredMs');
  const recordedMs = msOf(assign, 'recordedMs');
  return [
    ...failedStarts,
    ...(recordedMs === undefined ? [] : [span('record', createdAt, createdAt + recordedMs)]),
    span('start', startedAt - took('startedMs'), startedAt),
    span('register', startedAt, registeredAt),
    span('assign', registeredAt, assignedAt),
  ];
}

/** From the hand-over until the job was seen to run, or for as long as it was waited for in vain. */
function pickOf({ said, assign, createdAt, endedAt, ranMs, reason }: Life, span: Draw): readonly Tree[] {
  if (assign === undefined) return [];
  const picked = said.findLast((one) => one.fact.event === 'picked');
  const from = createdAt + (msOf(assign, 'afterMs') ?? 0);
  if (picked !== undefined) return [span('pick', from, createdAt + (msOf(picked.fact, 'afterMs') ?? 0))];
  return ranMs === undefined ? [span('pick', from, endedAt, failures[reason])] : [];
}

function runOf({ endedAt, ranMs, reason }: Life, span: Draw): readonly Tree[] {
  return ranMs === undefined ? [] : [span('run', endedAt - ranMs, endedAt, ofTheRun.has(reason) ? failures[reason] : undefined)];
}

function isRetryOf(fact: Fact, action: string): boolean {
  return fact.event === 'retry' && textOf(fact, 'action') === action;
}

function errorOf({ facts }: Fact): { readonly code: string; readonly message: string } {
  const error = facts['error'];
  const part = (name: string): string => {
    const value: unknown = typeof error === 'object' && error !== null ? Reflect.get(error, name) : undefined;
    return typeof value === 'string' ? value : '';
  };
  return { code: part('code'), message: part('message') };
}

function happeningOf({ at, fact }: Said, wall: (at: number) => number): Tree['happened'] {
  if (fact.event === 'retry') {
    const { code, message } = errorOf(fact);
    const attributes = { 'exception.type': code, 'exception.message': message, 'runner.action': textOf(fact, 'action') ?? '' };
    return [{ name: 'exception', at: wall(at), attributes }];
  }
  if (fact.event !== 'stop' && fact.event !== 'report') return [];
  return [{ name: fact.event, at: wall(at), attributes: { 'runner.reason': textOf(fact, 'reason') ?? '' } }];
}

/** What is named after OpenTelemetry's conventions, and what is ours. */
function attributesOf(fact: Fact, said: readonly Said[]): Attributes {
  const { facts } = fact;
  const exit = facts['exit'];
  const used = (name: string): unknown => (typeof exit === 'object' && exit !== null ? Reflect.get(exit, name) : undefined);
  const slot = said.find((one) => one.fact.event === 'launch')?.fact.facts['slot'];
  const all: Readonly<Record<string, unknown>> = {
    'cicd.pipeline.task.name': facts['name'],
    'cicd.pipeline.task.run.id': typeof facts['job'] === 'number' ? String(facts['job']) : undefined,
    'cicd.worker.name': facts['runner'],
    'forgejo.forge': facts['forge'],
    'forgejo.job.id': facts['job'],
    'forgejo.job.handle': facts['handle'],
    'forgejo.repository.id': facts['repository'],
    'runner.profile': facts['profile'],
    'runner.slot': slot,
    'runner.end.reason': facts['reason'],
    'runner.cpu_ms': used('cpuMs'),
    'runner.memory_peak_bytes': used('memoryPeakBytes'),
    'runner.oom_kills': used('oomKills'),
    // Begun under an earlier process, whose facts are not known here.
    ...(said.some((one) => one.fact.event === 'assign') || msOf(fact, 'ranMs') === undefined ? {} : { 'runner.resumed': true }),
  };
  return Object.fromEntries(Object.entries(all).filter((entry): entry is [string, string | number | boolean] => isPlain(entry[1])));
}

function isPlain(value: unknown): value is string | number | boolean {
  return typeof value === 'string' || typeof value === 'boolean' || (typeof value === 'number' && Number.isFinite(value));
}
