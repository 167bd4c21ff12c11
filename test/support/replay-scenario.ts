// Promises to bring a stand-in into the state in which each exchange was recorded, in the order of the ids on the real server, and to play
// every exchange that the stand-in claims. The differences are collected, not thrown.

import { startForgejo, type Control, type ForgejoStandIn, type QueuedJob } from './forgejo/forgejo.ts';
import { ci, concurrency, matrix, needs, quick } from './replay-workflows.ts';
import { createReplay, recordedExchanges, type Exchange, type PlayOptions, type Replay } from './replay.ts';

export type Outcome = ReadonlyMap<string, readonly string[]>;

type Runner = { readonly id: number; readonly uuid: string; readonly token: string };

export type Stage = {
  readonly forgejo: ForgejoStandIn;
  readonly control: Control;
  readonly replay: Replay;
  readonly play: (name: string, options?: PlayOptions) => Promise<void>;
  /** A registration of its own, made over REST and declared with these labels, known to the replay as that recorded uuid. */
  readonly runner: (recordedUuid: string, repository: string, labels: readonly string[], ephemeral?: boolean) => Promise<Runner>;
  readonly call: (runner: Runner, method: string, body: unknown, key?: string) => Promise<Readonly<Record<string, unknown>>>;
  readonly outcome: Map<string, readonly string[]>;
};

const exchanges: ReadonlyMap<string, Exchange> = new Map(recordedExchanges().map((exchange) => [exchange.name, exchange]));

export async function createStage(): Promise<Stage> {
  const forgejo = await startForgejo();
  const replay = createReplay(forgejo.url);
  const outcome = new Map<string, readonly string[]>();
  const post = async (
    path: string,
    headers: Readonly<Record<string, string>>,
    body: unknown,
  ): Promise<Readonly<Record<string, unknown>>> => {
    const said = await fetch(forgejo.url + path, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify(body),
    });
    if (!said.ok) throw new Error(`${path}: ${said.status} ${await said.text()}`);
    return (await said.json()) as Readonly<Record<string, unknown>>;
  };
  const call: Stage['call'] = (runner, method, body, key) => {
    const headers = {
      'x-runner-uuid': runner.uuid,
      'x-runner-token': runner.token,
      ...(key === undefined ? {} : { 'x-runner-request-key': key }),
    };
    return post(`/api/actions/runner.v1.RunnerService/${method}`, headers, body);
  };
  const stage: Stage = {
    forgejo,
    control: forgejo.control,
    replay,
    outcome,
    call,
    play: async (name, options) => {
      const exchange = exchanges.get(name);
      if (exchange === undefined) throw new Error(`no exchange ${name} was recorded`);
      const open = exchange.request.headers['authorization'] === undefined;
      outcome.set(name, await replay.play(exchange, { token: open ? undefined : forgejo.token, ...options }));
    },
    runner: async (recordedUuid, repository, labels, ephemeral = true) => {
      const wish = { name: 'rpc1', description: 'd', ephemeral };
      const row = (await post(`/api/v1/repos/${repository}/actions/runners`, { authorization: `token ${forgejo.token}` }, wish)) as Runner;
      replay.bind(recordedUuid, row.uuid);
      replay.credentials(row.uuid, row.token);
      await call(row, 'Declare', { version: 'v12.0', labels });
      return row;
    },
  };
  return stage;
}

/** Everybody and everything that was there before the first job. */
export async function populate({ control, forgejo }: Stage): Promise<Readonly<Record<'stranger' | 'collaborator', string>>> {
  await control.addOrganization({ name: 'acme', owners: [forgejo.admin] });
  await control.addUser({ name: 'dev' });
  await control.addUser({ name: 'helper' });
  for (const name of ['demo', 'empty', 'needs', 'conc', 'matrix']) await control.addRepository({ repository: `acme/${name}` });
  await control.addCollaborator({ repository: 'acme/demo', user: 'helper', permission: 'admin' });
  const stranger = await control.addToken({ user: 'dev', scopes: ['all'] });
  return { stranger, collaborator: await control.addToken({ user: 'helper', scopes: ['all'] }) };
}

