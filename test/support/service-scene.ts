// Promises the scene of an end-to-end test: a stand-in Forgejo of its own, services on this host, a gate that holds jobs until the test
// opens it. However a test ends, none of it is left: the scene closes when the test is finished.

import { execFile } from 'node:child_process';
import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Status } from '../../src/http/wire.ts';
import type { JobView, JobWish } from './forgejo/control.ts';
import { startForgejo, type Control, type ForgejoStandIn, type QueuedJob } from './forgejo/forgejo.ts';
import { addServiceAddress, createService, installRunner, nothing, type Service, type ServiceOptions } from './service.ts';

export type Scene = {
  readonly forgejo: ForgejoStandIn;
  readonly control: Control;
  /** A service that is not started yet. `config` as in ServiceOptions, polling ten times a second; jobs of every profile see the gate. */
  prepare(config?: ServiceOptions['config'], more?: Partial<ServiceOptions>): Promise<Service>;
  /** The same, started. */
  start(config?: ServiceOptions['config'], more?: Partial<ServiceOptions>): Promise<Service>;
  /** One job of root1/demo with the label debian. */
  queue(script: string, over?: Partial<JobWish>): Promise<QueuedJob>;
  /** One that runs until scene.open(), once it does. */
  running(service: Service, over?: Partial<JobWish>): Promise<QueuedJob>;
  /** The job once it is done; while it does not come, what the service says of it. */
  done(service: Service, job: { readonly jobId: number }, ms?: number): Promise<JobView>;
  /** The job once its log holds that text. */
  says(service: Service, job: { readonly jobId: number }, text: string): Promise<JobView>;
  /** Resolves when the service has left nothing on the host and in the forge. */
  clean(service: Service, ms?: number): Promise<void>;
  /** A file in the folder that jobs see as /gate. */
  write(name: string, text?: string): Promise<void>;
  /** Lets jobs go on that ran `hold`. */
  open(): Promise<void>;
};

/** The shell line with which a job waits for scene.open(). */
export const hold = 'until [ -e /gate/open ]; do sleep 0.05; done';

const endings: ReadonlySet<string> = new Set(['success', 'failure', 'cancelled', 'skipped']);

/** `finished` is vitest's onTestFinished. */
export async function openScene(finished: (close: () => Promise<void>) => void): Promise<Scene> {
  await addServiceAddress();
  const { bind } = await installRunner();
  const forgejo = await startForgejo({ host: '0.0.0.0' });
  const gate = await mkdtemp('/var/tmp/frc-gate-');
  const services: Service[] = [];
  const { control } = forgejo;
  finished(async () => {
    for (const service of services) await service.dispose();
    await forgejo.close();
    await rm(gate, { recursive: true, force: true });
  });
  await control.addRepository({ repository: 'root1/demo' });

  async function prepare(config: ServiceOptions['config'] = {}, more: Partial<ServiceOptions> = {}): Promise<Service> {
    const { profiles = [{ name: 'default', labels: ['debian'] }], ...rest } = config;
    const binds = [bind, `${gate}:/gate:ro`];
    const service = await createService({
      forge: { url: forgejo.url, token: forgejo.token },
      registrations: async (id) => {
        const mark = `forgejo-runner-controller ${id}@`;
        return (await control.registrations()).filter(({ description }) => description.startsWith(mark)).length;
      },
      ...more,
      config: { pollInterval: '100ms', ...rest, profiles: profiles.map((profile) => ({ binds, ...profile })) },
    });
    services.push(service);
    return service;
  }

  async function until(service: Service, what: string, jobId: number, holds: (job: JobView) => boolean, ms: number): Promise<JobView> {
    try {
      await service.until(`job ${jobId} ${what}`, async () => holds(await control.job(jobId)), ms);
    } catch (error) {
      const asked = JSON.stringify(await control.requests());
      throw new Error(`the forge was asked ${asked}; job ${JSON.stringify(await control.job(jobId))}`, { cause: error });
    }
    return control.job(jobId);
  }

  const queue: Scene['queue'] = (script, over = {}) => control.queueJob({ repository: 'root1/demo', labels: ['debian'], script, ...over });
  const says: Scene['says'] = (service, { jobId }, text) =>
    until(service, `says ${text}`, jobId, ({ log }) => log.join('\n').includes(text), 30_000);

  return {
    forgejo,
    control,
    prepare,
    async start(config, more) {
      const service = await prepare(config, more);
      await service.start();
      return service;
    },
    queue,
    async running(service, over) {
      const job = await queue(`echo @running; ${hold}`, over);
      await says(service, job, '@running');
      return job;
    },
    done: (service, { jobId }, ms = 30_000) => until(service, 'is done', jobId, ({ status }) => endings.has(status), ms),
    says,
    async clean(service, ms = 30_000) {
      // A machine of the last look counts as used until the next look misses it.
      const isClean = async (status: Status) =>
        status.runners.length === 0 && status.capacity.used === 0 && JSON.stringify(await service.remains()) === JSON.stringify(nothing);
      await service.until('nothing is left', isClean, ms);
    },
    write: (name, text = '') => writeFile(join(gate, name), text),
    open: () => writeFile(join(gate, 'open'), ''),
  };
}

