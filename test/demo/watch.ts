// Promises one picture of every job of the demo: its state as Forgejo tells it, its machine and why it waits as the service's /status tells
// it, and each change of that as an event.

import type { Status } from '../../src/http/wire.ts';
import type { DemoForge, ForgeJob } from './forge.ts';
import type { Row } from './screen.ts';
import { expectations, type PlannedRun } from './workflows.ts';

export type StartedRun = PlannedRun & { readonly id: number };

export type Sight = Row & {
  readonly job: ForgeJob;
  readonly run: number;
  /** Why the service does not start it now; empty when it does. */
  readonly sentence: string;
  readonly reason: string;
};

export type Watch = {
  look(runs: readonly StartedRun[]): Promise<readonly Sight[]>;
};

export const isOver = (state: string): boolean => ['success', 'failure', 'cancelled', 'skipped'].includes(state);

type Memory = { state: string; machine: string; reason: string; startedAt?: number; endedAt?: number };

export type WatchOptions = {
  readonly forge: DemoForge;
  readonly status: () => Promise<Status>;
  readonly event: (text: string) => void;
};

export function createWatch({ forge, status, event }: WatchOptions): Watch {
  const memories = new Map<string, Memory>();
  const begun = Date.now();
  const say = (name: string, text: string): void =>
    event(`${((Date.now() - begun) / 1000).toFixed(1).padStart(6)} s  ${name.padEnd(14)}  ${text}`);

  function changed(name: string, job: ForgeJob, now: Status): Sight['sentence'] {
    const memory = memories.get(name) ?? { state: '', machine: '', reason: '' };
    memories.set(name, memory);
    const runner = now.runners.find(({ job_id: id }) => id === job.id);
    const machine = runner?.machine ?? now.recent.findLast(({ job_id: id }) => id === job.id)?.id ?? memory.machine;
    if (machine !== memory.machine) say(name, `gets machine ${machine}${runner === undefined ? '' : ` (profile ${runner.profile})`}`);
    memory.machine = machine;
    if (job.status === 'running') memory.startedAt ??= Date.now();
    if (isOver(job.status)) memory.endedAt ??= Date.now();
    if (job.status !== memory.state) say(name, `is ${job.status}${isOver(job.status) ? spent(memory, ' after ', ' s') : ''}`);
    memory.state = job.status;
    const denial = isOver(job.status) ? undefined : now.waiting_jobs.find(({ job_id: id }) => id === job.id);
    const reason = denial?.reason ?? '';
    if (denial !== undefined && reason !== memory.reason) say(name, `waits: ${denial.sentence}`);
    memory.reason = reason;
    return denial?.sentence ?? '';
  }

  return {
    async look(runs) {
      const [now, ...lists] = await Promise.all([status(), ...runs.map(({ id }) => forge.jobs(id))]);
      return runs.flatMap((run, index) =>
        (lists[index] ?? [])
          .toSorted((a, b) => a.id - b.id)
          .map((job) => {
            const name = run.rowOf(job.name);
            const sentence = changed(name, job, now);
            const { machine = '', reason = '', ...times } = memories.get(name) ?? {};
            const note = sentence === '' ? (expectations.find(({ row }) => row === name)?.shows ?? '') : sentence;
            return { name, state: job.status, machine, seconds: spent(times), note, job, run: run.id, sentence, reason };
          }),
      );
    },
  };
}

function spent({ startedAt, endedAt = Date.now() }: Pick<Memory, 'startedAt' | 'endedAt'>, before = '', after = ''): string {
  return startedAt === undefined ? '' : `${before}${((endedAt - startedAt) / 1000).toFixed(1)}${after}`;
}