export async function playFirstJob(stage: Stage, people: Readonly<Record<'stranger' | 'collaborator', string>>): Promise<void> {
  const { play, control, forgejo } = stage;
  for (const name of ['api-forgejo-v1-version', 'api-v1-nodeinfo', 'api-v1-settings-api', 'api-v1-user', 'api-v1-version'])
    await play(`misc-${name}`);
  for (const name of ['misc-forgejo-version-no-token', 'misc-healthz', 'misc-version-no-token', 'rpc-ping', 'rpc-unknown-method'])
    await play(name);
  for (const name of ['admin-deprecated-path', 'repo-empty', 'user-empty']) await play(`jobs-${name}`);
  const path = '.forgejo/workflows/ci.yml';
  // The listed owner's first commit is not that of the workflow: its event has a commit before.
  await control.push({ repository: 'acme/demo', path: 'README.md', content: '' });
  await control.push({ repository: 'acme/demo', path, content: ci });
  for (const scope of ['admin', 'org', 'repo', 'user']) await play(`jobs-${scope}-one-waiting`);
  for (const name of ['case', 'emptyvalue', 'limit-page', 'match', 'other', 'repeated', 'superset', 'withscheme'])
    await play(`jobs-repo-labels-${name}`);
  for (const name of ['org-missing', 'repo-missing', 'repo-no-token']) await play(`jobs-${name}`);
  await play('jobs-repo-bad-token', { token: '0'.repeat(40) });
  for (const scope of ['admin', 'org', 'repo', 'user']) await play(`jobs-${scope}-nonmember-token`, { token: people.stranger });
  await play('jobs-repo-admin-collaborator', { token: people.collaborator });
  await play('jobs-admin-scope-missing', { token: await control.addToken({ user: forgejo.admin, scopes: ['write:repository'] }) });
  for (const scope of ['misc', 'organization', 'repository', 'user']) {
    const token = await control.addToken({ user: forgejo.admin, scopes: [`read:${scope}`] });
    for (const place of ['admin', 'org', 'repo', 'user']) await play(`scope-read-${scope}-GET-${place}-jobs`, { token });
  }
}

export async function playRegistrations({ play, control }: Stage, stranger: string): Promise<void> {
  await control.skipIds({ kind: 'registration', id: 4 });
  await play('runners-list-empty');
  await play('register-user-nonmember-token', { token: stranger });
  for (const scope of ['admin', 'org', 'repo']) await play(`register-${scope}-nonmember-token`, { token: stranger });
  for (const scope of ['admin', 'org', 'user', 'repo']) await play(`register-${scope}-ok`);
  const good = ['name-taken', 'name-300-bytes', 'unknown-field', 'only-name', 'description-10000', 'name-space', 'name-unicode', 'form'];
  for (const name of good) await play(`register-${name}`);
  for (const name of ['empty-body', 'empty-name', 'missing-name', 'name-null']) await play(`register-${name}`);
  for (const name of ['array', 'bad-json', 'ephemeral-string', 'name-number']) await play(`register-${name}`, { shapeOnly: ['message'] });
  await play('runners-list-admin-visible');
  for (const name of ['admin', 'org', 'repo', 'repo-limit2', 'repo-page-99']) await play(`runners-list-${name}`);
  for (const name of ['offline', 'org-runner-at-repo', 'invisible', 'missing', 'not-a-number']) await play(`runner-get-${name}`);
  for (const name of ['ok', 'again', 'org-runner-at-repo', 'org-runner-at-admin']) await play(`runner-delete-${name}`);
}