export type Ended = { readonly code: number; readonly stdout: string; readonly stderr: string };

/** Runs the packaged program to its end, as a person does in a shell. */
export function runProgram(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Ended> {
  return runBuilt('forgejo-runner-controller', args, env);
}

/** The same with the packaged runner-status. */
export function runClient(args: readonly string[]): Promise<Ended> {
  return runBuilt('runner-status', args, {});
}

function runBuilt(name: string, args: readonly string[], env: Readonly<Record<string, string>>): Promise<Ended> {
  const program = fileURLToPath(new URL(`../../dist/${name}.js`, import.meta.url));
  const options = { env: { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', ...env }, timeout: 30_000 };
  return new Promise((resolve) => {
    execFile(process.execPath, [program, ...args], options, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr });
    });
  });
}

/** Lines `name value` of a job's log, as the steps of the tests print their findings. */
export function findingsOf(job: JobView): Readonly<Record<string, string>> {
  const lines = job.log.map((line) => /(?:^|\s)@(\S+) ?(.*)$/.exec(line));
  return Object.fromEntries(lines.flatMap((match) => (match === null ? [] : [[match[1] ?? '', match[2] ?? '']])));
}

/** How often each job of these was given to a runner: the proof that it ran once. */
export async function timesGiven(scene: Scene, jobs: readonly { readonly handle: string }[]): Promise<readonly number[]> {
  const fetches = await scene.control.fetches();
  return jobs.map(({ handle }) => fetches[handle]?.given ?? 0);
}

export function runnerOf(status: Status, { jobId }: { readonly jobId: number }): Status['runners'][number] | undefined {
  return status.runners.find((runner) => runner.job_id === jobId);
}

/** The record of a runner as it lies on the disk, for what only the host's root may see. */
export async function recordOf(service: Service, id: string): Promise<{ readonly credentials?: { readonly token: string } }> {
  const text = await readFile(join(service.stateDir, 'runners', `${id}.json`), 'utf8');
  return (JSON.parse(text) as { runner: { credentials?: { token: string } } }).runner;
}

/** Every process of the host whose arguments or environment hold the text, as its id. */
export async function processesNaming(text: string): Promise<readonly string[]> {
  const ids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const found = await Promise.all(
    ids.flatMap((id) =>
      // A process that has just ended says nothing.
      ['cmdline', 'environ'].map(async (file) =>
        (await readFile(`/proc/${id}/${file}`, 'latin1').catch(() => '')).includes(text) ? id : undefined,
      ),
    ),
  );
  return found.filter((id) => id !== undefined);
}
