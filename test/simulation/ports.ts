// Promises the ports of one incarnation of a controller over the simulated world, and the checks that only a port can make: a record
// before what it owns and after it (I1), the capacity (I4), nothing of anybody else's (I6).

import type { Job, Runner } from '../../src/core/model.ts';
import type { Driver } from '../../src/driver/driver.ts';
import { isWarmId } from '../../src/core/naming.ts';
import { ControllerError, type ErrorCode } from '../../src/errors.ts';
import type { Forge } from '../../src/forge/forge.ts';
import type { Store } from '../../src/store/store.ts';
import { createCall, type Call, type Incarnation, type Stage } from './call.ts';

/** What belongs to one controller for good: its name, its mark, its records on disk. */
export type Post = {
  readonly name: string;
  readonly description: string;
  readonly maxConcurrent: number;
  readonly records: Map<string, Runner>;
  /** Registrations that a killed process had asked for and that came after its end. */
  readonly late: Set<number>;
  /** Tokens whose registration was deleted by it. */
  readonly returned: Set<string>;
};

const hostLatencyMs = 90;
const bootPatienceMs = 60_000;
const listsKept = 3;

export function createPorts(stage: Stage, post: Post, self: Incarnation): { forge: Forge; driver: Driver; store: Store } {
  const call = createCall(stage, self);
  /** What a killed process had sent may still arrive when its records are gone; that is no fault of the order it kept. */
  const recorded = (what: string, id: string): void => {
    if (self.alive && !post.records.has(id)) stage.judge.broken.push(`I1 a ${what} ${id} was made without a record`);
  };
  return {
    forge: createForge(stage, post, self, call, recorded),
    driver: createDriver(stage, post, self, call, recorded),
    store: createStore(stage, post, self, call),
  };
}

type Recorded = (what: string, id: string) => void;

function createForge(stage: Stage, post: Post, self: Incarnation, call: Call, recorded: Recorded): Forge {
  const { forge, host, judge, weather, chance, schedule, tally } = stage;
  /** Between the look at a registration and what is done upon it. */
  const handOutLate = (name: string): void => {
    if (!chance.hit(weather.odds.late)) return;
    tally.set('handed out late', (tally.get('handed out late') ?? 0) + 1);
    schedule.after(chance.between(0, 200), () => host.askNow(name));
  };
  const lists: (readonly Job[])[] = [];
  const shown: (readonly Job[])[] = [];
  const seen = (list: readonly Job[]): readonly Job[] => {
    shown.push(list);
    if (shown.length > 4) shown.shift();
    return list;
  };
  const ask = <T>(verb: string, effect: () => T, maySlow = false): Promise<T> =>
    call({
      verb,
      effect,
      maySlow,
      refusal: () => weather.forgeRefusal(verb),
      failure: (lost) => weather.forgeFailure(verb, lost),
      latencyMs: weather.latencyMs,
    });
  return {
    name: 'main',
    scope: { kind: 'instance' },
    place: 'http://forge.test instance',
    instanceUrl: 'http://forge.test',
    check: () => ask('check', () => ({ major: 16, minor: 0, patch: 0, text: '16.0.0' })),
    jobs: () => ask('jobs', () => seen(distorted(stage, lists, forge.list())), true),
    registrations: () => ask('registrations', () => [...forge.registrations.values()].map((each) => forge.seen(each)), true),
    registration: (id) =>
      ask(`registration ${id}`, () => {
        const found = forge.registrations.get(id);
        if (found === undefined) return undefined;
        handOutLate(found.name);
        return forge.seen(found);
      }),
    registered: (id) => ask(`registered ${id}`, () => forge.registrations.has(id)),
    register: (name, description) =>
      ask(`register ${name}`, () => {
        recorded('registration', name);
        const credentials = forge.register(name, description);
        if (!self.alive) post.late.add(credentials.id);
        return credentials;
      }),
    reportFailure: (credentials, taskId) => ask(`report ${taskId}`, () => forge.reportFailure(credentials, taskId)),
    withhold: ({ id, token }) => ask(`withhold ${id}`, () => forge.withhold(token)),
    unregister: (id) =>
      ask(`unregister ${id}`, () => {
        const registration = forge.registrations.get(id);
        if (registration === undefined) return;
        if (registration.description !== post.description)
          judge.broken.push(`I6 ${post.name} deleted the registration of ${registration.description}`);
        if (self.alive) judge.givenBack(registration.job, forge.seen(registration).status, shown);
        forge.registrations.delete(id);
        if (self.alive) post.returned.add(registration.token);
      }),
    close: () => Promise.resolve(),
  };
}

/** The list as it arrives: an older one, an empty one in error, rows twice and in any order. */
function distorted({ chance, weather, tally }: Stage, lists: (readonly Job[])[], now: readonly Job[]): readonly Job[] {
  const count = (kind: string): void => void tally.set(kind, (tally.get(kind) ?? 0) + 1);
  lists.push(now);
  if (lists.length > listsKept) lists.shift();
  if (weather.has('lists empty')) {
    count('list empty in error');
    return [];
  }
  if (lists.length > 1 && chance.hit(weather.odds.stale)) {
    count('list stale');
    return chance.pick(lists);
  }
  if (now.length === 0 || !chance.hit(weather.odds.disorder)) return now;
  count('list in disorder');
  return [...now, chance.pick(now)].toReversed();
}

