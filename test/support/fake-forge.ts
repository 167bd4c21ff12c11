// Promises a Forge port in memory with the semantics that the reconciler relies on: ephemeral registrations, handles, pick-up, end, cancel.
// Any call can be made to fail, before or after its effect took place.

import type { Job, Registration } from '../../src/core/model.ts';
import { ControllerError } from '../../src/errors.ts';
import type { Forge } from '../../src/forge/forge.ts';
import { aJob } from './build.ts';

type Verb = 'jobs' | 'registrations' | 'registration' | 'registered' | 'register' | 'report' | 'withhold' | 'unregister' | 'check';

export type FakeForge = Forge & {
  readonly calls: string[];
  /** Lists a waiting job. */
  queue(id: number, over?: Partial<Job>): Job;
  /** The registration of that uuid takes its job. */
  pick(uuid: string, handle: string): void;
  /** The job ends, and with it the registration that took it. */
  end(handle: string): void;
  /** The next `times` calls of the verb fail; `lost` lets the effect happen first. */
  fail(verb: Verb, times: number, lost?: boolean): void;
  readonly rows: readonly Registration[];
  /** What was reported in the place of runners: the lines, by task. */
  readonly reports: ReadonlyMap<number, readonly string[]>;
};

export function createFakeForge(name = 'main'): FakeForge {
  const jobs = new Map<string, Job>();
  const registrations = new Map<number, Registration & { task?: string }>();
  const failures = new Map<Verb, { times: number; lost: boolean }>();
  const calls: string[] = [];
  const reports = new Map<number, readonly string[]>();
  const withheld = new Set<number>();
  let nextId = 1;

  async function call<T>(verb: Verb, subject: string, effect: () => T): Promise<T> {
    calls.push(subject === '' ? verb : `${verb} ${subject}`);
    await Promise.resolve();
    const failure = failures.get(verb);
    if (failure === undefined || failure.times === 0) return effect();
    failure.times -= 1;
    if (failure.lost) effect();
    throw new ControllerError('FORGE_UNREACHABLE', `${verb}: no answer`);
  }

  return {
    name,
    scope: { kind: 'instance' },
    place: 'http://forge.test instance',
    instanceUrl: 'http://forge.test',
    calls,
    check: () => call('check', '', () => ({ major: 16, minor: 0, patch: 1, text: '16.0.1' })),
    jobs: () => call('jobs', '', () => [...jobs.values()].toSorted((a, b) => a.id - b.id)),
    registrations: () => call('registrations', '', () => [...registrations.values()]),
    registration: (id) => call('registration', String(id), () => registrations.get(id)),
    register: (runner, description) =>
      call('register', runner, () => {
        const id = nextId++;
        registrations.set(id, { id, uuid: `uuid-${id}`, name: runner, description, ephemeral: true, status: 'idle' });
        return { id, uuid: `uuid-${id}`, token: `secret-token-${id}` };
      }),
    registered: (id) => call('registered', String(id), () => registrations.has(id)),
    reportFailure: (credentials, taskId, lines) =>
      call('report', String(taskId), () => {
        const registration = registrations.get(credentials.id);
        if (registration === undefined) return 'over';
        const job = [...jobs.values()].find((each) => each.state === 'running' && each.taskId === taskId);
        if (job === undefined || registration.task !== job.handle) return 'foreign';
        reports.set(taskId, lines);
        jobs.delete(job.handle);
        registrations.delete(credentials.id);
        return 'reported';
      }),
    withhold: ({ id }) => call('withhold', String(id), () => void withheld.add(id)),
    unregister: (id) => call('unregister', String(id), () => void registrations.delete(id)),
    close: async () => {},
    queue(id, over = {}) {
      const job = aJob(id, { forge: name, ...over });
      jobs.set(job.handle, job);
      return job;
    },
    pick(uuid, handle) {
      const job = jobs.get(handle);
      const registration = [...registrations.values()].find((each) => each.uuid === uuid);
      if (job === undefined || registration === undefined) throw new Error(`no job ${handle} or no registration ${uuid}`);
      if (withheld.has(registration.id)) throw new Error(`${uuid} is handed no job any more`);
      jobs.set(handle, { ...job, state: 'running', taskId: job.id + 1000 });
      registrations.set(registration.id, { ...registration, status: 'active', task: handle });
    },
    end(handle) {
      jobs.delete(handle);
      for (const [id, { task }] of registrations) if (task === handle) registrations.delete(id);
    },
    fail: (verb, times, lost = false) => void failures.set(verb, { times, lost }),
    get rows() {
      return [...registrations.values()];
    },
    reports,
  };
}
