// Promises what /api/v1 answers to who reads: runners, jobs, the plan, why; bounded, as their schemas say, and clear about bad questions.

import { describe, expect, test } from 'vitest';
import type * as z from 'zod';
import type { Snapshot } from '../../src/core/snapshot.ts';
import type { AppOptions } from '../../src/http/app.ts';
import { problemSchema, statusSchema } from '../../src/http/wire.ts';
import { explainSchema, jobsSchema, planSchema, runnersSchema } from '../../src/http/wire-v1.ts';
import { anApi, previewed, reconcilingOf } from '../support/api.ts';
import { busy, now, quiet } from '../support/snapshot-fixture.ts';

function appOf(snapshot: Snapshot, over: Partial<AppOptions['reconciler']> = {}): ReturnType<typeof anApi> {
  return anApi({ reconciler: reconcilingOf(() => snapshot, over) });
}

/** The answer, which has nothing that its schema does not name. */
async function ask<S extends z.ZodType>(schema: S, path: string, snapshot: Snapshot = busy): Promise<z.infer<S>> {
  const response = await appOf(snapshot).request(path);
  expect(response.status).toBe(200);
  const json: unknown = await response.json();
  const parsed = schema.parse(json);
  expect(parsed).toEqual(json);
  return parsed;
}

async function problemOf(path: string): Promise<z.infer<typeof problemSchema>> {
  const response = await appOf(busy).request(path);
  expect(response.headers.get('content-type')).toBe('application/problem+json');
  return problemSchema.parse(await response.json());
}

const ended = busy.ended[0] as Snapshot['ended'][number];

test('runners have their phase, and links to what can be asked and done', async () => {
  const { runners } = await ask(runnersSchema, '/api/v1/runners');
  expect(runners.map(({ id, phase, links }) => [id, phase, links.explain, links.stop])).toEqual([
    ['j0000041abc', 'busy', '/api/v1/explain?job=41', '/api/v1/runners/j0000041abc/stop'],
    ['j0000042abc', 'launching', '/api/v1/explain?job=42', '/api/v1/runners/j0000042abc/stop'],
  ]);
});