function refusal(verb: string, code: ErrorCode, refused: boolean): ControllerError | undefined {
  return refused ? new ControllerError(code, `${verb} failed`) : undefined;
}

function createDriver(stage: Stage, post: Post, self: Incarnation, call: Call, recorded: Recorded): Driver {
  const { host, judge, schedule, weather } = stage;
  const ask = <T>(verb: string, effect: () => T, more: { id?: string; refused?: () => boolean; half?: () => void } = {}): Promise<T> =>
    call({
      verb,
      effect,
      refusal: () => refusal(verb, 'DRIVER_FAILED', more.refused?.() ?? false),
      failure: () => new ControllerError('DRIVER_FAILED', `${verb} failed`),
      latencyMs: hostLatencyMs,
      ...(more.id === undefined ? {} : { id: more.id }),
      ...(more.half === undefined ? {} : { half: more.half }),
    });
  const unlistable = (): boolean => weather.has('host unlistable');
  return {
    check: () => ask('check', () => undefined, { refused: unlistable }),
    list: () => ask('list', () => host.list(post.name), { refused: unlistable }),
    builds: () =>
      ask('builds', () => new Map(['default', 'big'].map((name) => [name, host.build()])), { refused: () => weather.has('disk full') }),
    room: () => Promise.resolve({ path: '/state', bytes: Number.MAX_SAFE_INTEGER }),
    start: (spec) =>
      call({
        verb: `start ${spec.id}`,
        id: spec.id,
        effect() {
          // One that waits for a job is its own record.
          if (!isWarmId(spec.id)) recorded('machine', spec.id);
          host.boot(post.name, spec);
        },
        refusal: () => refusal('start', 'HOST_EXHAUSTED', weather.has('host full') || weather.has('disk full')),
        failure: () => new ControllerError('DRIVER_FAILED', 'start failed'),
        latencyMs: hostLatencyMs,
      }),
    async assign(id, assignment, signal) {
      const gone = (): never => {
        throw new ControllerError('DRIVER_FAILED', `assign ${id}: gone or not in time`);
      };
      const until = schedule.now() + bootPatienceMs;
      for (;;) {
        const machine = host.machines.get(id);
        if (machine?.owner !== post.name || machine.exit !== undefined || signal.aborted || schedule.now() > until) return gone();
        if (machine.assignment !== undefined) return;
        if (machine.ready) {
          const dead = post.returned.has(assignment.token);
          if (dead) judge.broken.push(`${id} was handed credentials that had been given back`);
          return ask(`assign ${id}`, () => host.assign(machine, assignment), { id });
        }
        await readiness(stage, self, machine.waiters, signal);
      }
    },
    stop: (id, graceMs) => ask(`stop ${id}`, () => host.stop(post.name, id, graceMs), { id }),
    remove: (id) => ask(`remove ${id}`, () => host.remove(post.name, id, false), { id, half: () => host.remove(post.name, id, true) }),
    output: (id) => ask(`output ${id}`, () => host.output(id)),
    artefacts: () => ask('artefacts', () => [], { refused: unlistable }),
    watch(wake) {
      host.wakers.set(post.name, () => self.alive && wake());
      return () => undefined;
    },
  };
}

/** Until the machine is ready or gone, or the signal aborts; a killed process hears of neither. */
function readiness({ schedule }: Stage, self: Incarnation, waiters: (() => void)[], signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const wake = (): void => {
      signal.removeEventListener('abort', wake);
      limit.cancelled = true;
      if (self.alive) resolve();
    };
    const limit = schedule.after(bootPatienceMs + 1, wake);
    signal.addEventListener('abort', wake, { once: true });
    waiters.push(wake);
  });
}

function diskFailure(): ControllerError {
  return new ControllerError('STORE_FAILED', 'the disk failed');
}

function createStore({ host, forge, judge, weather }: Stage, post: Post, self: Incarnation, call: Call): Store {
  const { records } = post;
  const disk = (verb: string, effect: () => void): Promise<void> =>
    call({ verb, effect, failure: diskFailure, refusal: () => (weather.has('disk full') ? diskFailure() : undefined), latencyMs: 30 });
  return {
    load: () => Promise.resolve({ runners: [...records.values()], quarantined: [] }),
    put: (runner) =>
      disk(`put ${runner.id}`, () => {
        records.set(runner.id, runner);
        if (runner.dispatch !== undefined) host.due.set(runner.id, runner.createdAt + runner.dispatch.ttlMs);
        const own = host.list(post.name).map(({ id }) => id);
        const held = new Set([...records.keys(), ...own]).size;
        if (self.alive && held > post.maxConcurrent) judge.broken.push(`I4 ${held} records and machines, ${post.maxConcurrent} allowed`);
      }),
    delete: (id) =>
      disk(`delete ${id}`, () => {
        const record = records.get(id);
        if (record === undefined) return;
        if (host.machines.get(id)?.owner === post.name) judge.broken.push(`I1 the record of ${id} was deleted before its machine`);
        for (const { id: number, name, description } of forge.registrations.values()) {
          // What a lost reply left beside the record's own is swept.
          const own = record.credentials === undefined ? !post.late.has(number) : record.credentials.id === number;
          if (name === id && description === post.description && own)
            judge.broken.push(`I1 the record of ${id} was deleted before its registration`);
        }
        records.delete(id);
      }),
  };
}
