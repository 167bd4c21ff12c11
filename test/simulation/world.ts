// Promises the truth of a simulated world: a forge with its jobs and registrations, a host with its machines, a disk with its records. It
// knows what a job may suffer, and counts every time something happens that must not.

import type { Credentials, Job, Machine, Registration, Runner } from '../../src/core/model.ts';
import type { ReportOutcome } from '../../src/forge/forge.ts';
import type { Assignment, MachineSpec } from '../../src/driver/driver.ts';
import type { Chance, Schedule } from './schedule.ts';

export type SimJob = {
  readonly job: Job;
  readonly lengthMs: number;
  readonly group: string | undefined;
  state: 'waiting' | 'running' | 'success' | 'failure' | 'cancelled';
  registration: number | undefined;
  pickedAt: number;
  /** The controller asked for its end before it was due. */
  wronged: boolean;
};

export type SimMachine = {
  readonly spec: MachineSpec;
  readonly startedAt: number;
  readonly boot: number;
  ready: boolean;
  assignment: Assignment | undefined;
  handle: string | undefined;
  exit: Machine['exit'];
};

export type SimRegistration = Registration & { readonly token: string; active: boolean; task: string | undefined };

export type Faults = { readonly doubled: string[]; readonly wronglyStopped: string[]; readonly broken: string[] };

export type SimWorld = {
  readonly jobs: Map<string, SimJob>;
  readonly registrations: Map<number, SimRegistration>;
  readonly machines: Map<string, SimMachine>;
  readonly records: Map<string, Runner>;
  readonly faults: Faults;
  readonly jobClockMs: number;
  queue(wish: {
    readonly repositoryId: number;
    readonly lengthMs: number;
    readonly group?: string;
    readonly labels: readonly string[];
  }): SimJob;
  rerun(job: SimJob): void;
  cancel(job: SimJob): void;
  register(name: string, description: string): Credentials;
  /** The controller ends a running task in the place of its runner. */
  report(registration: number, taskId: number): ReportOutcome;
  boot(spec: MachineSpec): void;
  assign(id: string, assignment: Assignment): void;
  /** SIGTERM to the runner, then its end. */
  stop(id: string): void;
  remove(id: string): void;
  /** Something else than us ends it. */
  strike(id: string): void;
  reboot(): void;
  wake: () => void;
  /** What the forge listed last, for stale answers. */
  lastList: readonly Job[] | undefined;
};

const zombieMs = 600_000;

export const foreignMachine = 'webserver';

