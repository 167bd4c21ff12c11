// What the end of the whole host does to running jobs: powered off, they are told to end while the network is still there, and the forge has
// their logs and their failure before the host is down; cut off, the next boot reports them. Either way the next boot leaves nothing.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startForgejo, type ForgejoStandIn, type QueuedJob } from '../support/forgejo/forgejo.ts';
import { createInnerHost, outerAddress, type InnerHost } from '../support/inner-host.ts';

let forgejo: ForgejoStandIn;
let host: InnerHost;

beforeAll(async () => {
  forgejo = await startForgejo({ host: '0.0.0.0' });
  await forgejo.control.addRepository({ repository: 'root1/demo' });
  host = await createInnerHost({ url: forgejo.url.replace('127.0.0.1', outerAddress), token: forgejo.token });
  await host.boot();
  await host.startService();
});
afterAll(async () => {
  await host.dispose();
  await forgejo.close();
});

/** Two jobs that run, one of them on a disk of its own. */
async function twoRunning(): Promise<readonly QueuedJob[]> {
  const script = 'echo "@begun $(hostname)"; sleep 600';
  const wish = { repository: 'root1/demo', script };
  const jobs = [
    await forgejo.control.queueJob({ ...wish, labels: ['debian'] }),
    await forgejo.control.queueJob({ ...wish, labels: ['disk'] }),
  ];
  for (const { jobId } of jobs) await expect.poll(async () => (await logOf(jobId)).includes('@begun'), { timeout: 30_000 }).toBe(true);
  return jobs;
}

async function logOf(jobId: number): Promise<string> {
  return (await forgejo.control.job(jobId)).log.join('\n');
}

async function statusesOf(jobs: readonly QueuedJob[]): Promise<readonly string[]> {
  return Promise.all(jobs.map(async ({ jobId }) => (await forgejo.control.job(jobId)).status));
}

/** What is left on the inner host and in the forge. */
async function left(): Promise<unknown> {
  const folders = await Promise.all((['machines', 'exits', 'runners'] as const).map((name) => host.state(name)));
  const names = await host.run(
    'sh',
    '-c',
    'ls /run/netns /sys/class/net /run/systemd/transient /run/systemd/machines 2>/dev/null; losetup -n -l; cat /proc/self/mountinfo',
  );
  return {
    folders: folders.flat(),
    host: names.split('\n').filter((line) => /forgejo-runner-node|fr-j|volume/.test(line)),
    registrations: (await forgejo.control.registrations()).length,
  };
}
const nothing = { folders: [], host: [], registrations: 0 };

async function timesGiven(jobs: readonly QueuedJob[]): Promise<readonly number[]> {
  const fetches = await forgejo.control.fetches();
  return jobs.map(({ handle }) => fetches[handle]?.given ?? 0);
}

describe('a host that goes down while jobs run', () => {
  test('powered off: the forge has both failures and logs before it is off, and the next boot leaves nothing', async () => {
    const jobs = await twoRunning();
    // Slower than a network that is not waited for goes down.
    await forgejo.control.addFault({ route: '* *RunnerService/Update*', fault: { kind: 'latency', ms: 700 } });
    await host.powerOff();
    await forgejo.control.clearFaults();
    expect(await statusesOf(jobs)).toEqual(['failure', 'failure']);
    for (const { jobId } of jobs) expect(await forgejo.control.job(jobId)).toMatchObject({ logClosed: true });
    await host.boot();
    await host.startService();
    await expect.poll(left, { timeout: 30_000 }).toEqual(nothing);
    expect(await timesGiven(jobs)).toEqual([1, 1]);
  });

  test('cut off: the next boot reports both as failed, and leaves nothing', async () => {
    const jobs = await twoRunning();
    await host.cut();
    expect(await statusesOf(jobs)).toEqual(['running', 'running']);
    await host.boot();
    await host.startService();
    await expect.poll(() => statusesOf(jobs), { timeout: 30_000 }).toEqual(['failure', 'failure']);
    await expect.poll(left, { timeout: 30_000 }).toEqual(nothing);
    expect(await timesGiven(jobs)).toEqual([1, 1]);
  });

  test('only the service stopped: its machines run on, in order behind the network', async () => {
    const jobs = await twoRunning();
    await host.stopService();
    expect(await statusesOf(jobs)).toEqual(['running', 'running']);
    const units = await host.run('systemctl', 'list-units', '--plain', '--no-legend', 'forgejo-runner-node-*');
    const [unit = ''] = units.split(/\s+/);
    expect(units.split('\n')).toHaveLength(2);
    const properties = await host.run(
      'systemctl',
      'show',
      '-p',
      'After',
      '-p',
      'Before',
      '-p',
      'Conflicts',
      '-p',
      'KillMode',
      '-p',
      'TimeoutStopUSec',
      unit,
    );
    for (const name of ['network.target', 'nss-lookup.target']) expect(/^After=(.*)$/m.exec(properties)?.[1]?.split(' ')).toContain(name);
    expect(properties).toMatch(/^KillMode=mixed$/m);
    expect(properties).toMatch(/^TimeoutStopUSec=10s$/m);
    expect(properties).toMatch(/^Conflicts=shutdown.target$/m);
    // Their slice, as at a shutdown.
    await host.run('systemctl', 'stop', 'machine-forgejorunners.slice');
    expect(await statusesOf(jobs)).toEqual(['failure', 'failure']);
    await host.startService();
    await expect.poll(left, { timeout: 30_000 }).toEqual(nothing);
  });
});
