// Promises that a forge which answers rubbish costs nothing but time (I2): whatever it says, the loop goes on, no machine is stopped or
// removed, no registration is deleted, and once it speaks sense again the jobs end as if nothing had been.

import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Job, Registration } from '../../src/core/model.ts';
import { ControllerError } from '../../src/errors.ts';
import { jsonOf, parseJobs, parseRegistration, parseRegistrations, type Parsed } from '../../src/forge/forgejo-wire.ts';
import { createRig, type Rig } from '../support/reconciler-rig.ts';
import { uuidOf } from '../support/forgejo-under-test.ts';

type Rows = readonly Readonly<Record<string, unknown>>[];

function jobRowsOf(jobs: readonly Job[]): Rows {
  return jobs.map(({ id, handle, attempt, repositoryId, ownerId, name, labels, taskId, state }) => {
    const ids = { id, attempt, handle, repo_id: repositoryId, owner_id: ownerId, task_id: taskId };
    return { ...ids, name, runs_on: labels, status: state };
  });
}

/** Turns what the forge would say, as JSON, into what it says. */
type Spoil = (truth: unknown) => string;

const junk = fc.oneof(
  fc.jsonValue(),
  fc.constantFrom<unknown>(0, -1, 2 ** 53, 1e300, '', '1', 'x'.repeat(100_000), '\0', '\u202e', '\ud800', [], {}, [[]], true, null),
);
const rubbish: fc.Arbitrary<Spoil> = fc.oneof(
  fc.constantFrom<Spoil>(
    () => '',
    () => '<html>',
    () => '[',
    () => '['.repeat(10_000),
    () => '\ufeff[]',
    (truth) => JSON.stringify(truth).slice(0, -1),
    (truth) => JSON.stringify({ data: truth }),
    (truth) => JSON.stringify(truth).replaceAll(/"id":\d+/g, '"id":1e400'),
    (truth) => (Array.isArray(truth) ? JSON.stringify([...(truth as unknown[]), ...(truth as unknown[])]) : 'null'),
  ),
  fc.jsonValue().map(
    (value): Spoil =>
      () =>
        JSON.stringify(value),
  ),
  // One field of each row replaced or left out.
  fc.tuple(fc.nat(), junk, fc.boolean()).map(([nth, value, drop]): Spoil => {
    const spoiled = (row: unknown): unknown => {
      if (typeof row !== 'object' || row === null) return row;
      const names = Object.keys(row);
      return { ...row, [names[nth % names.length] ?? 'id']: drop ? undefined : value };
    };
    return (truth) => JSON.stringify(Array.isArray(truth) ? truth.map(spoiled) : spoiled(truth));
  }),
);

function valueOf<T>(parsed: Parsed<T>): T {
  if (parsed.ok) return parsed.value;
  throw new ControllerError('FORGE_INCOMPATIBLE', parsed.problem);
}

function readOf<T>(text: string, parse: (json: unknown) => Parsed<T>): T {
  const json = jsonOf(text);
  if (json === undefined) throw new ControllerError('FORGE_UNREACHABLE', 'no JSON');
  return valueOf(parse(json));
}

/** A whole list without what is there is a lie, not rubbish: nobody can tell it from the truth, and those are left out of these answers. */
function unlessLie<T>(value: readonly T[], truth: readonly T[], same: (a: T, b: T) => boolean): readonly T[] {
  if (truth.every((each) => value.some((other) => same(each, other)))) return value;
  throw new ControllerError('FORGE_UNREACHABLE', 'not told');
}

/** From now on every read goes through `spoil` and the real parser. Returns how to make it honest again. */
function corrupt({ forge }: Rig, spoil: (nth: number) => Spoil): () => void {
  const honest = { ...forge };
  let asked = 0;
  let healed = false;
  const next = (): Spoil => spoil((asked += 1));
  Object.assign(forge, {
    jobs: async () => {
      const truth = await honest.jobs();
      if (healed) return truth;
      const found = readOf(next()(jobRowsOf(truth)), (json) => parseJobs(forge.name, json));
      return unlessLie(found, truth, (a, b) => a.handle === b.handle && (a.state === b.state || a.state === 'waiting'));
    },
    registrations: async () => {
      const truth = await honest.registrations();
      if (healed) return truth;
      const found = readOf(next()(truth), parseRegistrations);
      return unlessLie(found, truth, (a, b) => a.id === b.id && a.name === b.name);
    },
    registration: async (id: number): Promise<Registration | undefined> => {
      const truth = await honest.registration(id);
      if (healed) return truth;
      const found = readOf(next()(truth ?? {}), parseRegistration);
      return unlessLie(
        [found],
        truth === undefined ? [] : [truth],
        (a, b) => a.id === b.id && (b.status === 'active' || a.status === b.status),
      )[0];
    },
    register: () => Promise.reject(new ControllerError('FORGE_INCOMPATIBLE', 'the new registration was read back as another one')),
  });
  return () => void (healed = true);
}

async function busyRig(): Promise<Rig> {
  const rig = createRig({ maxConcurrent: 3 });
  for (const id of [1, 2]) rig.forge.queue(id);
  await rig.step();
  for (const { assignment } of rig.driver.machines.values())
    if (assignment !== undefined) rig.forge.pick(assignment.uuid, assignment.handle);
  await rig.step();
  expect([...rig.store.records.values()].map(({ pickedAt }) => pickedAt !== undefined)).toEqual([true, true]);
  return rig;
}

const harmful = (rig: Rig): readonly string[] => [
  ...rig.driver.calls.filter(({ verb }) => verb === 'stop' || verb === 'remove').map(({ verb, id }) => `${verb} ${id}`),
  ...rig.forge.calls.filter((call) => call.startsWith('unregister')),
];

test('I2 a forge that answers rubbish, for minutes and at every question, costs no running job anything', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(rubbish, { minLength: 1, maxLength: 8 }), async (answers) => {
      const rig = await busyRig();
      const foreign = await rig.forge.register('office-runner', 'not ours');
      const heal = corrupt(rig, (nth) => answers[nth % answers.length] ?? (() => ''));
      for (let second = 0; second < 40; second += 1) {
        if (second % 8 === 0) rig.reconciler.maintain();
        if (second === 20) rig.restart();
        await rig.step(5_000);
      }
      expect(harmful(rig)).toEqual([]);
      expect([...rig.driver.machines.values()].map(({ state }) => state)).toEqual(['running', 'running']);
      heal();
      for (const { assignment } of rig.driver.machines.values()) rig.forge.end(assignment?.handle ?? '');
      for (const id of rig.driver.machines.keys()) rig.driver.end(id);
      for (let second = 0; second < 60; second += 1) await rig.step();
      expect([rig.driver.machines.size, rig.store.records.size]).toEqual([0, 0]);
      expect((await rig.forge.registrations()).map(({ id }) => id)).toEqual([foreign.id]);
      expect(rig.reconciler.snapshot().ended.map(({ reason }) => reason)).toEqual(['finished', 'finished']);
    }),
    { numRuns: 150 },
  );
});

test('the parser gives back what a forge says in earnest', () => {
  const truth = { id: 4, uuid: uuidOf(4), name: 'j0000001abc', description: 'ours', ephemeral: true, status: 'idle' };
  expect(readOf(JSON.stringify(truth), parseRegistration)).toEqual(truth);
});