describe('jobs', () => {
  test('those that wait come with reason and position, the next one first; then those that run and those that are done, newest first', async () => {
    const older = { ...ended, id: 'j0000039abc', job: { ...ended.job, id: 39 }, endedAt: ended.endedAt - 1 };
    const { jobs, total } = await ask(jobsSchema, '/api/v1/jobs', { ...busy, ended: [older, ended] });
    expect(jobs.map((each) => [each.state, each.job_id])).toEqual([
      ['waiting', 44],
      ['waiting', 43],
      ['running', 42],
      ['running', 41],
      ['done', 40],
      ['done', 39],
    ]);
    expect(jobs[0]).toMatchObject({ reason: 'capacity', position: 1, sentence: 'all 7 machines are in use' });
    expect(jobs[4]).toMatchObject({
      runner: 'j0000040abc',
      scheduled_at: new Date(now - 300_000).toISOString(),
      assigned_at: new Date(now - 299_000).toISOString(),
      picked_at: new Date(now - 298_000).toISOString(),
      cleaning_at: new Date(now - 200_100).toISOString(),
      ended_at: new Date(now - 200_000).toISOString(),
      reason: 'finished',
      exit: { result: 'success', status: '0' },
    });
    expect(total).toEqual({ waiting: 2, running: 2, done: 2 });
  });

  test('the start of those that wait for their turn is guessed from how long jobs took, and the guess is called one', async () => {
    const full = { ...busy, capacity: { ...busy.capacity, max: 2 } };
    const startOf = async (snapshot: Snapshot): Promise<unknown> =>
      (await ask(jobsSchema, '/api/v1/jobs?state=waiting', snapshot)).jobs.map((each) => each.state === 'waiting' && each.estimate);
    // Job 41 has run for 95 s, and the one that ended took 100.
    const at = new Date(now + 5_000).toISOString();
    const sentence = `it starts in about 5 s, at ${at}: a guess, for those before it may take longer or less long than one job like them did`;
    const never = {
      start_at: null,
      ended_jobs: 0,
      sentence: 'its start cannot be estimated: no clock tells when what it waits for is over',
    };
    expect(await startOf(full)).toEqual([{ start_at: at, ended_jobs: 1, sentence }, never]);
    const unknown = 'its start cannot be estimated: too few jobs like those before it have ended here, or these have outlived all of them';
    expect(await startOf({ ...full, ended: [] })).toEqual([{ start_at: null, ended_jobs: 0, sentence: unknown }, never]);
    const status = await ask(statusSchema, '/status', full);
    expect(status.waiting_jobs.map(({ estimate }) => estimate.start_at)).toEqual([null, at]);
    expect(await ask(explainSchema, '/api/v1/explain?job=44', full)).toMatchObject({ sentences: [expect.any(String), sentence] });
  });

  test.each(['waiting', 'running', 'done'] as const)('state=%s shows those alone, and counts all', async (state) => {
    const { jobs, total } = await ask(jobsSchema, `/api/v1/jobs?state=${state}`);
    expect(new Set(jobs.map((each) => each.state))).toEqual(new Set([state]));
    expect(total).toEqual({ waiting: 2, running: 2, done: 1 });
  });

  test('the answer is bounded: a hundred of each state, or as many as are asked for', async () => {
    const [denial] = busy.denials;
    if (denial === undefined) throw new Error('the busy picture has no denial');
    const many = {
      ...busy,
      denials: Array.from({ length: 5_000 }, () => denial),
      ended: Array.from({ length: 200 }, () => ended),
    };
    const shown = async (query: string): Promise<number> => (await ask(jobsSchema, `/api/v1/jobs${query}`, many)).jobs.length;
    expect([await shown(''), await shown('?limit=1'), await shown('?limit=1000&state=waiting')]).toEqual([202, 3, 1_000]);
  });
});

describe('the plan', () => {
  test('it says what would be done and why, what is left alone, who is not started, and what could not be read', async () => {
    const plan = await ask(planSchema, '/api/v1/plan');
    expect(plan.actions.map(({ kind, job_id, reason, why }) => [kind, job_id, reason, why])).toEqual([
      ['launch', 51, null, 'job 51 waits, and profile default serves it'],
      ['stop', 52, 'job-timeout', 'its job ran longer than its profile allows'],
      ['sweep-machine', null, null, 'it bears our mark, and no record speaks of it'],
    ]);
    expect(plan.under_way).toEqual(['j0000050abc']);
    expect(plan.not_started.map(({ job_id, reason }) => [job_id, reason])).toEqual([
      [43, 'unmatched'],
      [44, 'capacity'],
    ]);
    expect(plan.unknown).toEqual(['the free space of this host: DRIVER_FAILED: no statfs']);
  });

  test('it reads no registrations, which are asked of every forge', async () => {
    const asked: boolean[] = [];
    const preview = (registrations: boolean): Promise<typeof previewed> => {
      asked.push(registrations);
      return Promise.resolve(previewed);
    };
    await appOf(busy, { preview }).request('/api/v1/plan');
    expect(asked).toEqual([false]);
  });
});

