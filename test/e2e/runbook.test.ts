// The recipes of docs/OPERATIONS.md as they stand there: every command of them is run against a real service and does what it says.

import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openScene, runnerOf } from '../support/service-scene.ts';
import { sh, type Service } from '../support/service.ts';

/** What the recipes ask of curl, for a host that has none. */
const standIn = `#!/usr/bin/env node
const args = process.argv.slice(2);
const text = args.includes('@-') ? require('node:fs').readFileSync(0, 'utf8') : '';
const [name, value] = text.split(': ');
fetch(args.at(-1), { headers: text === '' ? {} : { [name]: value } }).then(async (reply) => {
  process.stdout.write(await reply.text());
  process.exitCode = reply.ok ? 0 : 22;
});
`;
let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'runbook-'));
  await writeFile(join(folder, 'curl'), standIn, { mode: 0o755 });
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Runs a line as a person does in a shell; a curl of the host's own comes first. */
const typed = (line: string): Promise<string> => sh('sh', '-c', `PATH=$PATH:${folder}; ${line}`);

const program = (name: string): string => fileURLToPath(new URL(`../../dist/${name}.js`, import.meta.url));

/** runner-status, which asks that service. */
async function clientOf({ controllerId }: Service): Promise<void> {
  const socket = `/run/forgejo-runner-controller/${controllerId}.sock`;
  await writeFile(
    join(folder, 'runner-status'),
    `#!/bin/sh\nexec ${process.execPath} ${program('runner-status')} "$@" --socket ${socket}\n`,
    {
      mode: 0o755,
    },
  );
}

