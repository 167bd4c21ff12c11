// Promises statuses of waiting jobs on their commits, from the list of jobs of a forge to the commit there, by the real adapter: set, changed,
// ended also across a restart, refused with the right that is missing, and never in the way of anything.

import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, onTestFinished, test } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import type { Denial } from '../../src/core/model.ts';
import type { Snapshot } from '../../src/core/snapshot.ts';
import type { Forge } from '../../src/forge/forge.ts';
import { createForgejo } from '../../src/forge/forgejo.ts';
import { createLog, type Log } from '../../src/log.ts';
import { createStatuses, type Statuses } from '../../src/statuses/statuses.ts';
import { createTestClock, type TestClock } from '../support/clock.ts';
import { keepStatuses } from '../../src/daemon-statuses.ts';
import { flushed } from '../support/reconciler-rig.ts';
import { startForgejo, type ForgejoStandIn } from '../support/forgejo/forgejo.ts';
import { quiet } from '../support/snapshot-fixture.ts';

let folder: string;
let standIn: ForgejoStandIn;
let clock: TestClock;
let lines: string[];
let log: Log;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'frc-statuses-'));
  standIn = await startForgejo();
  await standIn.control.addOrganization({ name: 'acme', owners: [standIn.admin] });
  await standIn.control.addRepository({ repository: 'acme/demo' });
  clock = createTestClock();
  lines = [];
  log = createLog({ level: 'info', destination: { write: (line) => void lines.push(line) } });
});
afterEach(async () => {
  await standIn.close();
  await rm(folder, { recursive: true });
});

async function aForge(token = standIn.token): Promise<Forge> {
  const tokenFile = join(folder, 'token');
  await writeFile(tokenFile, token);
  const scope = { kind: 'organization', name: 'acme' } as const;
  const forge = createForgejo({ name: 'main', url: standIn.url, instanceUrl: standIn.url, scope, tokenFile, clock: systemClock, log });
  onTestFinished(() => forge.close());
  return forge;
}

const open = (): Promise<Statuses> => createStatuses({ file: join(folder, 'statuses.json'), clock, log });
const never = new AbortController().signal;

/** The picture as the loop would take it: what the forge lists as waiting is denied for that reason. */
async function pictureOf(forge: Forge, reason: Denial['reason'] = 'capacity'): Promise<Snapshot> {
  const denials = (await forge.jobs())
    .filter(({ state }) => state === 'waiting')
    .map((job): Denial => ({ job, reason, sentence: `for ${reason}` }));
  return { ...quiet, denials, forges: quiet.forges.map((one) => ({ ...one, name: 'main' })) };
}

async function look(statuses: Statuses, forge: Forge, picture: Snapshot): Promise<void> {
  await statuses.look(picture, [{ forge, afterMs: 60_000 }], () => forge, never);
}

const said = async (): Promise<unknown> => (await standIn.control.statuses()).map(({ status, description }) => [status, description]);

test('a job that waits for long is told on the commit of its run, again when the reason changes, and when it is over', async () => {
  const [forge, statuses] = [await aForge(), await open()];
  const job = await standIn.control.queueJob({ repository: 'acme/demo', labels: ['debian'], name: 'build' });
  await look(statuses, forge, await pictureOf(forge));
  expect(await said()).toEqual([]);
  clock.advance(60_000);
  for (let index = 0; index < 3; index += 1) await look(statuses, forge, await pictureOf(forge));
  await look(statuses, forge, await pictureOf(forge, 'draining'));
  await standIn.control.cancel(job.runId);
  for (let index = 0; index < 3; index += 1) await look(statuses, forge, await pictureOf(forge));
  expect(await said()).toEqual([
    ['pending', 'waits: for capacity'],
    ['pending', 'waits: for draining'],
    ['success', 'does not wait any more'],
  ]);
  expect((await standIn.control.requests())['GET /api/v1/repos/{owner}/{repo}/actions/runs/{id}']).toBe(1);
  const answer = await fetch(`${standIn.url}/api/v1/repos/acme/demo/actions/runs/${job.runId}`);
  const run = (await answer.json()) as Readonly<Record<string, unknown>>;
  for (const status of await standIn.control.statuses())
    expect(status).toMatchObject({
      repository: 'acme/demo',
      sha: run['commit_sha'],
      context: 'forgejo-runner-controller/waiting / build',
      target: run['html_url'],
    });
  expect(lines).toEqual([]);
});

test('what was told before a restart is ended after it; a file that cannot be read is none', async () => {
  const forge = await aForge();
  const before = await open();
  const job = await standIn.control.queueJob({ repository: 'acme/demo', labels: ['debian'] });
  await look(before, forge, await pictureOf(forge));
  clock.advance(60_000);
  await look(before, forge, await pictureOf(forge));
  await standIn.control.cancel(job.runId);
  const after = await open();
  await look(after, forge, await pictureOf(forge));
  expect(await said()).toEqual([
    ['pending', 'waits: for capacity'],
    ['success', 'does not wait any more'],
  ]);
  expect(JSON.parse(await readFile(join(folder, 'statuses.json'), 'utf8'))).toEqual({ version: 1, posted: [] });
  for (const text of ['{', '[]', '{"posted":[{"key":1}]}', '{"posted":7}']) {
    await writeFile(join(folder, 'statuses.json'), text);
    await look(await open(), forge, await pictureOf(forge));
  }
  expect(await said()).toHaveLength(2);
});

test.each([
  ['is no JSON', '{'],
  ['holds something else', '{"posted":7}'],
  ['holds something else', '{"posted":[{"key":1}]}'],
])('a file of what was told that %s is told in one line: %s', async (why, text) => {
  await open();
  expect(lines).toEqual([]);
  await writeFile(join(folder, 'statuses.json'), text);
  await open();
  expect(lines.map((line) => JSON.parse(line))).toMatchObject([
    { event: 'commit-status', level: 'warn', file: join(folder, 'statuses.json'), msg: expect.stringContaining(why) },
  ]);
});

