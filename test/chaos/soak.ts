// Promises the soak: so many real machines one after another, four at a time and without faults, and how much of everything there is after
// each tenth of them, at rest: memory and descriptors of the controller, disk, rules, routes, and what systemd itself keeps. All of it flat.

import { readdir, readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { sh } from '../support/service.ts';
import { judge, labels, queueJob, repositories, type ChaosJob, type Verdict } from './jobs.ts';
import { atRest, leftOverOf, openStage, touchedOf, type ChaosStage } from './stage.ts';

export type Sample = { readonly cycles: number; readonly values: Readonly<Record<string, number>> };

export type SoakReport = Verdict & {
  readonly samples: readonly Sample[];
  readonly seconds: number;
  /** The controller's memory while jobs run, as a sentence. */
  readonly atWork: string;
  /** What grew by more than its slack, as sentences. */
  readonly grown: readonly string[];
  readonly leftOver: readonly string[];
};

const atOnce = 4;
/** How many jobs wait at once, so that a machine's place is taken as soon as it is free. */
const openJobs = 10;

type Measure = {
  /** By how much the last sample may be above the first and still be called flat; without it, it is told only. */
  readonly slack?: number;
  readonly read: (stage: ChaosStage, pid: number) => Promise<number>;
};

const counted = async (command: string): Promise<number> => Number(await sh('bash', '-c', command));
const statusOf = async (pid: number): Promise<number> =>
  Number(/^VmRSS:\s+(\d+)/m.exec(await readFile(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;

const measures: Readonly<Record<string, Measure>> = {
  'RSS of the controller, MB': { read: async (_, pid) => statusOf(pid) },
  'its descriptors': { slack: 3, read: async (_, pid) => (await readdir(`/proc/${pid}/fd`)).length },
  'its children': { slack: 0, read: async (_, pid) => counted(`pgrep -c -P ${pid} || true`) },
  'used disk of its state, KB': { slack: 256, read: async ({ service }) => counted(`df --output=used ${service.stateDir} | tail -n 1`) },
  'used inodes of its state': { slack: 4, read: async ({ service }) => counted(`df --output=iused ${service.stateDir} | tail -n 1`) },
  'lines of all nft rules': { slack: 0, read: async () => counted('nft list ruleset | wc -l') },
  routes: { slack: 0, read: async () => counted('ip route show table all | wc -l') },
  'units of systemd': { slack: 3, read: async () => counted('systemctl list-units --all --plain --no-legend | wc -l') },
  'files below /run/systemd': { slack: 6, read: async () => counted('find /run/systemd | wc -l') },
  'control groups': { slack: 4, read: async () => counted('find /sys/fs/cgroup -type d | wc -l') },
  mounts: { slack: 0, read: async () => counted('wc -l </proc/self/mounts') },
  'loop devices in use': { slack: 0, read: async () => counted('losetup -l -n | grep -c frc- || true') },
  'RSS of PID 1, MB': { slack: 4, read: async () => statusOf(1) },
  'RSS of machined, MB': {
    slack: 4,
    read: async () => statusOf(await counted('systemctl show -p MainPID --value systemd-machined')).catch(() => 0),
  },
};
/** Grows by what is logged, and has a limit of its own: told, not judged. */
const journalKey = 'journal, MB';

/** One look at the controller's memory for each job that is queued. */
type Look = { readonly cycles: number; readonly rss: number };

/**
 * The controller's memory is judged by medians at work, of the second tenth against the last: a single look meets the garbage of that moment.
 * In between it may learn so many MB: what it remembers of ended jobs and keeps secret has its bounds, but not reached yet.
 */
const rssSlack = 8;

export async function runSoak(cycles: number, say: (line: string) => void): Promise<SoakReport> {
  const begunAt = Date.now();
  const stage = await openStage({ random: () => 1, config: { maxConcurrent: atOnce, maxPerRepository: atOnce, pollInterval: '500ms' } });
  const jobs: ChaosJob[] = [];
  const looks: Look[] = [];
  try {
    const strangers = await stage.foreign.seen();
    await stage.service.start();
    const samples: Sample[] = [];
    const tenth = Math.max(1, Math.floor(cycles / 10));
    while (jobs.length < cycles) {
      await bring(stage, jobs, looks, Math.min(cycles, jobs.length + tenth));
      samples.push(await sampleOf(stage, jobs.length));
      say(`${new Date().toISOString()} ${JSON.stringify(samples.at(-1))}`);
    }
    const stillOpen = await atRest(stage, jobs);
    const verdict = await judge(stage.forgejo.control, jobs);
    const atWork = atWorkOf(looks, cycles);
    const leftOver = [...stillOpen, ...(await leftOverOf(stage)), ...(await touchedOf(stage, strangers))];
    return {
      ...verdict,
      samples,
      seconds: (Date.now() - begunAt) / 1000,
      grown: [...grownOf(samples), ...(atWork.flat ? [] : [atWork.told])],
      atWork: atWork.told,
      leftOver,
    };
  } finally {
    await stage.close();
  }
}

async function bring(stage: ChaosStage, jobs: ChaosJob[], looks: Look[], until: number): Promise<void> {
  const { control } = stage.forgejo;
  const pid = await stage.service.pid();
  let doneBefore = jobs.length;
  while (jobs.length < until) {
    const index = jobs.length;
    for (; doneBefore < jobs.length; doneBefore += 1) {
      const job = jobs[doneBefore];
      if (job === undefined || !['success', 'failure'].includes((await control.job(job.jobId)).status)) break;
    }
    if (jobs.length - doneBefore >= openJobs) {
      await sleep(20);
      continue;
    }
    const repository = repositories[index % repositories.length] ?? repositories[0];
    const label = labels[index % labels.length] ?? labels[0];
    const output = index % 5 === 0 ? `value-${index}` : undefined;
    const plan = { index, repository, label, seconds: 0, lines: 2, fails: index % 10 === 3, output, group: undefined };
    jobs.push(await queueJob(control, plan));
    looks.push({ cycles: jobs.length, rss: await statusOf(pid) });
  }
  const stillOpen = await atRest(stage, jobs.slice(-2 * openJobs));
  if (stillOpen.length > 0) throw new Error(stillOpen.join('\n'));
}

/** After a moment of rest, for everything that follows an end by itself. The median of a few looks at what moves. */
async function sampleOf(stage: ChaosStage, cycles: number): Promise<Sample> {
  await sleep(1_000);
  const pid = await stage.service.pid();
  const values: Record<string, number> = {};
  for (const [name, { read }] of Object.entries(measures)) {
    const looks: number[] = [];
    for (let look = 0; look < 5; look += 1) looks.push(await read(stage, pid));
    values[name] = looks.toSorted((a, b) => a - b)[2] ?? 0;
  }
  values[journalKey] = await counted("du -sm /var/log/journal /run/log/journal 2>/dev/null | awk '{ sum += $1 } END { print sum + 0 }'");
  return { cycles, values };
}

function grownOf(samples: readonly Sample[]): readonly string[] {
  const [first, last] = [samples[0], samples.at(-1)];
  if (first === undefined || last === undefined) return ['nothing was measured'];
  return Object.entries(measures).flatMap(([name, { slack }]) => {
    const [before = 0, after = 0] = [first.values[name], last.values[name]];
    return after - before <= (slack ?? Infinity)
      ? []
      : [`${name}: ${before} after ${first.cycles} cycles, ${after} after ${last.cycles}; ${slack} more would be flat`];
  });
}

function atWorkOf(looks: readonly Look[], cycles: number): { readonly told: string; readonly flat: boolean } {
  const between = (from: number, to: number): number => {
    const found = looks.filter((look) => look.cycles > from * cycles && look.cycles <= to * cycles).map(({ rss }) => rss);
    return found.toSorted((a, b) => a - b)[Math.floor(found.length / 2)] ?? Number.NaN;
  };
  const [before, after] = [between(0.1, 0.2), between(0.9, 1)];
  const told = `RSS at work, medians: ${before.toFixed(1)} MB in the second tenth, ${after.toFixed(1)} MB in the last; ${rssSlack} more is flat`;
  return { told, flat: after - before <= rssSlack };
}

/** A line for each measure, at the first, the middle and the last sample. */
export function tableOf(samples: readonly Sample[]): string {
  const shown = [samples[0], samples[Math.floor((samples.length - 1) / 2)], samples.at(-1)].filter((sample) => sample !== undefined);
  return [
    row(
      'after cycles',
      shown.map(({ cycles }) => String(cycles)),
    ),
    ...Object.keys(shown[0]?.values ?? {}).map((name) =>
      row(
        name,
        shown.map(({ values }) => String(Math.round((values[name] ?? 0) * 10) / 10)),
      ),
    ),
  ].join('\n');
}

const row = (name: string, cells: readonly string[]): string => `${name.padEnd(28)}${cells.map((cell) => cell.padStart(10)).join('')}`;
