// Measures from listed to taken: ours with the stand-in runner inside a fresh machine, beside the stock daemon's way, which is the same
// stand-in runner without any container, asking every two seconds.

import { spawn } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { installRunner } from '../support/service.ts';
import { median, ms, quantile, told, type Line } from './line.ts';
import { repository, type Stage } from './stage.ts';
import { wall } from './wall.ts';

const daemonIntervalMs = 2_000;
const quietIntervalMs = 1_000;

type Taken = { readonly total: number; readonly sinceReply: number };

async function take(stage: Stage, label: string, runs: number): Promise<readonly Taken[]> {
  const { control } = stage.forgejo;
  const samples: Taken[] = [];
  for (let run = 0; run < runs; run += 1) {
    await sleep(Math.random() * daemonIntervalMs);
    const queuedAt = wall();
    const { jobId: id } = await control.queueJob({ repository, labels: [label], script: 'true' });
    const listing = label === 'stock' ? Promise.resolve(queuedAt) : stage.nextListing();
    await control.untilJob({ id, states: ['running', 'success', 'failure'] });
    const takenAt = wall();
    samples.push({ total: takenAt - queuedAt, sinceReply: takenAt - (await listing) });
    await control.untilJob({ id, states: ['success', 'failure'] });
  }
  return samples;
}

/** The stand-in runner as `daemon`, with a registration that stays. */
async function startDaemon({ forgejo }: Stage): Promise<() => void> {
  const { runner } = await installRunner();
  const home = '/srv/bench/daemon';
  await mkdir(home, { recursive: true });
  const response = await fetch(`${forgejo.url}/api/v1/admin/actions/runners`, {
    method: 'POST',
    headers: { authorization: `token ${forgejo.token}`, 'content-type': 'application/json' },
    body: JSON.stringify({ name: 'stock', ephemeral: false }),
  });
  const { uuid, token } = (await response.json()) as { readonly uuid: string; readonly token: string };
  await writeFile(`${home}/token`, token, { mode: 0o600 });
  const flags = ['--url', forgejo.url, '--uuid', uuid, '--token-url', `file://${home}/token`, '--label', 'stock:host'];
  const daemon = spawn(runner, ['daemon', ...flags, '--fetch-interval', `${daemonIntervalMs}ms`], {
    cwd: home,
    env: { ...process.env, HOME: home },
    stdio: 'ignore',
  });
  return () => void daemon.kill('SIGKILL');
}

export async function measureTaken(stage: Stage, runs: number): Promise<readonly Line[]> {
  const stop = await startDaemon(stage);
  try {
    await sleep(1_000);
    const [ours, stock] = await Promise.all([take(stage, 'debian', runs), take(stage, 'stock', runs)]);
    const totals = ours.map(({ total }) => total);
    const theirs = stock.map(({ total }) => total);
    // After a minute without work a forge is asked once a second: the same, with the wait for the poll that this gives.
    const quiet = ours.map(({ sinceReply }, index) => sinceReply + ((index + 0.5) / ours.length) * quietIntervalMs);
    const line = (name: string, share: number): Line => {
      const [us, them] = [quantile(totals, share), quantile(theirs, share)];
      const note = `stock daemon ${ms(them)}; n ${totals.length} each; polled every 500 ms, as for a minute after anything happened`;
      return { name, target: 'sooner', measured: ms(us), held: us < them, note, values: { ours: us, stock: them } };
    };
    return [
      line('listed to taken, p50', 0.5),
      line('listed to taken, p95', 0.95),
      told(
        '  after a quiet minute',
        `p50 ${ms(median(quiet))}, p95 ${ms(quantile(quiet, 0.95))}`,
        'reckoned: even waits for a poll each second, plus reply to taken as measured',
        {
          p50: median(quiet),
          p95: quantile(quiet, 0.95),
        },
      ),
      told(
        '  reply to taken',
        ms(median(ours.map(({ sinceReply }) => sinceReply))),
        'the stand-in runner is a node: its own start is most of it',
        {},
      ),
    ];
  } finally {
    stop();
  }
}
