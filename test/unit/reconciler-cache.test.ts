// Whose jobs share what jobs keep: the loop says it to the host with each machine it starts, and remembers it as long as the machine is not there.

import { expect, test } from 'vitest';
import type { Job } from '../../src/core/model.ts';
import { aProfile } from '../support/build.ts';
import { createRig, type Rig } from '../support/reconciler-rig.ts';

const cache = { path: '/cache', maxBytes: 5 * 1024 ** 3, maxAgeMs: 86_400_000 };
const own = { fork: false, repository: 'acme/demo', event: 'push' };
const keeping = { profiles: [aProfile({ cache })] };
const ofMain = (repository: number) => expect.stringMatching(new RegExp(`^main-[0-9a-f]{12}/default-${repository}$`)) as unknown;

async function lentTo(rig: Rig, jobs: readonly Partial<Job>[]): Promise<readonly unknown[]> {
  for (const [index, over] of jobs.entries()) rig.forge.queue(index + 1, over);
  await rig.step();
  return [...rig.driver.machines.values()].toSorted((a, b) => a.spec.id.localeCompare(b.spec.id)).map(({ spec }) => spec.cache);
}

test('jobs of one repository are lent the same, those of another another, and those of a fork or of nobody knows whom none', async () => {
  const jobs: Partial<Job>[] = [
    { repositoryId: 7, origin: own },
    { repositoryId: 7, origin: own },
    { repositoryId: 8, origin: own },
    { repositoryId: 7, origin: { ...own, fork: true } },
    { repositoryId: 7 },
    { repositoryId: 7, origin: { ...own, event: 'pull_request_target' } },
    { repositoryId: 7, origin: { fork: false, repository: 'acme/demo' } },
  ];
  const lent = await lentTo(createRig(keeping), jobs);
  expect(lent).toEqual([ofMain(7), ofMain(7), ofMain(8), undefined, undefined, undefined, undefined]);
  expect(lent[0]).toBe(lent[1]);
});

test('a profile without a cache lends none', async () => {
  expect(await lentTo(createRig(), [{ repositoryId: 7, origin: own }])).toEqual([undefined]);
});

test('whose code a job runs is on its record: a start that a kill cut short is resumed with the same', async () => {
  const rig = createRig(keeping);
  rig.driver.fail('start', { times: 1 });
  expect(await lentTo(rig, [{ repositoryId: 7, origin: own }])).toEqual([]);
  Object.assign(rig.forge, { jobs: async () => [] });
  rig.restart();
  await rig.step();
  expect([...rig.driver.machines.values()].map(({ spec }) => spec.cache)).toEqual([ofMain(7)]);
});
