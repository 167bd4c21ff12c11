// What a job's steps find around them: the folders of the job and the variables of the runner, as forgejo-runner 12.8.2 sets them for host labels.

import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { randomHex } from './random.ts';
import type { Task } from './wire.ts';

export type Folders = {
  readonly root: string;
  readonly workspace: string;
  readonly act: string;
  readonly temp: string;
  readonly toolCache: string;
};

const reasons: Readonly<Record<string, string>> = {
  EACCES: 'permission denied',
  ENOENT: 'no such file or directory',
  EROFS: 'read-only file system',
  ENOTDIR: 'not a directory',
  ENOSPC: 'no space left on device',
};

/** Makes the folders of one job below the work parent. Throws in Go's words, with the first folder that could not be made. */
export function makeFolders(parent: string, event: unknown): Folders {
  const root = join(parent, randomHex(8));
  const folders = {
    root,
    workspace: join(root, 'hostexecutor'),
    act: join(root, 'act'),
    temp: join(root, 'tmp'),
    toolCache: join(parent, 'tool_cache'),
  };
  try {
    for (const folder of [folders.workspace, join(folders.act, 'workflow'), folders.temp]) mkdirSync(folder, { recursive: true });
    writeFileSync(join(folders.act, 'workflow', 'event.json'), JSON.stringify(event ?? {}));
    return folders;
  } catch (error) {
    const { code = '', path = parent } = error as NodeJS.ErrnoException;
    throw new Error(`mkdir ${path}: ${reasons[code] ?? code}`, { cause: error });
  }
}

export function removeFolders(folders: Folders): void {
  rmSync(folders.root, { recursive: true, force: true, maxRetries: 3 });
}

/** GITHUB_* and FORGEJO_* and what else every step sees, without the files of a step. */
export function jobVariables(task: Task, url: string, folders: Folders, imageOs: string): Record<string, string> {
  const text = (key: string): string => {
    const value = task.context[key];
    return typeof value === 'string' || typeof value === 'number' ? String(value) : '';
  };
  const token = text('token') || (task.secrets['GITHUB_TOKEN'] ?? '');
  const both: Readonly<Record<string, string>> = {
    ACTIONS: 'true',
    WORKSPACE: folders.workspace,
    REPOSITORY: text('repository'),
    REPOSITORY_OWNER: text('repository_owner'),
    SHA: text('sha'),
    REF: text('ref'),
    REF_NAME: text('ref_name'),
    REF_TYPE: text('ref_type'),
    HEAD_REF: text('head_ref'),
    BASE_REF: text('base_ref'),
    EVENT_NAME: text('event_name'),
    EVENT_PATH: join(folders.act, 'workflow', 'event.json'),
    RUN_ID: text('run_id'),
    RUN_NUMBER: text('run_number'),
    RUN_ATTEMPT: text('run_attempt'),
    ACTOR: text('actor'),
    JOB: text('job'),
    WORKFLOW: text('workflow'),
    SERVER_URL: url,
    API_URL: `${url}/api/v1`,
    TOKEN: token,
  };
  const variables = Object.entries(both).flatMap(([name, value]) => [`GITHUB_${name}`, `FORGEJO_${name}`].map((key) => [key, value]));
  return {
    ...Object.fromEntries(variables),
    CI: 'true',
    ImageOS: imageOs,
    ACTIONS_RUNTIME_URL: `${url}/api/actions_pipeline/`,
    ACTIONS_RUNTIME_TOKEN: text('gitea_runtime_token'),
    ACTIONS_RESULTS_URL: url,
    RUNNER_OS: 'Linux',
    RUNNER_ARCH: process.arch === 'arm64' ? 'ARM64' : 'X64',
    RUNNER_TEMP: folders.temp,
    RUNNER_TOOL_CACHE: folders.toolCache,
    RUNNER_PERFLOG: '/dev/null',
    RUNNER_TRACKING_ID: `forgejo_${task.id}`,
  };
}
