// Promises what starts runs: a commit starts every workflow of the repository that listens to its branch, a dispatch starts one, a test
// starts whatever it likes. Builds the event that jobs see.

import { deliverHooks } from './routes-hooks.ts';
import { insertRun } from './runs.ts';
import { repositoryJsonOf, timeOf, userJsonOf } from './wire.ts';
import { isStartedBy, planRun, workflowOf } from './workflow.ts';
import { newHex, rowOf, type Repository, type Run, type User, type World } from './world.ts';

type Json = Readonly<Record<string, unknown>>;
export type Change = { readonly path: string; readonly content: string | undefined; readonly message: string };

/** Writes or deletes one file on the only branch; the commit's name comes back. What it starts is started by the caller. */
export function commit(
  world: World,
  repository: Repository,
  { path, content }: Change,
): { readonly before: string; readonly after: string } {
  const before = repository.head ?? '0'.repeat(40);
  const after = newHex();
  if (content === undefined) repository.files.delete(path);
  else repository.files.set(path, { sha: newHex(), content });
  repository.head = after;
  repository.updatedAt = world.now();
  return { before, after };
}

/** Forgejo looks into the first of these folders that is there. */
const folders = ['.forgejo/workflows/', '.gitea/workflows/', '.github/workflows/'];

export function startPushRuns(world: World, repository: Repository, user: User, event: Json, message: string): readonly Run[] {
  deliverHooks(world, repository, 'push', event);
  const paths = [...repository.files.keys()];
  const folder = folders.find((start) => paths.some((path) => path.startsWith(start)));
  if (folder === undefined || !repository.actions) return [];
  const runs: Run[] = [];
  for (const path of paths.filter((name) => name.startsWith(folder) && /\.ya?ml$/.test(name)).toSorted()) {
    const workflow = workflowOf(repository.files.get(path)?.content ?? '');
    if (workflow === undefined || !isStartedBy(workflow, 'push', repository.branch)) continue;
    runs.push(start(world, { repository, user, workflow, path, event: 'push', payload: event, title: message.split('\n')[0] ?? '' }));
  }
  return runs;
}

export type Start = {
  readonly repository: Repository;
  readonly user: User;
  readonly workflow: Json;
  readonly path: string;
  readonly event: Run['event'];
  readonly payload: Json;
  /** Undefined: the name of the workflow. */
  readonly title?: string;
};

export function start(world: World, { repository, user, workflow, path, event, payload, title }: Start): Run {
  const id = world.next('run');
  repository.runs += 1;
  const index = repository.runs;
  const file = path.split('/').at(-1) ?? path;
  const ref = `refs/heads/${repository.branch}`;
  const sha = repository.head ?? newHex();
  const full = `${rowOf(world.users, repository.ownerId).name}/${repository.name}`;
  const github = {
    ref,
    ref_name: repository.branch,
    sha,
    workflow: file,
    repository: full,
    event_name: event,
    run_id: id,
    run_number: index,
  };
  const plan = planRun(workflow, file, github);
  const place = { id, index, repositoryId: repository.id, workflow: file, userId: user.id };
  return insertRun(world, { ...place, title: title ?? plan.name, event, payload, ref, sha, plan });
}

export function dispatchEventOf(world: World, repository: Repository, user: User, path: string, inputs: unknown): Json {
  return { inputs, ref: `refs/heads/${repository.branch}`, ...partiesOf(world, repository, user), workflow: path };
}

export function pushEventOf(
  world: World,
  repository: Repository,
  user: User,
  change: Change,
  { before, after }: { readonly before: string; readonly after: string },
): Json {
  const { rootUrl } = world;
  const full = `${rootUrl}/${rowOf(world.users, repository.ownerId).name}/${repository.name}`;
  const author = { name: user.name, email: `${user.name}@example.org`, username: user.name };
  const head = {
    id: after,
    message: `${change.message}\n`,
    url: `${full}/commit/${after}`,
    author,
    committer: author,
    verification: null,
    timestamp: timeOf(world.now()),
    added: [change.path],
    removed: [],
    modified: [],
  };
  return {
    ref: `refs/heads/${repository.branch}`,
    before,
    after,
    compare_url: `${full}/compare/${before}...${after}`,
    commits: [head],
    total_commits: 0,
    head_commit: head,
    pusher: userJsonOf(rootUrl, user),
    ...partiesOf(world, repository, user),
  };
}

function partiesOf(world: World, repository: Repository, user: User): Json {
  const owner = rowOf(world.users, repository.ownerId);
  return { repository: repositoryJsonOf(world.rootUrl, owner, repository), sender: userJsonOf(world.rootUrl, user) };
}
