// A token file that is away just when the controller has to start again, under the restart rules of the unit that is shipped.

import { readFile, rename, writeFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { hold, openScene, timesGiven } from '../support/service-scene.ts';
import { sh } from '../support/service.ts';

/** What contrib/systemd/forgejo-runner-controller.service says of restarts; only the pause is shorter. */
async function restartRules(): Promise<readonly string[]> {
  const unit = await readFile(new URL('../../contrib/systemd/forgejo-runner-controller.service', import.meta.url), 'utf8');
  const rules = unit.match(/^(?:Restart|RestartPreventExitStatus|StartLimitIntervalSec)=.*$/gm) ?? [];
  expect(rules).toHaveLength(3);
  return [...rules, 'RestartSec=100ms'];
}

test.each([
  ['missing', (path: string) => rename(path, `${path}.away`)],
  ['empty', (path: string) => writeFile(path, '')],
])(
  'I9 a controller that is killed while its token file is %s comes back with it, and its running job ends as if nothing had been',
  async (_, spoil) => {
    const closers: (() => Promise<void>)[] = [];
    try {
      const scene = await openScene((close) => closers.push(close));
      const service = await scene.start({}, { properties: await restartRules() });
      const job = await scene.queue(`echo @running; ${hold}; echo @through`);
      await scene.says(service, job, '@running');
      const token = await readFile(service.tokenFile, 'utf8');
      await spoil(service.tokenFile);
      process.kill(await service.pid(), 'SIGKILL');
      // More than systemd's own limit of five starts in ten seconds allows.
      const restarts = async () => Number(await sh('systemctl', 'show', '--property=NRestarts', '--value', service.unit));
      await expect.poll(restarts, { timeout: 30_000 }).toBeGreaterThan(6);
      const journal = await sh('journalctl', '--unit', service.unit, '--output=cat', '--no-pager');
      expect(journal).toMatch(/TOKEN_UNREADABLE: .*\n.*tokenFile names/);
      expect(journal).toContain('status=5');
      expect((await scene.control.job(job.jobId)).status).toBe('running');
      await writeFile(service.tokenFile, token, { mode: 0o600 });
      await service.until('it has adopted the job', ({ runners }) => runners.some((runner) => runner.job_id === job.jobId));
      await scene.open();
      expect(await scene.done(service, job)).toMatchObject({ status: 'success' });
      await scene.clean(service);
      expect(await timesGiven(scene, [job])).toEqual([1]);
      expect((await service.status()).recent.map(({ reason }) => reason)).toEqual(['finished']);
    } finally {
      for (const close of closers) await close();
    }
  },
);