export async function playFirstTask(stage: Stage): Promise<void> {
  const { play, runner, call } = stage;
  const own = await runner('a8e7e956-a1d5-47d9-a08b-656cfa94042a', 'acme/demo', ['docker', 'gpu']);
  for (const name of ['rpc-declare', 'runner-get-idle-after-declare', 'rpc-no-headers', 'rpc-bad-content-type', 'rpc-bad-uuid'])
    await play(name);
  await play('rpc-bad-token', { runnerToken: '0'.repeat(40) });
  await play('rpc-bad-json', { shapeOnly: ['message'] });
  await play('rpc-unknown-json-field');
  await play('rpc-fetchsingle-label-mismatch');
  await call(own, 'Declare', { version: 'v12.0', labels: ['docker'] });
  for (const name of ['unknown-handle', 'current-tasksversion']) await play(`rpc-fetchsingle-${name}`);
  const shapeOnly = ['event', 'gitea_default_actions_url'];
  await play('rpc-fetchsingle-ok', { shapeOnly });
  await play('runner-get-busy-no-updates-yet');
  await play('jobs-repo-one-running');
  await play('rpc-fetchsingle-same-request-key', { shapeOnly });
  for (const name of ['fetchsingle-busy-ephemeral', 'fetchtask-busy-ephemeral', 'updatelog', 'updatetask-alive']) await play(`rpc-${name}`);
  await play('runner-get-active');
  await runner('a7ec5cbc-5c11-4a11-a7eb-cc5b1bb2eaf4', 'acme/demo', ['docker']);
  for (const name of ['updatelog-other-runner', 'updatetask-other-runner', 'third-process-updatelog', 'third-process-updatetask-failure'])
    await play(`rpc-${name}`);
  await play('runner-get-after-ephemeral-done');
  for (const name of ['fetch', 'updatelog', 'updatetask']) await play(`rpc-dead-registration-${name}`);
  await play('run-jobs-after-failure');
  await play('job-logs-after-failure');
  // The language of the admin is known from the first look at the web pages on, which came later.
  await play('runs-list-after-failure', { shapeOnly: ['ssh_url', 'wiki_ssh_url', 'language'] });
}

export async function playCancels(stage: Stage): Promise<void> {
  const { play, runner, call, control, replay } = stage;
  await play('dispatch-return-run-info');
  const brief = await runner('944b4a0b-bbb1-412b-b8cd-be30f3799cd3', 'acme/demo', ['docker']);
  await call(brief, 'FetchSingleTask', {});
  await play('cancel-running-run-api');
  await play('cancel-missing-run');
  await play('runner-get-after-cancel');
  for (const name of ['updatelog', 'updatetask']) await play(`rpc-${name}-after-cancel-ephemeral`);
  await play('run-jobs-after-cancel-running');
  const [third] = await queueCi(control);
  const lasting = await runner('88f09e43-7943-40af-811f-4f7aae2eb4a3', 'acme/demo', ['docker'], false);
  await call(lasting, 'FetchSingleTask', {});
  await control.cancel(third?.runId ?? 0);
  for (const name of ['updatetask', 'updatetask-success', 'updatelog']) await play(`rpc-${name}-after-cancel-persistent`);
  const [fourth] = await queueCi(control);
  const other = await runner('00000000-1111-2222-3333-444444444444', 'acme/demo', ['docker']);
  await call(other, 'FetchSingleTask', {});
  await control.cancel(fourth?.runId ?? 0);
  const [fifth] = await queueCi(control);
  replay.bind('984f24e8-d574-4441-9568-913c2d2810e2', fifth?.handle ?? '');
  await play('cancel-waiting-run-api');
  await play('jobs-after-cancel-waiting');
  const busy = await runner('f52e6a95-e1c6-427e-a3cc-3a2cd2e24e3b', 'acme/demo', ['docker']);
  await play('rpc-fetchsingle-cancelled-handle');
  await control.rerun({ runId: 5 });
  await play('jobs-after-rerun');
  await play('rpc-fetchsingle-old-handle-after-rerun');
  await call(busy, 'FetchSingleTask', {});
  await play('runner-delete-busy');
  await play('jobs-after-busy-runner-deleted');
  await play('rpc-updatetask-after-runner-deleted');
  await play('cancel-run-with-deleted-runner');
  await play('cancel-finished-run');
}

async function queueCi(control: Control): Promise<readonly QueuedJob[]> {
  return control.queueWorkflow({ repository: 'acme/demo', workflow: ci, file: 'ci.yml' });
}

/** Fetches what waits and ends it well. */
async function runOne({ runner, call }: Stage, repository: string): Promise<void> {
  const own = await runner(crypto.randomUUID(), repository, ['docker']);
  const { task } = (await call(own, 'FetchSingleTask', {})) as { task?: { id: string } };
  await call(own, 'UpdateTask', { state: { id: task?.id, result: 'RESULT_SUCCESS', stoppedAt: new Date().toISOString() } });
}

