// Promises a Driver without a host: machines in memory, ended, delayed and broken on command. Keeps the same promises as the real one
// (driver-contract.ts runs against both), so that what is proved with it holds on a host.

import type { Clock } from '../../src/clock.ts';
import type { Machine, MachineExit, MachineId, Room } from '../../src/core/model.ts';
import type { Assignment, Driver, Leftover, MachineSpec } from '../../src/driver/driver.ts';
import { isWarmId } from '../../src/core/naming.ts';
import { ControllerError } from '../../src/errors.ts';

export type DriverVerb = 'check' | 'builds' | 'list' | 'room' | 'start' | 'assign' | 'stop' | 'remove' | 'output' | 'artefacts';

export type FakeMachine = {
  readonly spec: MachineSpec;
  readonly startedAt: number;
  readonly state: Machine['state'];
  readonly exit?: MachineExit;
  readonly assignment?: Assignment;
  /** Of one that was started to wait for a job. */
  readonly build?: string;
};

export type FakeDriverOptions = {
  readonly clock: Pick<Clock, 'now'>;
  /** False: machines stay `starting` until ready(id). */
  readonly autoReady?: boolean;
  /** Looked at when a job is handed over: an exit ends the machine soon, undefined lets it run. */
  readonly behave?: (assignment: Assignment) => MachineExit | undefined;
  /** False: a stop is delivered and not obeyed. */
  readonly obedient?: boolean;
};

export type FakeDriver = Driver & {
  readonly machines: ReadonlyMap<MachineId, FakeMachine>;
  /** Every call that reached the driver, failed ones included. */
  readonly calls: readonly { readonly verb: DriverVerb; readonly id?: MachineId }[];
  /** Makes a verb reject, `times` times (for ever by default), for one machine or all; `after` = the effect has happened all the same. */
  fail(verb: DriverVerb, options?: FailOptions): void;
  /** Ends what fail() began. */
  heal(verb?: DriverVerb): void;
  /** Makes a verb wait until the returned function is called. */
  hold(verb: DriverVerb, id?: MachineId): () => void;
  ready(id: MachineId): void;
  /** What the machine writes to its console. */
  say(id: MachineId, line: string): void;
  /** Ends a machine from inside or by an accident. */
  end(id: MachineId, exit?: Partial<MachineExit>): void;
  /** A machine that is there without any of our records: a crash's leftover. */
  plant(machine: Machine): void;
  /** The builds of profiles from now on; one that is not there is its name and 1. */
  setBuild(profile: string, build: string | undefined): void;
  /** What is free from now on. */
  setRoom(room: Room): void;
};

export type FailOptions = { readonly id?: MachineId; readonly times?: number; readonly after?: boolean; readonly error?: ControllerError };

const cleanExit: MachineExit = { result: 'success', code: 'exited', status: '0' };

type Failure = FailOptions & { left: number };
type Hold = { readonly verb: DriverVerb; readonly id?: MachineId; readonly released: Promise<void> };

