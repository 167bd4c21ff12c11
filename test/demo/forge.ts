// Promises what a person does in Forgejo, over its REST API alone, so that a stand-in and a real one are driven alike: an organization with a
// repository, workflows that are pushed and started, jobs and their logs looked at, runs cancelled, everything deleted again.

import { setTimeout as sleep } from 'node:timers/promises';

export type ForgeJob = { readonly id: number; readonly name: string; readonly status: string; readonly attempt: number };

export type DemoForge = {
  readonly organization: string;
  version(): Promise<string>;
  setUp(): Promise<void>;
  /** Commits a workflow; whatever listens to pushes starts. */
  push(file: string, text: string): Promise<void>;
  /** The newest run of a workflow; waits for it, as Forgejo makes it a moment after the commit. */
  runOf(file: string): Promise<number>;
  dispatch(file: string): Promise<number>;
  jobs(run: number): Promise<readonly ForgeJob[]>;
  cancel(run: number): Promise<void>;
  log(job: ForgeJob): Promise<string>;
  registrations(): Promise<number>;
  /** Deletes registrations, repository and organization, whatever state they are in. */
  tearDown(): Promise<void>;
};

export function createDemoForge(url: string, token: string, organization: string): DemoForge {
  const repository = `/repos/${organization}/demo`;
  const runners = `/orgs/${organization}/actions/runners`;

  async function ask(method: string, path: string, body?: unknown): Promise<Response> {
    return fetch(`${url.replace(/\/$/, '')}/api/v1${path}`, {
      method,
      headers: { authorization: `token ${token}`, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(10_000),
    });
  }

  async function call<T>(method: string, path: string, body?: unknown): Promise<T> {
    const response = await ask(method, path, body);
    const text = await response.text();
    if (!response.ok) throw new Error(`Forgejo answered ${response.status} to ${method} ${path}: ${text.slice(0, 300)}`);
    return (text === '' ? undefined : JSON.parse(text)) as T;
  }

  /** What is gone already is as good. */
  async function remove(path: string): Promise<void> {
    const { ok, status } = await ask('DELETE', path);
    if (!ok && status !== 404) throw new Error(`Forgejo answered ${status} to DELETE ${path}: delete it by hand`);
  }

  return {
    organization,
    version: async () => (await call<{ version: string }>('GET', '/version')).version,
    async setUp() {
      await call('POST', '/orgs', { username: organization });
      await call('POST', `/orgs/${organization}/repos`, { name: 'demo', auto_init: true, default_branch: 'main', private: true });
    },
    async push(file, text) {
      const path = `.forgejo/workflows/${file}`;
      const content = Buffer.from(text).toString('base64');
      await call('POST', `${repository}/contents/${path}`, { content, message: `Add ${file}`, branch: 'main' });
    },
    async runOf(file) {
      for (;;) {
        type Runs = { workflow_runs: { id: number }[] | null };
        const { workflow_runs: found } = await call<Runs>('GET', `${repository}/actions/runs?workflow_id=${file}`);
        if (found?.[0] !== undefined) return found[0].id;
        await sleep(50);
      }
    },
    async dispatch(file) {
      const wish = { ref: 'main', return_run_info: true };
      return (await call<{ id: number }>('POST', `${repository}/actions/workflows/${file}/dispatches`, wish)).id;
    },
    jobs: async (run) => (await call<readonly ForgeJob[] | null>('GET', `${repository}/actions/runs/${run}/jobs`)) ?? [],
    cancel: (run) => call('POST', `${repository}/actions/runs/${run}/cancel`),
    async log(job) {
      const response = await ask('GET', `${repository}/actions/jobs/${job.id}/logs?attempt=${job.attempt}`);
      // A job that never ran has none.
      return response.ok ? response.text() : '';
    },
    registrations: async () => (await call<readonly unknown[]>('GET', runners)).length,
    async tearDown() {
      for (const { id } of await call<{ id: number }[]>('GET', runners)) await remove(`${runners}/${id}`);
      await remove(repository);
      await remove(`/orgs/${organization}`);
    },
  };
}
