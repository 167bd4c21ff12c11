// Promises what the doctor finds on a real host: nothing failed where all is well, a forge that the host reaches and machines do not, and no
// trace of its looking.

import { expect, test } from 'vitest';
import type { Finding } from '../../src/doctor.ts';
import { claimDoctor, doctorsId } from '../../src/driver/doctor-claim.ts';
import { hold, openScene, runProgram } from '../support/service-scene.ts';
import { serviceAddress, sh, type Service } from '../support/service.ts';

const name = 'from a machine';

async function examined(service: Service): Promise<{ readonly code: number; readonly findings: readonly Finding[] }> {
  const { code, stdout } = await runProgram(['doctor', '--json', ...service.arguments]);
  const { findings } = JSON.parse(stdout) as { readonly findings: readonly Finding[] };
  return { code, findings };
}

/** Everything of the host's network that bears the mark of machines. */
const traces = (): Promise<string> => sh('sh', '-c', 'ip netns; ls /sys/class/net; nft list tables');

test('a host and a forge where all is well fail nothing, before the service runs, beside a job, and after; nothing is left of the look', async ({
  onTestFinished,
}) => {
  const scene = await openScene(onTestFinished);
  const service = await scene.prepare();
  const before = await traces();
  const first = await examined(service);
  expect(first.findings.filter(({ state }) => state === 'failed')).toEqual([]);
  expect(first.code).toBe(0);
  expect(first.findings.filter((one) => one.name === name)).toMatchObject([
    { state: 'ok', sentence: expect.stringContaining(`http://${serviceAddress}:${new URL(scene.forgejo.url).port}`) as string },
  ]);
  expect(await traces()).toBe(before);
  await service.start();
  const job = await scene.queue(`echo @begun; ${hold}`);
  await scene.says(service, job, '@begun');
  const beside = await traces();
  const second = await examined(service);
  expect([second.code, second.findings.filter((one) => one.name === name)]).toMatchObject([0, [{ state: 'ok' }]]);
  expect(await traces()).toBe(beside);
  await scene.open();
  await scene.done(service, job);
  await scene.clean(service);
});

test('a service that looks meanwhile leaves the network of the doctor alone, and removes what one that was killed left', async ({
  onTestFinished,
}) => {
  const scene = await openScene(onTestFinished);
  const service = await scene.start();
  const release = await claimDoctor(service.controllerId);
  onTestFinished(release);
  await expect(claimDoctor(service.controllerId)).rejects.toThrow('Another doctor');
  const network = `forgejo-runner-${service.controllerId}-${doctorsId}`;
  await sh('ip', 'netns', 'add', network);
  const { ticks } = await service.status();
  const looked = await service.until('it has looked five times', (status) => status.ticks > ticks + 5);
  expect([looked.host.machines, await sh('ip', 'netns', 'list')]).toEqual([0, expect.stringContaining(network)]);
  release();
  await service.until('it is swept', async () => !(await sh('ip', 'netns', 'list')).includes(network));
  expect((await service.log()).filter(({ event }) => event === 'sweep')).toMatchObject([{ runner: doctorsId }]);
  await scene.clean(service);
});

test('a forge that a firewall of this host keeps from machines is told, with what to do', async ({ onTestFinished }) => {
  const scene = await openScene(onTestFinished);
  const service = await scene.prepare();
  const port = new URL(scene.forgejo.url).port;
  const theirs = `table inet theirs { chain input { type filter hook input priority 5; iifname "fr-*" tcp dport ${port} reject; }; chain pass { type filter hook forward priority 5; policy drop; }; }`;
  await sh('nft', theirs);
  onTestFinished(() => sh('nft', 'delete table inet theirs').then(() => undefined));
  const { code, findings } = await examined(service);
  expect(code).toBe(1);
  expect(findings.filter((one) => one.name === 'firewalls')).toMatchObject([
    { state: 'warning', sentence: expect.stringContaining('chain pass of inet theirs') as string },
  ]);
  expect(findings.filter((one) => one.name === name || one.name === 'server')).toMatchObject([
    { name: 'server', state: 'ok' },
    {
      name,
      state: 'failed',
      sentence: expect.stringMatching(/does not reach .*(?:ECONNREFUSED|EHOSTUNREACH|ETIMEDOUT)/) as string,
      remedy: expect.stringContaining('firewalls of this host') as string,
    },
  ]);
});