export async function playCapacity(stage: Stage): Promise<void> {
  const { play, runner, control } = stage;
  const shapeOnly = ['event', 'gitea_default_actions_url'];
  await queueCi(control);
  await runOne(stage, 'acme/demo');
  await play('run-after-success', { shapeOnly: ['ssh_url', 'wiki_ssh_url'] });
  await queueCi(control);
  await runOne(stage, 'acme/demo');
  for (let count = 0; count < 3; count += 1) await queueCi(control);
  await play('jobs-repo-three-waiting');
  await runner('cf6b2804-8acb-4a5a-b96d-4078a4508600', 'acme/demo', ['docker']);
  await play('rpc-fetchtask-capacity3-ephemeral', { shapeOnly });
  await runner('568f94fa-e2a2-4d03-8025-6bc37bb5a04c', 'acme/demo', ['docker'], false);
  await play('rpc-fetchtask-capacity3-persistent', { shapeOnly });
}

export async function playGroups(stage: Stage): Promise<void> {
  const { play, runner, control, call } = stage;
  const shapeOnly = ['event', 'gitea_default_actions_url'];
  const skip = async (run: number, job: number, task: number): Promise<void> => {
    await control.skipIds({ kind: 'run', id: run });
    await control.skipIds({ kind: 'job', id: job });
    await control.skipIds({ kind: 'task', id: task });
  };
  await skip(19, 19, 13);
  await control.queueWorkflow({ repository: 'acme/needs', workflow: needs, file: 'n.yml' });
  await play('run-jobs-needs-blocked');
  await play('jobs-needs-only-first-listed');
  await runOne(stage, 'acme/needs');
  await play('jobs-needs-second-listed');
  await runner('3b6e0f29-2cb7-47f9-8445-8784c0d9eda0', 'acme/needs', ['docker']);
  await play('rpc-fetchsingle-task-with-needs', { shapeOnly });
  await skip(21, 23, 15);
  await control.queueWorkflow({ repository: 'acme/matrix', workflow: matrix });
  await play('jobs-matrix');
  await skip(22, 27, 16);
  for (let count = 0; count < 2; count += 1) await control.queueWorkflow({ repository: 'acme/conc', workflow: concurrency });
  await play('jobs-concurrency-both-listed');
  const first = await runner(crypto.randomUUID(), 'acme/conc', ['docker']);
  await call(first, 'FetchSingleTask', {});
  await play('jobs-concurrency-one-running-one-waiting');
  await runner('30386c98-c8ce-45be-9a47-65ca187f0ab9', 'acme/conc', ['docker']);
  await play('rpc-fetchsingle-blocked-by-concurrency');
}

/** On a server of its own, whose ids start anew. */
export async function playZombies(stage: Stage): Promise<void> {
  const { play, runner, control, call } = stage;
  await queueCi(control);
  const brief = await runner(crypto.randomUUID(), 'acme/demo', ['docker']);
  await call(brief, 'FetchSingleTask', {});
  await queueCi(control);
  const lasting = await runner('eb169483-b3c5-4d8e-b149-591fadd72930', 'acme/demo', ['docker'], false);
  await call(lasting, 'FetchSingleTask', {});
  await control.advance(11 * 60_000);
  await play('run-jobs-after-zombie');
  for (const name of ['updatetask', 'updatelog']) await play(`rpc-${name}-after-zombie-persistent`);
}

export async function playRedelivery({ play, runner, control, call, replay }: Stage): Promise<void> {
  await control.skipIds({ kind: 'task', id: 28 });
  const [job] = await control.queueWorkflow({ repository: 'acme/demo', workflow: quick, file: 'quick.yml' });
  replay.bind('02b779e1-0527-44e7-92c9-b7d56cb1eb7f', job?.handle ?? '');
  const own = await runner('72e689ae-ff60-48c7-8987-54ffa386a6c7', 'acme/demo', ['docker'], false);
  await call(own, 'FetchSingleTask', { handle: job?.handle }, 'aaaa');
  await call(own, 'UpdateTask', { state: { id: '29', result: 'RESULT_SUCCESS' } });
  const shapeOnly = ['event', 'gitea_default_actions_url', 'run_id', 'run_number', 'sha'];
  await play('rpc-fetchsingle-request-key-after-task-done', { shapeOnly });
}

export async function playHooks({ play }: Stage): Promise<void> {
  const shapeOnly = ['created_at', 'updated_at'];
  for (const name of ['repo', 'org', 'admin', 'user', 'badevent', 'system']) await play(`hook-create-${name}`, { shapeOnly });
}
