// Promises every fault of a chaos run by name: what it does to the host or the forge, and whose jobs it may end. Each gives back what it took
// before it resolves. What it struck is said before it strikes.

import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { runnerIdOf } from '../../src/core/naming.ts';
import type { Chance } from '../simulation/schedule.ts';
import { proxyFaults } from '../support/fault-proxy.ts';
import { sh } from '../support/service.ts';
import { isDone, type ChaosJob } from './jobs.ts';
import { disk, handsOf, type ChaosStage } from './stage.ts';

export type FaultInput = {
  readonly stage: ChaosStage;
  readonly chance: Chance;
  readonly jobs: readonly ChaosJob[];
  readonly say: (line: string) => void;
};

/** Resolves with true when it struck; false when there was nothing to strike at this moment. */
type Strike = (input: FaultInput) => Promise<boolean>;

/** Faults of the forge: requests of the controller and of the runners inside alike. */
const storms = Object.fromEntries(
  proxyFaults.map((kind): [string, Strike] => [
    `forge-${kind}`,
    async ({ stage, chance }) => {
      stage.proxy.storm([kind], 0.3 + chance.next() * 0.4);
      await sleep(chance.between(500, 2_500));
      stage.proxy.calm();
      return true;
    },
  ]),
);

export const faults: Readonly<Record<string, Strike>> = {
  ...storms,
  'forge-mixed': async ({ stage, chance }) => {
    stage.proxy.storm(proxyFaults, 0.5);
    await sleep(chance.between(1_000, 3_000));
    stage.proxy.calm();
    return true;
  },
  'forge-restart': async ({ stage, chance }) => {
    await stage.proxy.down();
    // More than a machine would take to give up on its result, were it not patient.
    await sleep(chance.between(300, 6_000));
    await stage.proxy.up();
    return true;
  },
  'kill-controller': async ({ stage }) => signalController(stage, 'SIGKILL'),
  'freeze-controller': async ({ stage, chance }) => {
    if (!(await signalController(stage, 'SIGSTOP'))) return false;
    await sleep(chance.between(500, 4_000));
    return signalController(stage, 'SIGCONT');
  },
  'kill-nspawn': async (input) => killInside(input, 'kill-nspawn', 'systemd-nspawn'),
  'kill-runner': async (input) => killInside(input, 'kill-runner', 'one-job'),
  'kill-hands': async ({ stage }) => done('systemctl', 'kill', '--signal=KILL', await handsOf(stage.service)),
  'kill-machined': async () => killNamed('systemd-machined'),
  'restart-dbus': async ({ chance }) => {
    if (chance.hit(0.5)) return killNamed('dbus-daemon');
    await sh('systemctl', 'restart', 'dbus.service');
    return true;
  },
  'delete-namespace': async (input) =>
    strikeMachine(input, 'delete-namespace', async (id) =>
      done('ip', 'netns', 'del', `forgejo-runner-${input.stage.service.controllerId}-${id}`),
    ),
  'delete-veth': async (input) => strikeMachine(input, 'delete-veth', async (id) => done('ip', 'link', 'del', `fr-${id}`)),
  'flush-nft': async ({ stage }) => done('nft', 'delete', 'table', 'inet', stage.table),
  'full-disk': async (input) => {
    // Whatever runs now may fail to write.
    const { control } = input.stage.forgejo;
    const mark = async () => {
      for (const job of input.jobs) if ((await control.job(job.jobId)).status === 'running') strike(job, 'full-disk');
    };
    await mark();
    await done('dd', 'if=/dev/zero', `of=${disk}/full`, 'bs=1M', 'status=none');
    for (const end = Date.now() + input.chance.between(500, 2_500); Date.now() < end; await sleep(20)) await mark();
    await mark();
    await rm(`${disk}/full`, { force: true });
    return true;
  },
  'token-wrong': async (input) => withToken(input, async (file) => writeFile(file, `${'0'.repeat(40)}\n`)),
  'token-empty': async (input) => withToken(input, async (file) => writeFile(file, '')),
  'token-gone': async (input) => withToken(input, async (file) => rm(file)),
  'cancel-job': async ({ stage, chance, jobs }) => {
    const { control } = stage.forgejo;
    const views = await Promise.all(jobs.map(async (job) => ({ job, view: await control.job(job.jobId) })));
    const open = views.filter(({ view }) => !isDone(view));
    if (open.length === 0) return false;
    const { job } = chance.pick(open);
    job.cancelled = true;
    await control.cancel(job.runId);
    return true;
  },
  'rerun-job': async ({ stage, chance, jobs }) => {
    const { control } = stage.forgejo;
    const views = await Promise.all(jobs.map(async (job) => ({ job, view: await control.job(job.jobId) })));
    const ended = views.filter(({ view }) => isDone(view));
    if (ended.length === 0) return false;
    const { job } = chance.pick(ended);
    job.cancelled = false;
    job.struck.length = 0;
    const [queued] = await control.rerun({ jobId: job.jobId });
    if (queued !== undefined) job.handles.push(queued.handle);
    return true;
  },
};

