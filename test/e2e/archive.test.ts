// What a machine wrote, and why it ended, can still be read when the machine and even the service that ran it are gone.

import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openScene } from '../support/service-scene.ts';

test('the last lines of a container that ran out of memory, the limit that it met and what it used are kept, also across a restart', async ({
  onTestFinished,
}) => {
  const scene = await openScene(onTestFinished);
  const service = await scene.start({ profiles: [{ name: 'small', labels: ['debian'], limits: { memory: '256MiB' } }] });
  // The kernel takes whom it is pointed at: the runner, the parent of the step's shell.
  const queued = await scene.queue('echo 1000 >/proc/$PPID/oom_score_adj; head -c 400M /dev/zero | tail');
  expect((await scene.done(service, queued, 20_000)).status).toBe('failure');
  await scene.clean(service);
  const folder = join(service.stateDir, 'archive');
  const kept = async (): Promise<readonly string[]> => (await readdir(folder).catch(() => [])).filter((name) => name.endsWith('.log'));
  await expect.poll(kept, { timeout: 10_000 }).toHaveLength(1);
  const [name = ''] = await kept();
  const [header = '', ...lines] = (await readFile(join(folder, name), 'utf8')).split('\n');
  const told = { job_id: queued.jobId, reason: 'machine-failed', cause: 'killed: memory limit 256 MiB' };
  const { ended } = JSON.parse(header) as { ended: { cause: string; exit: { cpuMs: number; oomKills: number; memoryPeakBytes: number } } };
  expect(ended).toMatchObject({ cause: told.cause, exit: { memoryPeakBytes: 256 * 2 ** 20 } });
  expect(Math.min(ended.exit.oomKills, ended.exit.cpuMs)).toBeGreaterThan(0);
  expect(lines.join('\n')).toMatch(/level=info msg=/);
  expect((await service.status()).recent).toMatchObject([told]);
  await service.kill();
  await service.start();
  await service.until('it lists what ended before', ({ recent }) => recent.length === 1);
  expect((await service.status()).recent).toMatchObject([{ ...told, exit: { cpu_seconds: ended.exit.cpuMs / 1000 } }]);
  const answer = await fetch(`${service.url}/api/v1/runners/${name.slice(0, 11)}/log`);
  expect((await answer.text()).trimEnd().split('\n').at(-1)).toBe('(the machine ended: killed: memory limit 256 MiB)');
});
