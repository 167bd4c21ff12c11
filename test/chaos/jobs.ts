// Promises the jobs of a chaos run: what each does and how it must end, drawn from a seed, and the judgement at the end. Every start of a
// job leaves a line with its machine in a folder that all machines see; a machine's id is one attempt's alone, so two lines tell a second run.

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Control, JobView, QueuedJob } from '../support/forgejo/control.ts';
import type { Chance } from '../simulation/schedule.ts';

export const repositories = ['root1/one', 'root1/two', 'root1/three'] as const;
export const labels = ['small', 'disk', 'plain'] as const;

type Plan = {
  readonly index: number;
  readonly repository: string;
  readonly label: string;
  readonly seconds: number;
  readonly lines: number;
  readonly fails: boolean;
  readonly output: string | undefined;
  readonly group: string | undefined;
};

export type ChaosJob = QueuedJob & {
  readonly plan: Plan;
  /** The handle of every attempt. */
  readonly handles: string[];
  cancelled: boolean;
  /** Faults of ours that may end it, in order. */
  readonly struck: string[];
};

/** Where jobs leave the proofs of their starts. */
export const proofs = '/srv/frc-chaos/proofs';

export function planOf(index: number, chance: Chance): Plan {
  return {
    index,
    repository: chance.pick(repositories),
    label: chance.pick(labels),
    seconds: chance.hit(0.15) ? chance.between(30, 60) / 10 : chance.between(1, 25) / 10,
    lines: chance.hit(0.1) ? 200 : chance.between(1, 20),
    fails: chance.hit(0.2),
    output: chance.hit(0.4) ? `value-${index}` : undefined,
    group: chance.hit(0.05) ? 'deploy' : undefined,
  };
}

function workflowOf({ index, label, seconds, lines, fails, output, group }: Plan): string {
  const script = [
    `echo "start $(cat /etc/hostname)" >>/proofs/${index}`,
    `for i in $(seq ${lines}); do echo "@line $i"; done`,
    `sleep ${seconds}`,
    ...(output === undefined ? [] : [`echo "value=${output}" >>"$GITHUB_OUTPUT"`]),
    'echo @through',
    ...(fails ? ['exit 3'] : []),
  ];
  return JSON.stringify({
    name: `chaos ${index}`,
    on: ['workflow_dispatch'],
    ...(group === undefined ? {} : { concurrency: { group } }),
    jobs: {
      job: {
        name: `job ${index}`,
        'runs-on': [label],
        ...(output === undefined ? {} : { outputs: { value: '${{ steps.work.outputs.value }}' } }),
        steps: [{ id: 'work', run: script.join('\n') }],
      },
    },
  });
}

export async function queueJob(control: Control, plan: Plan): Promise<ChaosJob> {
  const [queued] = await control.queueWorkflow({ repository: plan.repository, workflow: workflowOf(plan) });
  if (queued === undefined) throw new Error(`job ${plan.index} did not come into being`);
  return { ...queued, plan, handles: [queued.handle], cancelled: false, struck: [] };
}

const endings: ReadonlySet<string> = new Set(['success', 'failure', 'cancelled', 'skipped']);
export const isDone = ({ status }: Pick<JobView, 'status'>): boolean => endings.has(status);

export type Verdict = { readonly lost: readonly string[]; readonly doubled: readonly string[]; readonly wronglyStopped: readonly string[] };

export async function judge(control: Control, jobs: readonly ChaosJob[]): Promise<Verdict> {
  const verdict = { lost: [] as string[], doubled: [] as string[], wronglyStopped: [] as string[] };
  for (const job of jobs) {
    const view = await control.job(job.jobId);
    const { index } = job.plan;
    const told = `job ${index} (id ${job.jobId}, ${job.plan.label}${job.struck.length === 0 ? '' : `, struck by ${job.struck.join(', ')}`})`;
    if (!isDone(view)) verdict.lost.push(`${told} is still ${view.status}; its log ends with ${JSON.stringify(view.log.at(-1) ?? '')}`);
    const machines = await startsOf(index);
    const twice = machines.filter((machine, at) => machines.indexOf(machine) !== at);
    if (twice.length > 0 || machines.length > job.handles.length) verdict.doubled.push(`${told} started in ${machines.join(', ')}`);
    const wrong = isDone(view) && job.struck.length === 0 ? wrongOf(job, view) : undefined;
    if (wrong !== undefined) verdict.wronglyStopped.push(`${told} ${wrong}; its log ends with ${JSON.stringify(view.log.slice(-3))}`);
  }
  return verdict;
}

/** What a job that nothing of ours has struck lacks. */
function wrongOf({ plan, cancelled }: ChaosJob, view: JobView): string | undefined {
  if (cancelled && view.status === 'cancelled') return undefined;
  const expected = plan.fails ? 'failure' : 'success';
  if (view.status !== expected) return `is ${view.status} instead of ${expected}`;
  const count = view.log.filter((line) => line.includes('@line ')).length;
  if (count !== plan.lines || !view.log.some((line) => line.includes('@through'))) return `has ${count} of ${plan.lines} lines in its log`;
  const value = view.outputs['value'];
  return plan.fails || value === plan.output ? undefined : `has the output ${String(value)} instead of ${String(plan.output)}`;
}

/** The machines in which a job was started. */
async function startsOf(index: number): Promise<readonly string[]> {
  const text = await readFile(join(proofs, String(index)), 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return '';
    throw error;
  });
  return text.split('\n').flatMap((line) => (line.startsWith('start ') ? [line.slice(6)] : []));
}
