// Promises the truth of a simulated host: its machines, what systemd says of them, and the runner inside each, which does as the stock one
// does: asks every two seconds for its one handle, hears of no cancel, reports its end for a minute and leaves.

import type { Machine } from '../../src/core/model.ts';
import { isDispatchId, isWarmId } from '../../src/core/naming.ts';
import type { Assignment, MachineSpec } from '../../src/driver/driver.ts';
import { zombieMs, type SimForge, type SimJob } from './forge-world.ts';
import type { Judge } from './judge.ts';
import type { Chance, Schedule } from './schedule.ts';

/** What is odd about a machine, drawn when it is made. */
export type Oddity = 'slow to boot' | 'dies at boot' | 'ignores SIGTERM' | 'stays after its job' | 'ends without a report';

export type SimMachine = {
  readonly spec: MachineSpec;
  /** The controller it belongs to; '' for somebody else's. */
  readonly owner: string;
  readonly build: string;
  /** What it writes to its console is lost. */
  readonly mute: boolean;
  readonly startedAt: number;
  readonly odd: Oddity | undefined;
  ready: boolean;
  /** It was asked to end; what is said again then is no news. */
  asked: boolean;
  assignment: Assignment | undefined;
  job: SimJob | undefined;
  exit: Machine['exit'];
  /** Whoever waits for it to be ready or gone. */
  waiters: (() => void)[];
};

export type SimHost = {
  readonly machines: ReadonlyMap<string, SimMachine>;
  /** By controller: called when a machine of its has ended. */
  readonly wakers: Map<string, () => void>;
  list(owner: string): readonly Machine[];
  /** What it wrote to its console. */
  output(id: string): readonly string[];
  /** By machine, when its life is over whatever it does. */
  readonly due: Map<string, number>;
  /** Machines whose records were lost: nobody can know what they do. */
  readonly lost: Set<string>;
  /** What machines are made of now; it changes. */
  readonly build: () => string;
  renew(): void;
  /** Machines that wait for a job, of which no record speaks. */
  warm(owner: string, recorded: (id: string) => boolean): readonly SimMachine[];
  boot(owner: string, spec: MachineSpec): void;
  assign(machine: SimMachine, assignment: Assignment): void;
  /** Its runner asks for its job now, which nothing holds back any more. */
  askNow(id: string): void;
  /** SIGTERM to the runner, SIGKILL after the grace. */
  stop(owner: string, id: string, graceMs: number): void;
  /** `halfway`: killed, but traces stay. */
  remove(owner: string, id: string, halfway: boolean): void;
  /** Something else than us ends it; `silently`: it says that all went well. */
  strike(id: string, silently: boolean): void;
  reboot(): void;
};

export type HostRules = { readonly maxConcurrent: number; readonly oddity: () => Oddity | undefined };

const killed = { result: 'signal', code: 'killed', status: 'KILL' };
const quiet = { result: 'success', code: 'exited', status: '0' };
const reportTriesForMs = 50_000;

export const foreignMachine = 'webserver';

