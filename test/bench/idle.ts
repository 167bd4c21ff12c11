// Measures what the service costs while nothing happens: memory and processor time over a quiet while, then memory with a thousand records
// whose machines are there.

import { execFile } from 'node:child_process';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { Runner } from '../../src/core/model.ts';
import { runnerIdOf } from '../../src/core/naming.ts';
import { encodeRecord } from '../../src/store/record-wire.ts';
import type { Service } from '../support/service.ts';
import { atMost, median, told, type Line } from './line.ts';
import { timesOf } from './processor.ts';
import { repository, type Stage } from './stage.ts';

const exec = promisify(execFile);
const megabyte = 1024 ** 2;
/** Seconds of processor time, its ended children's included. */
const cpuOf = (pid: number): number => (timesOf(pid).own + timesOf(pid).children) / 1000;
const recordCount = 1_000;
const megabytes = (bytes: number): string => `${(bytes / megabyte).toFixed(1)} MB`;
const percent = (share: number): string => `${(share * 100).toFixed(2)} %`;

async function rssOf(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1]) * 1024;
}

/** Memory as it was every second of the while: the median, and the most. */
async function watch(pid: number, seconds: number): Promise<{ readonly rss: number; readonly most: number; readonly cpu: number }> {
  const before = cpuOf(pid);
  const samples: number[] = [];
  for (let second = 0; second < seconds; second += 1) {
    await sleep(1_000);
    samples.push(await rssOf(pid));
  }
  return { rss: median(samples), most: Math.max(...samples), cpu: (cpuOf(pid) - before) / seconds };
}

export async function measureIdle(stage: Stage, seconds: number): Promise<readonly Line[]> {
  const service = await stage.service('bench-idle');
  try {
    await service.start();
    await sleep(5_000);
    const asked = stage.listings();
    const { rss, most, cpu } = await watch(await service.pid(), seconds);
    const polls = stage.listings() - asked;
    return [
      atMost(
        'memory of the idle service',
        90 * megabyte,
        rss,
        megabytes,
        `RSS, median of ${seconds} s; the most ${megabytes(most)}; the aim was 70 MB`,
        { most },
      ),
      atMost('processor time of the idle service', 0.005, cpu, percent, `of one core over ${seconds} s, ${polls} polls`, { polls }),
    ];
  } finally {
    await service.dispose();
  }
}

/** Records as a run leaves them, each with a job that waits in the forge and a unit that lives: nothing is due for any of them. */
async function seed(stage: Stage, service: Service): Promise<readonly string[]> {
  const jobs = await stage.forgejo.control.queueJobs({ repository, labels: ['tiny'], count: recordCount });
  await mkdir(`${service.stateDir}/runners`, { recursive: true });
  const now = Date.now();
  const units: string[] = [];
  for (const [slot, { jobId, handle }] of jobs.entries()) {
    const job = { id: jobId, handle, attempt: 1, repositoryId: 1, name: 'job', labels: ['tiny'] };
    const id = runnerIdOf(service.controllerId, { forge: 'main', ...job });
    const credentials = { id: 100_000 + slot, uuid: handle, token: handle.replaceAll('-', '') };
    const runner: Runner = { id, forge: 'main', job, profile: 'tiny', machine: id, slot, createdAt: now, assignedAt: now, credentials };
    await writeFile(`${service.stateDir}/runners/${id}.json`, encodeRecord(runner));
    const folder = `${service.stateDir}/machines/${id}`;
    await mkdir(folder, { recursive: true });
    await writeFile(
      `${folder}/machine.json`,
      JSON.stringify({ version: 1, id, controllerId: service.controllerId, slot, startedAt: now, profile: 'tiny' }),
    );
    const unit = `forgejo-runner-${service.controllerId}-${id}.service`;
    await writeFile(`/run/systemd/transient/${unit}`, '[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true\n');
    units.push(unit);
  }
  await exec('systemctl', ['daemon-reload']);
  await exec('systemctl', ['start', ...units]);
  return units;
}

export async function measureRecords(stage: Stage, seconds: number): Promise<readonly Line[]> {
  const service = await stage.service('bench-records', {
    maxConcurrent: 2_000,
    network: { pool: '10.128.0.0-10.191.255.255' },
    profiles: [{ name: 'tiny', labels: ['tiny'], runner: stage.reports.runner, timeouts: { pick: '2h' } }],
  });
  const units = await seed(stage, service);
  try {
    await service.start();
    await sleep(5_000);
    const { rss, most, cpu } = await watch(await service.pid(), seconds);
    const { runners, host } = (await service.status()) as unknown as { runners: readonly unknown[]; host: { machines: number } };
    const note = `RSS, median of ${seconds} s; the most ${megabytes(most)}; ${runners.length} records, ${host.machines} machines listed`;
    return [
      atMost('memory with 1,000 records', 110 * megabyte, rss, megabytes, note, { most }),
      told('  processor time meanwhile', percent(cpu), 'asks systemd for 1,000 units each second', { cpu }),
    ];
  } finally {
    await service.stop();
    await exec('systemctl', ['stop', ...units]);
    for (const unit of units) await rm(`/run/systemd/transient/${unit}`, { force: true });
    await exec('systemctl', ['daemon-reload']);
    await service.dispose();
    for (const { runId } of await stage.forgejo.control.jobs()) await stage.forgejo.control.cancel(runId);
  }
}
