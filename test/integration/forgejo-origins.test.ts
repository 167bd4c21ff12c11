// Promises where a waiting job comes from: asked of the forge for those jobs alone of which it is wanted, once per run, and left open where the
// forge does not say, without the list of jobs suffering from it.

import { afterEach, beforeEach, expect, test } from 'vitest';
import { forgejoUnderTest, jobRow } from '../support/forgejo-under-test.ts';
import { startForgejo, type ForgejoStandIn } from '../support/forgejo/forgejo.ts';
import type { Script } from '../support/scripted-server.ts';
import { createForgejo } from '../../src/forge/forgejo.ts';
import { systemClock } from '../../src/clock.ts';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const asksOrigin = (): boolean => true;
const runs = '/api/v1/repos/acme/demo/actions/runs';
const own = { fork: false, repository: 'acme/demo' };
const quietLog = { debug() {}, info() {}, warn() {}, error() {}, conceal() {} };

let standIn: ForgejoStandIn;
let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'frc-origins-'));
  standIn = await startForgejo();
  await standIn.control.addOrganization({ name: 'acme', owners: [standIn.admin] });
  await standIn.control.addRepository({ repository: 'acme/demo' });
});
afterEach(async () => {
  await standIn.close();
  await rm(folder, { recursive: true });
});

/** A server with these jobs, whose runs answer as told. */
const serving =
  (rows: readonly unknown[], ofRun: (run: number) => unknown): Script =>
  ({ path }) => {
    if (path.endsWith('/runners/jobs')) return { status: 200, json: rows };
    if (path.startsWith('/api/v1/repositories/')) return { status: 200, json: { full_name: 'acme/demo' } };
    const found = ofRun(Number(path.split('/').at(-1)));
    return typeof found === 'number' ? { status: found, json: { message: 'no' } } : { status: 200, json: found };
  };

test('a job of a pull request of a fork is told from one of the repository, and so are repository and event', async () => {
  const tokenFile = join(folder, 'token');
  await writeFile(tokenFile, standIn.token);
  const scope = { kind: 'organization', name: 'acme' } as const;
  const place = { name: 'main', url: standIn.url, instanceUrl: standIn.url, scope, tokenFile, clock: systemClock, log: quietLog };
  const forge = createForgejo({ ...place, asksOrigin });
  await standIn.control.queueJob({ repository: 'acme/demo', labels: ['x'] });
  await standIn.control.queueJob({ repository: 'acme/demo', labels: ['x'], fork: true, event: 'pull_request' });
  expect((await forge.jobs()).map(({ origin }) => origin)).toEqual([
    { fork: false, repository: 'acme/demo', event: 'workflow_dispatch' },
    { fork: true, repository: 'acme/demo', event: 'pull_request' },
  ]);
  await forge.close();
});

test('each run and the name of a repository are asked for once, and only of jobs that wait and are wanted', async () => {
  const rows = [
    jobRow(1),
    jobRow(2),
    jobRow(3, { run_id: 2 }),
    jobRow(4, { task_id: 4, status: 'running' }),
    jobRow(5, { runs_on: ['other'] }),
  ];
  const { forge, server } = await forgejoUnderTest(
    serving(rows, (run) => ({ is_fork_pull_request: run === 2 })),
    { asksOrigin: ({ labels }) => labels[0] === 'docker' },
  );
  const fork = { ...own, fork: true };
  const seen = [own, fork, fork, undefined, undefined];
  for (let round = 0; round < 2; round += 1) expect((await forge.jobs()).map(({ origin }) => origin)).toEqual(seen);
  const asked = server.asked().filter((line) => !line.endsWith('/runners/jobs'));
  expect(asked).toEqual(['GET /api/v1/repositories/1', `GET ${runs}/1`, `GET ${runs}/2`]);
});

test.each([
  ['is not told', 404],
  ['may not be read', 403],
  ['has another shape', { fork: false }],
  ['is said in another type', { is_fork_pull_request: 'false' }],
])('a run that %s leaves the origin open, and the list whole', async (_what, answer) => {
  const { forge, server } = await forgejoUnderTest(
    serving([jobRow(1), jobRow(2)], (run) => (run === 1 ? answer : { is_fork_pull_request: false })),
    {
      asksOrigin,
    },
  );
  for (let round = 0; round < 3; round += 1) expect((await forge.jobs()).map(({ origin }) => origin)).toEqual([undefined, own]);
  expect(server.asked().filter((line) => line.endsWith(`${runs}/1`))).toHaveLength(1);
});

test('a token that may not see repositories is said once, with the right that is missing', async () => {
  const { forge, lines } = await forgejoUnderTest(
    ({ path }) =>
      path.endsWith('/runners/jobs') ? { status: 200, json: [jobRow(1), jobRow(2)] } : { status: 403, json: { message: 'no' } },
    { asksOrigin },
  );
  expect((await forge.jobs()).map(({ origin }) => origin)).toEqual([undefined, undefined]);
  await forge.jobs();
  expect(lines.filter((line) => line.includes('read:repository'))).toHaveLength(1);
});

test('a list of a thousand strangers costs a bounded number of questions each time', async () => {
  const rows = Array.from({ length: 1_000 }, (_, index) => jobRow(index + 1));
  const { forge, server } = await forgejoUnderTest(
    serving(rows, () => ({ is_fork_pull_request: true })),
    { asksOrigin },
  );
  await forge.jobs();
  expect(server.asked().length).toBeLessThanOrEqual(20);
});

test('a server that is older tells no run: nothing is asked, and the origin stays open', async () => {
  const { forge, server } = await forgejoUnderTest(
    serving([jobRow(1, { run_id: undefined })], () => 500),
    { asksOrigin },
  );
  expect((await forge.jobs())[0]?.origin).toBeUndefined();
  expect(server.asked()).toHaveLength(1);
});

test('an event that no workflow could name is none', async () => {
  const { forge } = await forgejoUnderTest(
    serving([jobRow(1)], () => ({ is_fork_pull_request: false, trigger_event: 'push, says `me`' })),
    { asksOrigin },
  );
  expect((await forge.jobs())[0]?.origin).toEqual(own);
});

test('a repository that is found under another name now is asked by it, once the server has told where the old one leads', async () => {
  let name = 'acme/demo';
  const { forge, server, tick } = await renamedForge(() => name);
  expect((await forge.jobs())[0]?.origin).toMatchObject({ repository: 'acme/demo' });
  name = 'acme/renamed';
  expect((await forge.jobs())[1]?.origin).toBeUndefined();
  tick(30_000);
  expect((await forge.jobs())[1]?.origin).toMatchObject({ repository: 'acme/renamed' });
  expect(server.asked().filter((line) => line.includes('/repositories/'))).toHaveLength(2);
});

/** Each list has one job more; the old name of the repository redirects. */
async function renamedForge(nameNow: () => string) {
  let now = 1_800_000_000_000;
  let lists = 0;
  const underTest = await forgejoUnderTest(
    ({ path }) => {
      if (path.endsWith('/runners/jobs'))
        return { status: 200, json: Array.from({ length: (lists += 1) }, (_, index) => jobRow(index + 1)) };
      if (path.startsWith('/api/v1/repositories/')) return { status: 200, json: { full_name: nameNow() } };
      const place = `/api/v1/repos/${nameNow()}`;
      if (path.startsWith(`${place}/`)) return { status: 200, json: { is_fork_pull_request: false } };
      return { status: 307, headers: { location: path.replace('/api/v1/repos/acme/demo', place) } };
    },
    { asksOrigin, now: () => now },
  );
  return { ...underTest, tick: (ms: number) => void (now += ms) };
}
