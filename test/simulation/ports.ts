// Promises the ports of one incarnation of the controller over a simulated world: every call takes time before and after its effect, may
// fail on either side of it, and is forgotten when the incarnation is killed.

import type { Job } from '../../src/core/model.ts';
import type { Driver } from '../../src/driver/driver.ts';
import { ControllerError, type ErrorCode } from '../../src/errors.ts';
import type { Forge } from '../../src/forge/forge.ts';
import type { Store } from '../../src/store/store.ts';
import type { Chance, Schedule } from './schedule.ts';
import type { Tally } from './verdict.ts';
import { foreignMachine, type SimWorld } from './world.ts';

export type Weather = {
  /** Probability that a call fails; half of the failures lose the reply after the effect took place. */
  failure: number;
  /** The forge answers nothing. */
  forgeDown: boolean;
  /** The disk takes no more. */
  diskFull: boolean;
  /** Probability that a list is the one before. */
  stale: number;
};

export type Incarnation = { alive: boolean };

export type Surroundings = {
  readonly world: SimWorld;
  readonly schedule: Schedule;
  readonly chance: Chance;
  readonly weather: Weather;
  readonly tally: Tally;
  /** Undefined: nobody reads. */
  readonly trace: ((line: string) => void) | undefined;
};

type Recorded = (what: string, id: string) => void;
type Call = <T>(verb: string, code: ErrorCode, effect: () => T, down?: () => boolean) => Promise<T>;

function createCall({ schedule, chance, weather, tally, trace }: Surroundings, self: Incarnation): Call {
  return (verb, code, effect, down = () => false) =>
    new Promise((resolve, reject) => {
      const fails = chance.hit(weather.failure);
      const lost = fails && chance.hit(0.5);
      schedule.after(chance.between(0, 30), () => {
        // What a killed process had not sent yet is never sent.
        if (!self.alive && chance.hit(0.5)) return;
        const refused = down() || (fails && !lost);
        const result = refused ? undefined : { value: effect() };
        schedule.after(chance.between(0, 60), () => {
          if (!self.alive) return;
          if (result !== undefined && !lost) return resolve(result.value);
          const kind = `${verb.split(' ')[0]} ${lost ? 'reply lost' : 'failed'}`;
          tally.set(kind, (tally.get(kind) ?? 0) + 1);
          trace?.(`  ${verb}: ${lost ? 'reply lost' : 'failed'}`);
          reject(new ControllerError(code, `${verb} failed`));
        });
      });
    });
}

export function createPorts(surroundings: Surroundings, self: Incarnation): { forge: Forge; driver: Driver; store: Store } {
  const call = createCall(surroundings, self);
  /** What a killed process had sent may still arrive when its records are gone; that is no fault of the order it kept. */
  const recorded = (what: string, id: string): void => {
    if (self.alive && !surroundings.world.records.has(id))
      surroundings.world.faults.broken.push(`I1 a ${what} ${id} was made without a record`);
  };
  return {
    forge: createForge(surroundings, call, recorded),
    driver: createDriver(surroundings, call, recorded, self),
    store: createStore(surroundings, call),
  };
}

function createForge({ world, chance, weather }: Surroundings, call: Call, recorded: Recorded): Forge {
  const down = (): boolean => weather.forgeDown;
  const ask = <T>(verb: string, effect: () => T): Promise<T> => call(verb, 'FORGE_UNREACHABLE', effect, down);
  return {
    name: 'main',
    scope: { kind: 'instance' },
    instanceUrl: 'http://forge.test',
    check: () => ask('check', () => ({ major: 16, minor: 0, patch: 0, text: '16.0.0' })),
    jobs: () =>
      ask('jobs', () => {
        if (world.lastList !== undefined && chance.hit(weather.stale)) return world.lastList;
        const jobs = [...world.jobs.values()].flatMap(({ job, state }): Job[] =>
          state === 'waiting' ? [job] : state === 'running' ? [{ ...job, state: 'running', taskId: job.id }] : [],
        );
        world.lastList = jobs;
        return jobs;
      }),
    registrations: () =>
      ask('registrations', () =>
        [...world.registrations.values()].map(({ active, ...rest }) => ({ ...rest, status: active ? ('active' as const) : rest.status })),
      ),
    registration: (id) =>
      ask(`registration ${id}`, () => {
        const found = world.registrations.get(id);
        return found === undefined ? undefined : { ...found, status: found.active ? ('active' as const) : found.status };
      }),
    register: (name, description) =>
      ask(`register ${name}`, () => {
        recorded('registration', name);
        return world.register(name, description);
      }),
    registered: (id) => ask(`registered ${id}`, () => world.registrations.has(id)),
    reportFailure: (credentials, taskId) => ask(`report ${taskId}`, () => world.report(credentials.id, taskId)),
    unregister: (id) =>
      ask(`unregister ${id}`, () => {
        if (world.registrations.get(id)?.name === 'office') world.faults.broken.push('I6 a registration of somebody else was deleted');
        world.registrations.delete(id);
      }),
    close: () => Promise.resolve(),
  };
}

function createDriver({ world, schedule }: Surroundings, call: Call, recorded: Recorded, self: Incarnation): Driver {
  const host = <T>(verb: string, effect: () => T): Promise<T> => call(verb, 'DRIVER_FAILED', effect);
  return {
    check: () => host('check', () => undefined),
    list: () =>
      host('list', () =>
        [...world.machines.values()]
          .filter(({ spec }) => spec.id !== foreignMachine)
          .map(({ spec, startedAt, ready, assignment, exit }) => ({
            id: spec.id,
            slot: spec.slot,
            startedAt,
            state:
              exit !== undefined
                ? ('exited' as const)
                : assignment !== undefined
                  ? ('running' as const)
                  : ready
                    ? ('idle' as const)
                    : ('starting' as const),
            ...(exit === undefined ? {} : { exit }),
          })),
      ),
    start: (spec) =>
      host(`start ${spec.id}`, () => {
        recorded('machine', spec.id);
        world.boot(spec);
      }),
    async assign(id, assignment, signal) {
      for (;;) {
        const machine = world.machines.get(id);
        if (machine === undefined || machine.exit !== undefined || signal.aborted)
          throw new ControllerError('DRIVER_FAILED', `assign ${id}: gone`);
        if (machine.assignment !== undefined) return;
        if (machine.ready) return host(`assign ${id}`, () => world.assign(id, assignment));
        if (schedule.now() - machine.boot > 60_000) throw new ControllerError('DRIVER_FAILED', `assign ${id}: not in time`);
        await schedule.clockFor(() => self.alive).sleep(20);
      }
    },
    stop: (id) => host(`stop ${id}`, () => world.stop(id)),
    remove: (id) => host(`remove ${id}`, () => world.remove(id)),
    output: (id) => host(`output ${id}`, () => []),
    artefacts: () => host('artefacts', () => []),
    watch: (wake) => {
      world.wake = () => self.alive && wake();
      return () => undefined;
    },
  };
}

function createStore({ world, weather }: Surroundings, call: Call): Store {
  const disk = <T>(verb: string, effect: () => T): Promise<T> => call(verb, 'STORE_FAILED', effect, () => weather.diskFull);
  return {
    load: () => Promise.resolve({ runners: [...world.records.values()], quarantined: [] }),
    put: (runner) => disk(`put ${runner.id}`, () => void world.records.set(runner.id, runner)),
    delete: (id) =>
      disk(`delete ${id}`, () => {
        if (!world.records.has(id)) return;
        if (world.machines.has(id)) world.faults.broken.push(`I1 the record of ${id} was deleted before its machine`);
        world.records.delete(id);
      }),
  };
}