async function signalController({ service }: ChaosStage, signal: NodeJS.Signals): Promise<boolean> {
  const pid = await service.pid();
  if (!(pid > 0)) return false;
  return send(pid, signal);
}

function send(pid: number, signal: NodeJS.Signals): boolean {
  try {
    process.kill(pid, signal);
    return true;
  } catch (error) {
    // It was quicker.
    if (error instanceof Error && 'code' in error && error.code === 'ESRCH') return false;
    throw error;
  }
}

/** True when the command succeeded: what it was to strike may have gone by itself. */
async function done(command: string, ...args: readonly string[]): Promise<boolean> {
  return sh(command, ...args).then(
    () => true,
    () => false,
  );
}

async function strikeMachine(input: FaultInput, name: string, hit: (id: string) => Promise<boolean>): Promise<boolean> {
  const ids = await readdir(join(input.stage.service.stateDir, 'machines')).catch(() => []);
  if (ids.length === 0) return false;
  const id = input.chance.pick(ids.toSorted((a, b) => a.localeCompare(b)));
  strikeJobOf(input, id, name);
  return hit(id);
}

/** Kills one process that has that word among its arguments, of any machine of ours. */
async function killInside(input: FaultInput, name: string, word: string): Promise<boolean> {
  const unit = new RegExp(`forgejo-runner-${input.stage.service.controllerId}-(j[0-9a-z]{10})\\.service`);
  const found = new Map<number, string>();
  await pidsWhere(async (pid) => {
    const id = unit.exec(await readFile(`/proc/${pid}/cgroup`, 'utf8'))?.[1];
    if (id !== undefined && (await readFile(`/proc/${pid}/cmdline`, 'utf8')).includes(word)) found.set(pid, id);
    return false;
  });
  if (found.size === 0) return false;
  const [pid, id] = input.chance.pick([...found]);
  strikeJobOf(input, id, name);
  return send(pid, 'SIGKILL');
}

function strikeJobOf({ stage, jobs, say }: FaultInput, id: string, name: string): void {
  const { controllerId } = stage.service;
  const isIts = (job: ChaosJob) => (handle: string, at: number) =>
    runnerIdOf(controllerId, { forge: 'main', id: job.jobId, handle, attempt: at + 1 }) === id;
  const job = jobs.find((each) => each.handles.some(isIts(each)));
  if (job !== undefined) strike(job, name);
  say(`${name}: ${id}, job ${job?.plan.index ?? 'unknown'}`);
}

function strike(job: ChaosJob, name: string): void {
  if (job.struck.at(-1) !== name) job.struck.push(name);
}

async function killNamed(name: string): Promise<boolean> {
  const pids = await pidsWhere(
    async (pid) => (await readFile(`/proc/${pid}/cmdline`, 'utf8')).split('\0')[0]?.endsWith(`/${name}`) === true,
  );
  return pids.map((pid) => send(pid, 'SIGKILL')).some(Boolean);
}

async function pidsWhere(holds: (pid: number) => Promise<boolean>): Promise<readonly number[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number);
  // A process that has just ended is none.
  const found = await Promise.all(pids.map(async (pid) => ((await holds(pid).catch(() => false)) ? pid : 0)));
  return found.filter((pid) => pid > 0);
}

async function withToken({ stage, chance }: FaultInput, spoil: (file: string) => Promise<void>): Promise<boolean> {
  const { tokenFile } = stage.service;
  await spoil(tokenFile);
  await sleep(chance.between(300, 2_000));
  await writeFile(tokenFile, `${stage.forgejo.token}\n`, { mode: 0o600 });
  return true;
}