describe('why', () => {
  test('labels that a profile has are served by it', async () => {
    expect(await ask(explainSchema, '/api/v1/explain?labels=ci')).toMatchObject({
      served_by: ['default'],
      nearest: null,
      missing: [],
      sentence: 'served by `default`',
    });
  });

  test('of labels that none has, the nearest profile and what it lacks', async () => {
    expect(await ask(explainSchema, '/api/v1/explain?labels=ci:docker://x,gpu')).toMatchObject({
      labels: ['ci', 'gpu'],
      served_by: [],
      nearest: 'default',
      missing: ['gpu'],
      sentence: 'label `gpu` is in no profile; nearest is `default`',
    });
  });

  test('of a job that waits, the reason and its place', async () => {
    const found = await ask(explainSchema, '/api/v1/explain?job=44');
    expect(found).toMatchObject({ about: 'job', state: 'waiting', jobs: [{ state: 'waiting', position: 1 }] });
    expect(found).toHaveProperty('sentences', [
      'it waits at forge forge: all 7 machines are in use; it is number 1 of those that could be started',
      'it can start at the next look: a place is free',
    ]);
  });

  test('of a job that runs, where, since when, and what troubles it', async () => {
    const found = await ask(explainSchema, '/api/v1/explain?job=42');
    expect(found).toMatchObject({ state: 'running', jobs: [{ runner: 'j0000042abc', phase: 'launching' }] });
    expect(found).toHaveProperty('sentences', [
      `runner j0000042abc of profile default is being started for it (forge forge) since ${new Date(now - 5).toISOString()}`,
    ]);
    const stopped = await ask(explainSchema, '/api/v1/explain?job=41');
    expect(JSON.stringify(stopped)).toContain('its last step failed: The machine did not stop. (DRIVER_FAILED)');
    expect(JSON.stringify(stopped)).toContain('because its job ran longer than its profile allows');
  });

  test('of a job that is done, when and how', async () => {
    const found = await ask(explainSchema, '/api/v1/explain?job=40');
    expect(found).toMatchObject({ state: 'done', jobs: [{ state: 'done', reason: 'finished' }] });
    expect(found).toHaveProperty('sentences', [
      `runner j0000040abc (forge forge) ended at ${new Date(now - 200_000).toISOString()}: its machine ended by itself after its job`,
    ]);
  });

  test('of a job that nobody knows, what that can mean; a forge that is away comes first', async () => {
    const error = { code: 'FORGE_UNREACHABLE', message: 'connection refused', since: now - 1_000 };
    const deaf = { ...quiet, forges: quiet.forges.map((forge) => ({ ...forge, error })) };
    const found = await ask(explainSchema, '/api/v1/explain?job=4711', deaf);
    expect(found).toMatchObject({ state: 'unknown', jobs: [] });
    expect(found).toHaveProperty(
      'sentences.0',
      `forge forge could not be asked since ${new Date(now - 1_000).toISOString()}: connection refused (FORGE_UNREACHABLE)`,
    );
    expect(JSON.stringify(found)).toContain('it may wait for jobs that it needs');
  });
});

describe('a bad question', () => {
  test.each([
    ['/api/v1/jobs?limit=0', 'limit'],
    ['/api/v1/jobs?limit=1001', 'limit'],
    ['/api/v1/jobs?limit=ten', 'limit'],
    ['/api/v1/jobs?limit=', 'limit'],
    ['/api/v1/jobs?limit=1&limit=2', 'limit'],
    ['/api/v1/jobs?state=Waiting', 'state'],
    ['/api/v1/jobs?states=done', 'states'],
    ['/api/v1/plan?verbose', 'verbose'],
    ['/api/v1/runners?__proto__=1', '__proto__'],
    ['/api/v1/explain', 'job'],
    ['/api/v1/explain?job=-1', 'job'],
    ['/api/v1/explain?job=99999999999999999999', 'job'],
    ['/api/v1/explain?job=1&labels=a', 'job'],
    ['/api/v1/explain?labels=', 'labels'],
    ['/api/v1/explain?labels=a,,b', 'labels'],
    [`/api/v1/explain?labels=${'a,'.repeat(60)}a`, 'labels'],
    [`/api/v1/explain?labels=${'a'.repeat(2_049)}`, 'labels'],
  ])('%s is 400 and names the parameter', async (path, parameter) => {
    expect(await problemOf(path)).toMatchObject({ status: 400, code: 'PARAMETER_INVALID', parameter });
  });

  test('a parameter with a name without end is named in part', async () => {
    expect((await problemOf(`/api/v1/jobs?${'x'.repeat(5_000)}=1`)).detail.length).toBeLessThan(200);
  });
});