test('a file of what was told that cannot be read is told with why', async () => {
  await mkdir(join(folder, 'statuses.json'));
  await open();
  expect(lines.join('')).toContain('(EISDIR)');
});

test('a token without the right is told which it needs, in one line, and is tried again a minute later', async () => {
  const token = await standIn.control.addToken({ user: standIn.admin, scopes: ['write:organization'] });
  const [forge, statuses] = [await aForge(token), await open()];
  await standIn.control.queueJob({ repository: 'acme/demo', labels: ['debian'] });
  await look(statuses, forge, await pictureOf(forge));
  clock.advance(60_000);
  for (let index = 0; index < 5; index += 1) await look(statuses, forge, await pictureOf(forge));
  expect((await standIn.control.requests())['GET /api/v1/repositories/{id}']).toBe(1);
  clock.advance(60_000);
  await look(statuses, forge, await pictureOf(forge));
  expect((await standIn.control.requests())['GET /api/v1/repositories/{id}']).toBe(2);
  expect(lines.map((line) => JSON.parse(line))).toMatchObject([
    { event: 'commit-status', level: 'warn', forge: 'main', code: 'FORGE_UNAUTHORIZED', msg: expect.stringContaining('write:repository') },
  ]);
});

test('of a hundred that wait at once five are told at a look, and the commit of a run is looked up once', async () => {
  const [forge, statuses] = [await aForge(), await open()];
  await standIn.control.queueJobs({ repository: 'acme/demo', labels: ['debian'], count: 100 });
  const picture = await pictureOf(forge);
  await look(statuses, forge, picture);
  clock.advance(60_000);
  await look(statuses, forge, picture);
  expect(await standIn.control.statuses()).toHaveLength(5);
  await look(statuses, forge, { ...picture, denials: picture.denials.map((one) => ({ ...one, reason: 'draining' })) });
  const asked = await standIn.control.requests();
  expect(asked['GET /api/v1/repos/{owner}/{repo}/actions/runs/{id}']).toBeLessThanOrEqual(10);
});

test('a run that is gone is forgotten, and a forge that does not tell runs is named once', async () => {
  const [forge, statuses] = [await aForge(), await open()];
  await standIn.control.queueJob({ repository: 'acme/demo', labels: ['debian'] });
  const picture = await pictureOf(forge);
  const strange = picture.denials.map((one) => ({ ...one, job: { ...one.job, runId: 999 } }));
  await look(statuses, forge, { ...picture, denials: strange });
  clock.advance(60_000);
  await look(statuses, forge, { ...picture, denials: strange });
  const asked = await standIn.control.requests();
  for (let index = 0; index < 3; index += 1) await look(statuses, forge, { ...picture, denials: strange });
  expect([await said(), lines, await standIn.control.requests()]).toEqual([[], [], asked]);
  const old = picture.denials.map(({ job: { runId: _run, ...job }, ...one }) => ({ ...one, job }));
  const strangers = old.map((one) => ({ ...one, job: { ...one.job, handle: 'another' } }));
  await look(statuses, forge, { ...picture, denials: strangers });
  clock.advance(60_000);
  for (let index = 0; index < 3; index += 1) await look(statuses, forge, { ...picture, denials: strangers });
  expect(lines).toHaveLength(1);
  expect(lines[0]).toContain('Forgejo 16');
});

/** What the service does, until it is told to end. */
function keep(forge: Forge, picture: Snapshot, isWanted: () => boolean): () => Promise<void> {
  const ended = new AbortController();
  const entry = { name: 'main', url: standIn.url, instanceUrl: standIn.url, scope: forge.scope, tokenFile: '/t', pollIntervalMs: 1_000 };
  const keeping = keepStatuses(
    {
      parts: { clock, forgeOf: () => forge },
      stateDir: folder,
      forges: () => [isWanted() ? { ...entry, waitingStatus: { afterMs: 10_000 } } : entry],
      reconciler: { snapshot: () => picture },
      log,
    },
    ended.signal,
  );
  return async () => {
    ended.abort();
    await keeping;
  };
}

/** What was told, once it is so much. */
async function toldOnce(count: number): Promise<unknown> {
  const look = async (): Promise<unknown> => {
    clock.advance(5_000);
    return said();
  };
  await expect.poll(look, { timeout: 15_000 }).toHaveLength(count);
  return said();
}

test('the service looks again and again while somebody wants it, and its end waits for nothing', async () => {
  const forge = await aForge();
  await standIn.control.queueJob({ repository: 'acme/demo', labels: ['debian'] });
  let wanted = false;
  const end = keep(forge, await pictureOf(forge), () => wanted);
  for (let index = 0; index < 5; index += 1) {
    clock.advance(60_000);
    await flushed();
  }
  expect(await said()).toEqual([]);
  wanted = true;
  expect(await toldOnce(1)).toEqual([['pending', 'waits: for capacity']]);
  await end();
});

test('what was told is ended also by a service that was started again without the wish', async () => {
  const forge = await aForge();
  const job = await standIn.control.queueJob({ repository: 'acme/demo', labels: ['debian'] });
  const end = keep(forge, await pictureOf(forge), () => true);
  expect(await toldOnce(1)).toEqual([['pending', 'waits: for capacity']]);
  await end();
  await standIn.control.cancel(job.runId);
  const endAgain = keep(forge, await pictureOf(forge), () => false);
  expect(await toldOnce(2)).toEqual([
    ['pending', 'waits: for capacity'],
    ['success', 'does not wait any more'],
  ]);
  await endAgain();
});