/** The command lines of a section, with the names of the example replaced by those of this service. */
async function recipe(title: string, service: Service, more: Readonly<Record<string, string>>): Promise<readonly string[]> {
  const text = await readFile(new URL('../../docs/OPERATIONS.md', import.meta.url), 'utf8');
  const section = text.split(`\n## ${title}\n`)[1]?.split('\n## ')[0] ?? '';
  const blocks = [...section.matchAll(/```sh\n([^`]*)```/g)].map((hit) => hit[1] ?? '');
  const names: Readonly<Record<string, string>> = {
    'http://127.0.0.1:8080': service.url,
    'ci-1': service.controllerId,
    '/etc/forgejo-runner-controller/token': service.tokenFile,
    '/var/lib/forgejo-runner-controller': service.stateDir,
    ...more,
  };
  const replaced = Object.entries(names).reduce((lines, [from, to]) => lines.replaceAll(from, to), blocks.join(''));
  return replaced.split('\n').filter((line) => line !== '');
}

test('the recipe for a stuck container finds it, shows it, and ends it: the job is failed, and nothing is left', async ({
  onTestFinished,
}) => {
  const scene = await openScene(onTestFinished);
  const service = await scene.start();
  const job = await scene.running(service);
  const machine = runnerOf(await service.status(), job)?.machine ?? '';
  const lines = await recipe('A container is stuck', service, { j0000000042: machine });
  expect(lines.map((line) => line.split(' ')[0])).toEqual(['curl', 'systemctl', 'journalctl', 'nsenter', 'systemctl']);
  const [status = '', unit = '', journal = '', inside = '', kill = ''] = lines;
  expect(await typed(status)).toContain(machine);
  expect(await typed(unit)).toContain('(running)');
  await typed(journal);
  expect(await typed(`echo 'echo inside; test -e /gate && echo gate' | ${inside}`)).toBe('inside\ngate');
  await typed(kill);
  expect(await scene.done(service, job)).toMatchObject({ status: 'failure' });
  await scene.clean(service);
});

test("the recipe for ghost runners shows whose they are, and a clean-up or a restart removes ours and nobody else's", async ({
  onTestFinished,
}) => {
  const scene = await openScene(onTestFinished);
  const service = await scene.start();
  const job = await scene.running(service);
  const ours = (await scene.control.registrations()).find(({ description }) => description.includes(`${service.controllerId}@`));
  const api = `${scene.forgejo.url}/api/v1/admin`;
  const plant = async (name: string, description: string): Promise<void> => {
    await fetch(`${api}/actions/runners`, {
      method: 'POST',
      headers: { authorization: `token ${scene.forgejo.token}`, 'content-type': 'application/json' },
      body: JSON.stringify({ name, description, ephemeral: true }),
    });
  };
  await plant('j0000008abc', ours?.description ?? '');
  await plant('office', '');
  await clientOf(service);
  const [list = '', records = '', tell = '', remove = '', restart = ''] = await recipe("Ghost runners in Forgejo's list", service, {
    'https://forge.example.org/api/v1/orgs/builders': api,
  });
  const listed = await typed(list);
  for (const name of ['j0000008abc', 'office', ours?.name ?? '?']) expect(listed).toContain(name);
  expect(await typed(records)).toBe(`${ours?.name}.json`);
  expect(await typed(tell)).toContain('1 registration would be deleted.');
  expect(await typed(remove)).toContain('1 of 1 registration was deleted.');
  expect(new Set((await scene.control.registrations()).map(({ name }) => name))).toEqual(new Set([ours?.name, 'office']));
  await plant('j0000008abc', ours?.description ?? '');
  expect(restart).toBe('systemctl restart forgejo-runner-controller');
  // What restart does; the unit of the test is made anew for each start.
  await service.stop();
  await service.start();
  await service.until('the ghost is gone', async () => !(await scene.control.registrations()).some(({ name }) => name === 'j0000008abc'));
  expect((await scene.control.registrations()).map(({ name }) => name)).toEqual(expect.arrayContaining(['office', ours?.name]));
  await scene.open();
  expect(await scene.done(service, job)).toMatchObject({ status: 'success' });
});

test('the recipe for a service that does not start shows its state, its sentence and every remedy; with the token back it starts', async ({
  onTestFinished,
}) => {
  const scene = await openScene(onTestFinished);
  const service = await scene.prepare();
  const token = await readFile(service.tokenFile, 'utf8');
  await rm(service.tokenFile);
  const client = `#!/bin/sh\nexec ${process.execPath} ${program('runner-status')} "$@" ${service.arguments.join(' ')}\n`;
  await writeFile(join(folder, 'runner-status'), client, { mode: 0o755 });
  // As the shipped unit starts it; what failed stays known until it is started again.
  const start = [process.execPath, program('forgejo-runner-controller'), ...service.arguments];
  await sh('systemd-run', '--quiet', '--no-block', `--unit=${service.unit}`, '-p', 'KillMode=process', ...start);
  onTestFinished(async () => void (await typed(`systemctl stop ${service.unit}; systemctl reset-failed ${service.unit} 2>&1 || :`)));
  await expect.poll(() => typed(`systemctl is-active ${service.unit} || :`), { timeout: 20_000 }).toBe('failed');
  const [status = '', journal = '', doctor = ''] = await recipe('The controller does not start', service, {
    'forgejo-runner-controller': service.unit,
  });
  expect(await typed(`${status} || :`)).toContain('status=5');
  expect(await typed(journal)).toContain(`TOKEN_UNREADABLE: The configuration has one mistake:`);
  const told = await typed(`${doctor} || :`);
  expect(told).toContain(`${service.tokenFile} cannot be looked at (ENOENT)`);
  expect(told).toMatch(/-> .*access token/);
  await writeFile(service.tokenFile, token, { mode: 0o600 });
  await sh('systemctl', 'restart', service.unit);
  await service.until('it serves', ({ ticks }) => ticks > 0);
  expect(await typed(doctor)).toContain('0 failed');
});

test('the recipe for maintenance drains the service, takes it back, and shows when it is down', async ({ onTestFinished }) => {
  const scene = await openScene(onTestFinished);
  const service = await scene.start();
  await clientOf(service);
  const job = await scene.running(service);
  const [drain = '', resume = '', drainBySignal = '', resumeBySignal = '', isActive = ''] = await recipe('Drain for maintenance', service, {
    'forgejo-runner-controller': service.unit,
  });
  const waiting = typed(drain).then(
    () => 'through',
    (error: unknown) => String(error),
  );
  await service.until('it drains', ({ draining }) => draining);
  expect(await typed(isActive)).toBe('active');
  await typed(resume);
  expect(await waiting).toContain('Command failed');
  await typed(drainBySignal);
  await service.until('it drains', ({ draining }) => draining);
  await typed(resumeBySignal);
  await service.until('it serves', ({ draining }) => !draining);
  const through = typed(drain);
  await service.until('it drains again', ({ draining }) => draining);
  await scene.open();
  expect(await service.ended()).toBe('success exited 0');
  await through;
  await expect(typed(isActive)).rejects.toThrow('Command failed');
  expect((await scene.control.job(job.jobId)).status).toBe('success');
});
