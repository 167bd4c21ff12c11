// What is not ours stays: another controller on the same host and forge, and everything of strangers whose names look like ours. What is
// ours and belongs to nothing goes.

import { mkdir, readFile, rm } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { hold, openScene, runnerOf, timesGiven, type Scene } from '../support/service-scene.ts';
import { sh, type Service } from '../support/service.ts';

async function register(scene: Scene, body: { readonly name: string; readonly description: string; readonly ephemeral: boolean }) {
  const response = await fetch(`${scene.forgejo.url}/api/v1/admin/actions/runners`, {
    method: 'POST',
    headers: { authorization: `token ${scene.forgejo.token}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
}

const namesOf = async (scene: Scene) =>
  (await scene.control.registrations()).map(({ name, description }) => `${name} ${description}`).toSorted();

/** Things on the host that a careless hand would take for those of a controller. */
function foreignOf({ controllerId }: Service) {
  const unit = `forgejo-runner-${controllerId}-backup.service`;
  const others = `forgejo-runner-${controllerId}x-j0000001abc`;
  const folder = `/var/lib/machines/j0000001abc`;
  return {
    make: async () => {
      await mkdir(folder, { recursive: true });
      await sh('sh', '-c', `set -e
        systemd-run -q --unit=${unit} sleep 600; systemd-run -q --unit=${others} --slice=machine-forgejorunners.slice sleep 600
        ip netns add ${others}; ip netns add forgejo-runner-${controllerId}-backup; ip link add fr-j0000001abc type veth peer name fr-backup
        ip link set fr-backup alias forgejo-runner-controller:${controllerId}x
        nft add table inet forgejo-runner-${controllerId}x; nft add table ip forgejo-runner-${controllerId}`); // prettier-ignore
    },
    seen: () =>
      sh('sh', '-c', `systemctl is-active ${unit} ${others}; ip netns list | grep -c -e '^${others}' -e '-backup'; ls -d ${folder}
        ls -d /sys/class/net/fr-j0000001abc /sys/class/net/fr-backup; nft list tables | grep -c -e 'inet forgejo-runner-${controllerId}x$' -e 'ip forgejo-runner-${controllerId}$'`), // prettier-ignore
    drop: async () => {
      await rm(folder, { recursive: true, force: true });
      await sh('sh', '-c', `systemctl stop ${unit} ${others}; ip netns del ${others}; ip netns del forgejo-runner-${controllerId}-backup
        ip link del fr-j0000001abc; nft delete table inet forgejo-runner-${controllerId}x
        nft delete table ip forgejo-runner-${controllerId}; true`); // prettier-ignore
    },
  };
}

/** Everything that is a controller's on the host, in the forge and on its disk, as text that changes when any of it is made anew. */
async function belongingsOf(scene: Scene, { controllerId, stateDir }: Service): Promise<string> {
  const mark = `forgejo-runner-controller ${controllerId}@`;
  const registrations = (await scene.control.registrations()).filter(({ description }) => description.startsWith(mark));
  const host = await sh('sh', '-c', `set -e
    systemctl show --property=Id,InvocationID,MainPID,ActiveState 'forgejo-runner-${controllerId}-*'
    for link in $(grep -ls 'controller:${controllerId}$' /sys/class/net/*/ifalias); do cat $link $(dirname $link)/ifindex $(dirname $link)/address; done
    ip netns list | grep 'forgejo-runner-${controllerId}-'; stat -c '%n %i' /run/netns/forgejo-runner-${controllerId}-*
    nft -a list table inet forgejo-runner-${controllerId} | grep -v counter
    cd ${stateDir}; stat -c '%n %i %Y' runners/* machines/* controller.json; cat runners/*`); // prettier-ignore
  return `${host}\n${JSON.stringify(registrations.map(({ id, name, status }) => ({ id, name, status })))}`;
}

describe('neighbours', () => {
  test('I6 whatever befalls one of two busy controllers, nothing of the other one changes, and the jobs of both succeed', async ({
    onTestFinished,
  }) => {
    const scene = await openScene(onTestFinished);
    const [hit, other] = [
      await scene.start({ profiles: [{ name: 'default', labels: ['red'] }] }),
      await scene.start({ profiles: [{ name: 'default', labels: ['blue'] }] }),
    ] as const;
    const script = `echo @running; ${hold}`;
    const red = [await scene.queue(script, { labels: ['red'] }), await scene.queue(script, { labels: ['red'] })];
    const blue = [await scene.queue(script, { labels: ['blue'] }), await scene.queue(script, { labels: ['blue'] })];
    for (const job of red) await scene.says(hit, job, '@running');
    for (const job of blue) await scene.says(other, job, '@running');
    await other.until('all are picked', ({ runners }) => runners.length === 2 && runners.every((runner) => runner.picked_at !== null));
    const before = await belongingsOf(scene, other);
    expect(before).toContain('ActiveState=active');

    await hit.kill();
    await hit.start();
    await hit.until('it has looked', ({ ticks, host }) => ticks > 3 && host.machines === 2);
    expect(await belongingsOf(scene, other)).toBe(before);
    const waiting = await scene.queue('true', { labels: ['red'] });
    await hit.signal('SIGUSR1');
    await hit.until('it drains', ({ draining }) => draining);
    await hit.signal('SIGUSR2');
    expect(await scene.done(hit, waiting)).toMatchObject({ status: 'success' });
    const { runners } = await hit.status();
    for (const { machine } of runners.slice(0, 1))
      await sh('systemctl', 'kill', '--signal=KILL', `forgejo-runner-${hit.controllerId}-${machine}.service`);
    await hit.until('the dead one is gone', ({ host }) => host.machines === 1);
    await hit.stop();
    await hit.start();
    await hit.until('it has looked', ({ ticks, host }) => ticks > 3 && host.machines === 1);
    expect(await belongingsOf(scene, other)).toBe(before);

    await scene.open();
    for (const job of blue) expect(await scene.done(other, job)).toMatchObject({ status: 'success' });
    const ends = await Promise.all(red.map(async (job) => (await scene.done(hit, job)).status));
    expect(ends.toSorted()).toEqual(['failure', 'success']);
    for (const service of [hit, other]) {
      await scene.clean(service);
      expect((await service.log()).filter(({ event }) => event === 'sweep' || event === 'leftover')).toEqual([]);
    }
    expect(await timesGiven(scene, [...red, ...blue, waiting])).toEqual([1, 1, 1, 1, 1]);
  });

  test('I6 two controllers on one host and one forge leave each other alone, also when one of them starts again', async ({
    onTestFinished,
  }) => {
    const scene = await openScene(onTestFinished);
    const services = [
      await scene.start({ profiles: [{ name: 'default', labels: ['red'] }] }),
      await scene.start({ profiles: [{ name: 'default', labels: ['blue'] }] }),
    ] as const;
    const script = `echo @running; ${hold}`;
    const jobs = [await scene.queue(script, { labels: ['red'] }), await scene.queue(script, { labels: ['blue'] })] as const;
    await scene.says(services[0], jobs[0], '@running');
    await scene.says(services[1], jobs[1], '@running');
    await services[0].kill();
    await services[0].start();
    await services[1].stop();
    await services[1].start();
    for (const [index, service] of services.entries()) {
      const status = await service.until('it has looked', ({ ticks, host }) => ticks > 3 && host.machines === 1);
      expect(status.runners.map(({ job_id: job }) => job)).toEqual([jobs[index]?.jobId]);
    }
    await scene.open();
    for (const [index, service] of services.entries()) {
      expect(await scene.done(service, jobs[index] ?? jobs[0])).toMatchObject({ status: 'success' });
      await scene.clean(service);
      expect((await service.log()).filter(({ event }) => event === 'sweep' || event === 'leftover')).toEqual([]);
    }
    expect(await timesGiven(scene, jobs)).toEqual([1, 1]);
  });

  test('I6 units, namespaces, interfaces, folders and tables of strangers with names like ours are not touched', async ({
    onTestFinished,
  }) => {
    const scene = await openScene(onTestFinished);
    const service = await scene.prepare();
    const foreign = foreignOf(service);
    onTestFinished(() => foreign.drop());
    await foreign.make();
    const before = await foreign.seen();
    expect(before.split('\n')).toHaveLength(7);
    await service.start();
    expect(await scene.done(service, await scene.queue('true'))).toMatchObject({ status: 'success' });
    await service.kill();
    await service.start();
    await service.until('it has looked', ({ ticks, recent }) => ticks > 3 && recent.length >= 0);
    expect(await foreign.seen()).toBe(before);
    await foreign.drop();
    await scene.clean(service);
  });
});

describe('registrations', () => {
  test('I6 I8 at the start those of ours that nobody uses are deleted, those of strangers and of other hosts stay', async ({
    onTestFinished,
  }) => {
    const scene = await openScene(onTestFinished);
    const service = await scene.start();
    const queued = await scene.running(service);
    const runner = runnerOf(await service.status(), queued)?.id ?? '';
    const description = (await scene.control.registrations())[0]?.description ?? '';
    expect(description).toMatch(new RegExp(`^forgejo-runner-controller ${service.controllerId}@[0-9a-f]{8}$`));
    const strangers = [
      { name: 'j0000002abc', description: `forgejo-runner-controller ${service.controllerId}@otherkey`, ephemeral: true },
      { name: 'j0000003abc', description: 'a runner of mine', ephemeral: true },
      { name: 'my-runner', description, ephemeral: true },
      { name: 'j0000004abc', description, ephemeral: false },
    ];
    await service.stop();
    for (const stranger of strangers) await register(scene, stranger);
    await register(scene, { name: 'j0000001abc', description, ephemeral: true });
    await service.start();
    await service.until('the ghost is gone', async () => !(await namesOf(scene)).some((name) => name.startsWith('j0000001abc')));
    const kept = strangers.map((stranger) => `${stranger.name} ${stranger.description}`);
    await service.until('the namesake is said', async () =>
      (await service.log()).some(({ event, registration }) => event === 'warning' && registration === 'j0000002abc'),
    );
    expect(await namesOf(scene)).toEqual([...kept, `${runner} ${description}`].toSorted());
    await scene.open();
    expect(await scene.done(service, queued)).toMatchObject({ status: 'success' });
    await service.until('it is forgotten', ({ runners }) => runners.length === 0);
    expect(await namesOf(scene)).toEqual(kept.toSorted());
    expect(await readFile(service.tokenFile, 'utf8')).toContain(scene.forgejo.token);
  });
});