export function createFakeDriver(options: FakeDriverOptions): FakeDriver {
  const machines = new Map<MachineId, FakeMachine>();
  let room: Room = { path: '/state', bytes: 1024 ** 4, inodes: 1_000_000 };
  const builds = new Map<string, string | undefined>();
  /** Also of profiles that only a machine has named. */
  const buildOf = (name: string): string | undefined => (builds.has(name) ? builds.get(name) : `${name} 1`);
  const named = new Set(['default', 'big', 'small']);
  const calls: { verb: DriverVerb; id?: MachineId }[] = [];
  const failures = new Map<DriverVerb, Failure>();
  const holds = new Set<Hold>();
  const watchers = new Set<() => void>();
  const said = new Map<MachineId, string[]>();
  const waiting = new Set<() => void>();

  function changed(): void {
    for (const resume of waiting) resume();
    waiting.clear();
  }

  /** Runs a verb's effect with the failures and delays that were asked for. */
  async function perform<T>(verb: DriverVerb, id: MachineId | undefined, effect: () => T | Promise<T>): Promise<T> {
    calls.push(id === undefined ? { verb } : { verb, id });
    for (const hold of holds) if (hold.verb === verb && (hold.id === undefined || hold.id === id)) await hold.released;
    const failure = failures.get(verb);
    const failing = failure !== undefined && failure.left > 0 && (failure.id === undefined || failure.id === id) ? failure : undefined;
    if (failing !== undefined) failing.left -= 1;
    const error = failing?.error ?? new ControllerError('DRIVER_FAILED', `The fake driver was told to fail ${verb}.`);
    if (failing !== undefined && failing.after !== true) throw error;
    const result = await effect();
    if (failing !== undefined) throw error;
    return result;
  }

  function end(id: MachineId, exit: Partial<MachineExit> = {}): void {
    const machine = machines.get(id);
    if (machine === undefined || machine.state === 'exited') return;
    machines.set(id, { ...machine, state: 'exited', exit: { ...cleanExit, ...exit } });
    changed();
    for (const wake of watchers) wake();
  }

  async function assign(id: MachineId, assignment: Assignment, signal: AbortSignal): Promise<void> {
    for (;;) {
      const machine = machines.get(id);
      if (machine === undefined) throw new ControllerError('DRIVER_FAILED', `There is no machine ${id} to hand a job to.`);
      if (machine.assignment !== undefined) return;
      if (machine.state === 'exited') throw new ControllerError('DRIVER_FAILED', `Machine ${id} ended before it could take its job.`);
      if (machine.state === 'idle') {
        machines.set(id, { ...machine, state: 'running', assignment });
        const exit = options.behave?.(assignment);
        if (exit !== undefined) setImmediate(() => end(id, exit));
        return;
      }
      if (signal.aborted) throw new ControllerError('DRIVER_FAILED', `Machine ${id} did not ask for its job in time.`);
      await new Promise<void>((resolve) => {
        waiting.add(resolve);
        signal.addEventListener('abort', () => resolve(), { once: true });
      });
    }
  }

  return {
    machines,
    calls,
    check: async () => perform('check', undefined, () => undefined),
    list: async () => perform('list', undefined, () => [...machines.values()].map((machine) => viewOf(machine))),
    room: async () => perform('room', undefined, () => room),
    builds: async () =>
      perform('builds', undefined, () => {
        const known = [...named].map((name) => [name, buildOf(name)] as const);
        return new Map(known.flatMap(([name, build]) => (build === undefined ? [] : [[name, build] as const])));
      }),
    start: async (spec) =>
      perform('start', spec.id, () => {
        if (machines.has(spec.id) && machines.get(spec.id)?.exit?.result !== 'lost') return;
        const build = isWarmId(spec.id) ? buildOf(spec.profile.name) : undefined;
        const state = options.autoReady === false ? 'starting' : 'idle';
        named.add(spec.profile.name);
        machines.set(spec.id, { spec, startedAt: options.clock.now(), state, ...(build === undefined ? {} : { build }) });
        changed();
      }),
    assign: async (id, assignment, signal) => perform('assign', id, async () => assign(id, assignment, signal)),
    stop: async (id) =>
      perform('stop', id, () => {
        if (options.obedient !== false) setImmediate(() => end(id));
      }),
    remove: async (id) =>
      perform('remove', id, () => {
        machines.delete(id);
        changed();
      }),
    output: async (id) => perform('output', id, () => [`console of ${id}`, ...(said.get(id) ?? [])]),
    artefacts: async () =>
      perform('artefacts', undefined, () => [...machines.keys()].map((name): Leftover => ({ kind: 'directory', name }))),
    watch: (wake) => {
      watchers.add(wake);
      return () => watchers.delete(wake);
    },
    setRoom: (given) => void (room = given),
    setBuild: (profile, build) => void builds.set(profile, build),
    fail: (verb, failOptions = {}) => {
      failures.set(verb, { ...failOptions, left: failOptions.times ?? Number.POSITIVE_INFINITY });
    },
    heal: (verb) => {
      if (verb === undefined) failures.clear();
      else failures.delete(verb);
    },
    hold: (verb, id) => {
      const { promise: released, resolve } = Promise.withResolvers<void>();
      const hold: Hold = id === undefined ? { verb, released } : { verb, id, released };
      holds.add(hold);
      return () => {
        holds.delete(hold);
        resolve();
      };
    },
    ready: (id) => {
      const machine = machines.get(id);
      if (machine?.state === 'starting') machines.set(id, { ...machine, state: 'idle' });
      changed();
    },
    say: (id, line) => void said.set(id, [...(said.get(id) ?? []), line]),
    end,
    plant: (machine) => {
      machines.set(machine.id, { ...machine, spec: { id: machine.id, slot: machine.slot, profile: unknownProfile, runtimeMaxMs: 0 } });
    },
  };
}

const unknownProfile: MachineSpec['profile'] = {
  name: 'unknown',
  labels: [],
  template: { kind: 'host' },
  limits: {},
  timeouts: { startMs: 0, pickMs: 0, jobMs: 0, stopMs: 0 },
  runnerPath: '/nonexistent',
  binds: [],
  environment: {},
};

function viewOf({ spec, startedAt, state, exit, build }: FakeMachine): Machine {
  const warm = build === undefined ? {} : { warm: { profile: spec.profile.name, build } };
  return { id: spec.id, slot: spec.slot, startedAt, state, ...warm, ...(exit === undefined ? {} : { exit }) };
}
