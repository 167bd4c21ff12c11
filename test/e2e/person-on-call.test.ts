// What a person on call asks the packaged command line about the packaged service: why a job waits, what a machine said before it was killed,
// whether all is well here and may go down, what went wrong; and that the service answers nobody from elsewhere.

import { connect } from 'node:net';
import { expect, test } from 'vitest';
import { hold, openScene, runClient } from '../support/service-scene.ts';
import { serviceAddress, sh } from '../support/service.ts';
import { smoke } from '../smoke/checks.ts';

/** What runner-status prints, when it ends well. */
async function said(...words: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await runClient(words);
  expect([words, code, stderr]).toEqual([words, 0, '']);
  return stdout;
}

test('the last words of a machine that was killed and its cause, why a job waits, and what went wrong are one command each', async ({
  onTestFinished,
}) => {
  const scene = await openScene(onTestFinished);
  const service = await scene.start({
    profiles: [
      { name: 'default', labels: ['debian', 'ubuntu-latest'], timeouts: { pick: '2s' } },
      { name: 'small', labels: ['small'], limits: { memory: '256MiB' } },
    ],
  });
  const at = ['--url', service.url];
  const holder = await scene.queue(hold, { group: 'production' });
  await service.until('the first holds the group', ({ runners }) => runners.some(({ picked_at: picked }) => picked !== null));
  const blocked = await scene.queue('true', { group: 'production' });
  // The kernel takes whom it is pointed at: the runner, the parent of the step's shell.
  const greedy = await scene.queue('echo 1000 >/proc/$PPID/oom_score_adj; head -c 400M /dev/zero | tail', { labels: ['small'] });
  expect((await scene.done(service, greedy)).status).toBe('failure');
  const { recent } = await service.until('the end of the machine is known', (status) =>
    status.recent.some(({ profile }) => profile === 'small'),
  );
  const { id = '' } = recent.find(({ profile }) => profile === 'small') ?? {};

  const log = await said('logs', id, ...at);
  expect(log).toMatch(/level=info msg=/);
  expect(log.trimEnd().split('\n').at(-1)).toBe('(the machine ended: killed: memory limit 256 MiB)');
  await service.until('the second rests', ({ waiting_jobs: [waiting] }) => waiting?.reason === 'back-off');
  const jobs = await said('jobs', ...at);
  expect(jobs).toMatch(new RegExp(`^main ${greedy.jobId} .* killed: memory limit 256 MiB$`, 'm'));
  expect(jobs).toMatch(new RegExp(`^main ${blocked.jobId} .* Forgejo did not hand it .*concurrency group`, 'm'));
  const explained = await said('explain', '--labels', 'ubuntu-latest,gpu', ...at);
  expect(explained).toContain('nearest profile: default; missing: gpu\n');

  const lines = await service.log();
  for (const [priority, levels] of [
    ['warning', ['warn', 'error']],
    ['err', ['error']],
    ['info', ['info', 'warn', 'error']],
  ] as const) {
    const shown = await sh('journalctl', '--unit', service.unit, '--output=cat', '--no-pager', `--priority=${priority}`);
    const got = shown.split('\n').flatMap((line) => (line.startsWith('{') ? [JSON.parse(line) as Record<string, unknown>] : []));
    const expected = lines.filter(({ level }) => levels.some((one) => one === level));
    // The service goes on meanwhile: what is later than the list is not compared.
    expect(got.slice(0, expected.length)).toEqual(expected);
    expect(got.every(({ level }) => levels.some((one) => one === level))).toBe(true);
  }
  expect(lines.some(({ level }) => level === 'warn')).toBe(true);
  await scene.open();
  expect(await scene.done(service, holder)).toMatchObject({ status: 'success' });
});

/** What a stranger gets who asks there: an answer, or why there is none. */
function knock(host: string, port: number): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(port, host, () => {
      socket.destroy();
      resolve('answered');
    });
    socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
  });
}

test('a good host passes the doctor and the smoke test, nobody is answered from elsewhere, and drain --wait ends with the last job', async ({
  onTestFinished,
}) => {
  const scene = await openScene(onTestFinished);
  const service = await scene.start();
  const job = await scene.running(service);

  const doctor = await runClient(['doctor', '--json', ...service.arguments]);
  const { findings } = JSON.parse(doctor.stdout) as { readonly findings: readonly { readonly state: string; readonly sentence: string }[] };
  expect(findings.filter(({ state }) => state === 'failed')).toEqual([]);
  expect(doctor.code).toBe(0);
  expect((await smoke({ url: service.url })).filter(({ ok }) => !ok)).toEqual([]);
  const port = Number(new URL(service.url).port);
  expect([await knock(serviceAddress, port), await knock('::1', port), await knock('127.0.0.1', port)]).toEqual([
    'ECONNREFUSED',
    expect.stringMatching(/^E/),
    'answered',
  ]);

  let ended: number | undefined;
  const socket = `/run/forgejo-runner-controller/${service.controllerId}.sock`;
  const drained = runClient(['drain', '--wait', '--socket', socket]).then((end) => {
    ended = end.code;
    return end;
  });
  await service.until('it drains', ({ drain }) => drain?.left === 1);
  expect([ended, (await scene.control.job(job.jobId)).status]).toEqual([undefined, 'running']);
  await scene.open();
  const { code, stderr } = await drained;
  expect([code, stderr]).toEqual([0, expect.stringMatching(/1 left\n[^]*drained: /)]);
  expect((await scene.control.job(job.jobId)).status).toBe('success');
  expect(await service.ended()).toBe('success exited 0');
});