export function createWorld(
  schedule: Schedule,
  chance: Chance,
  options: { readonly jobClockMs: number; readonly maxConcurrent: number },
): SimWorld {
  const jobs = new Map<string, SimJob>();
  const registrations = new Map<number, SimRegistration>();
  const machines = new Map<string, SimMachine>();
  const records = new Map<string, Runner>();
  const faults: Faults = { doubled: [], wronglyStopped: [], broken: [] };
  let jobIds = 0;
  let registrationIds = 0;

  const world: SimWorld = {
    jobs,
    registrations,
    machines,
    records,
    faults,
    jobClockMs: options.jobClockMs,
    wake: () => {},
    lastList: undefined,
    queue({ repositoryId, lengthMs, group, labels }) {
      jobIds += 1;
      const job: Job = {
        forge: 'main',
        id: jobIds,
        handle: `h${jobIds}.1`,
        attempt: 1,
        repositoryId,
        ownerId: 1,
        name: `job ${jobIds}`,
        labels,
        taskId: 0,
        state: 'waiting',
      };
      const entry: SimJob = { job, lengthMs, group, state: 'waiting', registration: undefined, pickedAt: 0, wronged: false };
      jobs.set(job.handle, entry);
      return entry;
    },
    rerun(entry) {
      const attempt = entry.job.attempt + 1;
      const job = { ...entry.job, attempt, handle: `h${entry.job.id}.${attempt}` };
      jobs.set(job.handle, { ...entry, job, state: 'waiting', registration: undefined, pickedAt: 0, wronged: false });
    },
    cancel(entry) {
      if (entry.state !== 'waiting' && entry.state !== 'running') return;
      entry.state = 'cancelled';
      if (entry.registration !== undefined) registrations.delete(entry.registration);
    },
    register(name, description) {
      registrationIds += 1;
      const id = registrationIds;
      const token = `token-${id}`;
      registrations.set(id, {
        id,
        uuid: `uuid-${id}`,
        name,
        description,
        ephemeral: true,
        status: 'idle',
        token,
        active: false,
        task: undefined,
      });
      return { id, uuid: `uuid-${id}`, token };
    },
    report(id, taskId) {
      const registration = registrations.get(id);
      if (registration === undefined) return 'over';
      const job = [...jobs.values()].find((each) => each.job.id === taskId && each.state === 'running');
      if (job === undefined || job.registration !== id) return 'foreign';
      const machine = [...machines.values()].find(({ handle }) => handle === job.job.handle);
      if (machine !== undefined && machine.exit === undefined)
        faults.broken.push(`I9 job ${job.job.handle} was reported as failed while ${machine.spec.id} works`);
      conclude(job, 'failure');
      return 'reported';
    },
    boot(spec) {
      if (machines.has(spec.id)) return;
      for (const other of machines.values()) {
        if (other.spec.slot === spec.slot) faults.broken.push(`slot ${spec.slot} was given to ${spec.id} while ${other.spec.id} held it`);
      }
      const machine: SimMachine = {
        spec,
        startedAt: schedule.now(),
        boot: schedule.now(),
        ready: false,
        assignment: undefined,
        handle: undefined,
        exit: undefined,
      };
      machines.set(spec.id, machine);
      const ours = [...machines.keys()].filter((id) => id !== foreignMachine).length;
      if (ours > options.maxConcurrent) faults.broken.push(`I4 ${ours} machines at once, ${options.maxConcurrent} allowed`);
      schedule.after(chance.hit(0.02) ? 90_000 : chance.between(20, 400), () => {
        machine.ready = true;
      });
      schedule.after(spec.runtimeMaxMs, () => end(machine, { result: 'timeout', code: 'killed', status: 'TERM' }));
    },
    assign(id, assignment) {
      const machine = machines.get(id);
      if (machine === undefined) return;
      machine.assignment = assignment;
      schedule.after(chance.between(20, 60), () => fetchLoop(machine));
    },
    stop(id) {
      const machine = machines.get(id);
      if (machine === undefined || machine.exit !== undefined) return;
      blame(machine, 'stopped');
      schedule.after(chance.between(10, 300), () => {
        const job = machine.handle === undefined ? undefined : jobs.get(machine.handle);
        if (machine.exit === undefined && job?.state === 'running') conclude(job, 'failure');
        end(machine, { result: 'success', code: 'exited', status: '0' });
      });
    },
    remove(id) {
      const machine = machines.get(id);
      if (id === foreignMachine) faults.broken.push('I6 a machine of somebody else was removed');
      if (machine === undefined) return;
      if (machine.exit === undefined) blame(machine, 'removed');
      end(machine, { result: 'signal', code: 'killed', status: 'KILL' });
      machines.delete(id);
    },
    strike(id) {
      const machine = machines.get(id);
      if (machine !== undefined) end(machine, { result: 'signal', code: 'killed', status: 'KILL' });
    },
    reboot() {
      for (const machine of machines.values()) {
        if (machine.spec.id !== foreignMachine) end(machine, { result: 'lost', code: '', status: '' });
      }
    },
  };

  function end(machine: SimMachine, exit: NonNullable<Machine['exit']>): void {
    if (machine.exit !== undefined) return;
    machine.exit = exit;
    for (const registration of registrations.values()) if (registration.task === machine.handle) registration.active = false;
    world.wake();
    forgetZombie(machine);
  }

  /** A job that nobody reports on any more fails after ten minutes. */
  function forgetZombie({ handle }: SimMachine): void {
    const job = handle === undefined ? undefined : jobs.get(handle);
    if (job?.state !== 'running') return;
    schedule.after(zombieMs, () => {
      if (job.state === 'running') conclude(job, 'failure');
    });
  }

  /** I9: a machine whose job runs, was not cancelled and is within its clock must not be ended by us. */
  function blame(machine: SimMachine, how: string): void {
    const job = machine.handle === undefined ? undefined : jobs.get(machine.handle);
    if (job?.state !== 'running' || job.wronged) return;
    if (schedule.now() - job.pickedAt > options.jobClockMs) return;
    // A runner that fetches in the very moment between the last look at the forge and the stop cannot be told from one that waits.
    if (schedule.now() - job.pickedAt < 1_500) return;
    job.wronged = true;
    faults.wronglyStopped.push(`${how} ${machine.spec.id} with ${job.job.handle}, ${schedule.now() - job.pickedAt} ms after its pick-up`);
  }

  function conclude(job: SimJob, state: 'success' | 'failure'): void {
    job.state = state;
    if (job.registration !== undefined) registrations.delete(job.registration);
  }

  /** forgejo-runner one-job --wait: asks every two seconds for the one handle; a dead registration never ends it. */
  function fetchLoop(machine: SimMachine): void {
    const { assignment } = machine;
    if (machine.exit !== undefined || assignment === undefined) return;
    const registration = [...registrations.values()].find(({ token }) => token === assignment.token);
    const job = jobs.get(assignment.handle);
    const blocked = job?.group !== undefined && [...jobs.values()].some((other) => other.group === job.group && other.state === 'running');
    if (registration === undefined || job === undefined || job.state !== 'waiting' || blocked) {
      if (registration === undefined && machine.handle === undefined && chance.hit(0.3))
        return end(machine, { result: 'exit-code', code: 'exited', status: '1' });
      schedule.after(2_000, () => fetchLoop(machine));
      return;
    }
    if (job.registration !== undefined) faults.doubled.push(job.job.handle);
    job.state = 'running';
    job.registration = registration.id;
    job.pickedAt = schedule.now();
    machine.handle = job.job.handle;
    registration.active = true;
    registration.task = job.job.handle;
    schedule.after(job.lengthMs, () => {
      if (machine.exit !== undefined) return;
      const cancelled = job.state !== 'running';
      if (!cancelled) conclude(job, chance.hit(0.2) ? 'failure' : 'success');
      // After a cancel the stock runner tries for a while to report.
      schedule.after(cancelled ? 3_000 : 10, () => end(machine, { result: 'success', code: 'exited', status: '0' }));
    });
  }

  return world;
}
