// The main job on a real host for the kinds of template that NixOS uses, through the packaged service: a Nix environment, whose runner is the
// first process's child, and systems of their own, whose jobs ask systemd; each job runs, reports, and nothing of it is left.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { findingsOf, openScene } from '../support/service-scene.ts';
import { installRunner, sh } from '../support/service.ts';
import { makeStoreLike, storeLike } from '../support/store-like.ts';

const roots = '/nix/var/nix/gcroots/forgejo-runner-controller';
const loader = storeLike.loader.map(({ source, target }) => `${source}:${target}:ro`);
const asksSystemd = `echo "@up $(systemctl is-active multi-user.target)"; echo "@one $(tr -d '\\0' </proc/1/comm)"
  systemd-run --quiet --wait touch /tmp/frc-by-systemd && echo "@made $(ls /tmp/frc-by-systemd)"; echo "@path $PATH"`;
const booted = { up: 'active', one: 'systemd', made: '/tmp/frc-by-systemd' };

let unmake: () => Promise<void>;
beforeAll(async () => {
  unmake = await makeStoreLike();
});
afterAll(async () => unmake());

describe('a job through the service', () => {
  test.each([
    {
      kind: 'nix-env',
      path: storeLike.environment,
      binds: [],
      script: 'echo "@sed $(command -v sed)"; echo "@held $(ls /nix/var/nix)"; echo "@one $(cat /proc/1/comm)"',
      found: { sed: `${storeLike.environment}/bin/sed`, held: '', one: 'sh' },
    },
    { kind: 'system', path: '/var/lib/machines/debian', binds: [], script: asksSystemd, found: booted },
    { kind: 'nixos', path: storeLike.system, binds: loader, script: asksSystemd, found: booted },
  ])(
    'of template $kind runs in it, its log and result reach Forgejo, and nothing is left',
    async ({ kind, path, binds, script, found }) => {
      const closers: (() => Promise<void>)[] = [];
      const scene = await openScene((close) => closers.push(close));
      try {
        const { bind } = await installRunner();
        const service = await scene.start({
          profiles: [{ name: kind, labels: ['debian'], template: { kind, path }, binds: [bind, ...binds] }],
        });
        const good = await scene.done(service, await scene.queue(script), 60_000);
        expect(findingsOf(good)).toMatchObject(found);
        expect(good.status).toBe('success');
        const bad = await scene.done(service, await scene.queue('echo before; exit 3'), 60_000);
        expect(bad.status).toBe('failure');
        await scene.clean(service);
        expect(await sh('sh', '-c', `ls ${roots} 2>/dev/null || true`)).toBe('');
        expect((await service.status()).recent.map(({ reason }) => reason)).toEqual(['finished', 'finished']);
      } finally {
        for (const close of closers) await close();
      }
    },
  );

  test('whose step never ends is stopped with its system at its deadline, and says why', async ({ onTestFinished }) => {
    const scene = await openScene(onTestFinished);
    const timeouts = { job: '2s', stop: '5s' };
    const template = { kind: 'system', path: '/var/lib/machines/debian' };
    const service = await scene.start({ profiles: [{ name: 'short', labels: ['debian'], template, timeouts }] });
    const queued = await scene.queue("trap '' TERM; sleep 600");
    expect(await scene.done(service, queued, 60_000)).toMatchObject({ status: 'failure' });
    await scene.clean(service);
    expect((await service.status()).recent).toMatchObject([{ job_id: queued.jobId, reason: 'job-timeout' }]);
  });
});