export function createHostWorld(schedule: Schedule, chance: Chance, forge: SimForge, judge: Judge, rules: HostRules): SimHost {
  const machines = new Map<string, SimMachine>();
  const wakers = new Map<string, () => void>();
  const due = new Map<string, number>();
  const lost = new Set<string>();
  const now = schedule.now;
  let builds = 1;
  const build = (): string => `build ${builds}`;

  function end(machine: SimMachine, exit: NonNullable<Machine['exit']>): void {
    if (machine.exit !== undefined) return;
    machine.exit = exit;
    for (const wake of machine.waiters.splice(0)) wake();
    if (machine.job !== undefined) forge.abandon(machine.job);
    wakers.get(machine.owner)?.();
  }

  function ready(machine: SimMachine): void {
    if (machine.exit !== undefined) return;
    if (machine.odd === 'dies at boot') return end(machine, { result: 'exit-code', code: 'exited', status: '1' });
    machine.ready = true;
    for (const wake of machine.waiters.splice(0)) wake();
  }

  /** forgejo-runner one-job --wait: a registration that is gone may end it, or not. */
  function fetchLoop(machine: SimMachine): void {
    const { assignment } = machine;
    if (machine.exit !== undefined || assignment === undefined || machine.job !== undefined) return;
    const fetched = forge.fetch(assignment.token, assignment.handle, assignment.labels);
    if (fetched.kind === 'job') return work(machine, fetched.job);
    if (fetched.kind === 'refused' && chance.hit(0.3)) return end(machine, { result: 'exit-code', code: 'exited', status: '1' });
    schedule.after(2_000, () => fetchLoop(machine));
  }

  function work(machine: SimMachine, job: SimJob): void {
    machine.job = job;
    if (lost.has(machine.spec.id)) job.orphaned = true;
    schedule.after(job.lengthMs, () => {
      if (machine.odd === 'ends without a report') return end(machine, quiet);
      report(machine, job, chance.hit(0.2) ? 'failure' : 'success', now() + reportTriesForMs);
    });
  }

  /** After a cancel the stock runner tries for a while in vain; a server that is down it asks again. */
  function report(machine: SimMachine, job: SimJob, state: 'success' | 'failure', until: number): void {
    if (machine.exit !== undefined) return;
    const cancelled = job.state !== 'running';
    if (!forge.conclude(job, state) && now() < until) return void schedule.after(5_000, () => report(machine, job, state, until));
    if (machine.odd === 'stays after its job') return;
    schedule.after(cancelled ? 3_000 : 10, () => end(machine, quiet));
  }

  function owned(owner: string, id: string): SimMachine | undefined {
    const machine = machines.get(id);
    if (machine !== undefined && machine.owner !== owner) judge.broken.push(`I6 ${owner} touched ${id}, which is not its own`);
    return machine;
  }

  return {
    machines,
    wakers,
    due,
    lost,
    output(id) {
      const machine = machines.get(id);
      const task = machine?.job?.taskId;
      return machine?.mute !== false || task === undefined ? [] : [`task ${task} repo is acme/demo http://forge.test`];
    },
    build,
    renew: () => void (builds += 1),
    warm: (owner, recorded) =>
      [...machines.values()].filter(
        ({ spec, owner: whose, assignment, exit }) =>
          whose === owner && isWarmId(spec.id) && assignment === undefined && exit === undefined && !recorded(spec.id),
      ),
    list: (owner) => [...machines.values()].filter((machine) => machine.owner === owner).map(seenOf),
    boot(owner, spec) {
      const before = machines.get(spec.id);
      // One that was half made, or that a host took with it before its job, is made anew.
      if (before !== undefined && (before.exit?.result !== 'lost' || before.assignment !== undefined)) return;
      machines.delete(spec.id);
      for (const other of machines.values()) {
        if (other.owner === owner && other.spec.slot === spec.slot)
          judge.broken.push(`slot ${spec.slot} was given to ${spec.id} while ${other.spec.id} held it`);
      }
      const odd = rules.oddity();
      const state = { ready: false, asked: false, assignment: undefined, job: undefined, exit: undefined, waiters: [] };
      const machine: SimMachine = {
        spec,
        owner,
        startedAt: now(),
        odd,
        build: build(),
        mute: isDispatchId(spec.id) && chance.hit(0.1),
        ...state,
      };
      machines.set(spec.id, machine);
      const count = [...machines.values()].filter((each) => each.owner === owner).length;
      if (owner !== '' && count > rules.maxConcurrent) judge.broken.push(`I4 ${count} machines at once, ${rules.maxConcurrent} allowed`);
      schedule.after(odd === 'slow to boot' ? 45_000 : chance.between(20, 400), () => ready(machine));
      if (owner !== '') schedule.after(spec.runtimeMaxMs, () => end(machine, { result: 'timeout', code: 'killed', status: 'TERM' }));
    },
    assign(machine, assignment) {
      if (machine.assignment !== undefined) return;
      machine.assignment = assignment;
      schedule.after(chance.between(20, 60), () => fetchLoop(machine));
    },
    askNow(id) {
      const machine = machines.get(id);
      if (machine?.assignment === undefined || machine.exit !== undefined || machine.asked || machine.job !== undefined) return;
      const { handle, token, labels } = machine.assignment;
      const wanted = forge.jobs.get(handle);
      if (handle !== '' && wanted?.state !== 'waiting') return;
      if (wanted !== undefined) wanted.group = undefined;
      const fetched = forge.fetch(token, handle, labels);
      if (fetched.kind === 'job') work(machine, fetched.job);
    },
    stop(owner, id, graceMs) {
      const machine = owned(owner, id);
      if (machine === undefined || machine.exit !== undefined) return;
      if (!machine.asked) judge.ended(machine.job, `stopped ${id}`, due.get(id));
      machine.asked = true;
      if (machine.odd === 'ignores SIGTERM' || graceMs === 0) {
        schedule.after(graceMs, () => end(machine, killed));
        return;
      }
      schedule.after(chance.between(10, 300), () => {
        if (machine.exit === undefined && machine.job?.state === 'running') forge.conclude(machine.job, 'failure');
        end(machine, quiet);
      });
    },
    remove(owner, id, halfway) {
      const machine = owned(owner, id);
      if (machine === undefined) return;
      if (machine.exit === undefined && !machine.asked) judge.ended(machine.job, `removed ${id}`, due.get(id));
      end(machine, killed);
      if (!halfway) machines.delete(id);
    },
    strike(id, silently) {
      const machine = machines.get(id);
      if (machine !== undefined) end(machine, silently ? quiet : killed);
    },
    reboot() {
      for (const machine of machines.values()) if (machine.owner !== '') end(machine, { result: 'lost', code: '', status: '' });
    },
  };
}

function seenOf({ spec, startedAt, ready, assignment, exit, build }: SimMachine): Machine {
  const state = exit !== undefined ? 'exited' : assignment !== undefined ? 'running' : ready ? 'idle' : 'starting';
  const warm = isWarmId(spec.id) ? { warm: { profile: spec.profile.name, build } } : {};
  return { id: spec.id, slot: spec.slot, startedAt, state, ...warm, ...(exit === undefined ? {} : { exit }) };
}

/** Longest honest way to a clean world after the last fault: a back-off, a job clock, its stop, retries at their cap, a zombie. */
export const calmMs = 420_000 + zombieMs;
