// Turns command line, config file, `.runner` and HOME into the settings of one run, with the refusals of forgejo-runner 12.8.2.
// The token is read here, once; nothing reads its file again.

import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

import type { RunCommand } from './cli.ts';
import { parseDurationMs } from './duration.ts';
import { messageOf, RunnerFailure } from './failure.ts';
import { type Label, parseLabel } from './labels.ts';
import { isMapping, type Mapping, parseMapping, textOf } from './plain-mapping.ts';
import { defaultRetryPolicy, type RetryPolicy } from './retry.ts';

export type Connection = {
  readonly name: string;
  readonly url: string;
  readonly uuid: string;
  readonly token: string;
  readonly labels: readonly Label[];
};

export type Settings = {
  readonly logLevel: string;
  readonly fetchIntervalMs: number;
  readonly fetchTimeoutMs: number;
  readonly reportIntervalMs: number;
  readonly reportRetry: RetryPolicy;
  readonly jobTimeoutMs: number;
  readonly clientTimeoutMs: number;
  readonly extraEnvironment: Readonly<Record<string, string>>;
  readonly cache: { readonly enabled: boolean; readonly folder: string };
  /** Where the folders of jobs are made: `host.workdir_parent`, else `.cache/act` under HOME, else under the cwd. */
  readonly workParent: string;
  readonly connections: readonly Connection[];
};

export type Surroundings = { readonly env: NodeJS.ProcessEnv; readonly cwd: string };

const invalid = (why: string): RunnerFailure => new RunnerFailure(`invalid configuration: ${why}`);

function sectionOf(mapping: Mapping, key: string): Mapping {
  const value = mapping[key];
  return isMapping(value) ? value : {};
}

function durationOf(mapping: Mapping, key: string, fallbackMs: number): number {
  const value = mapping[key];
  if (value === undefined || isMapping(value)) return fallbackMs;
  const ms = parseDurationMs(textOf(value));
  if (ms === undefined) throw invalid(`\`${key}\`: time: invalid duration ${JSON.stringify(textOf(value))}`);
  return ms === 0 ? fallbackMs : ms;
}

function stringsOf(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.map(textOf) : [];
}

/** Reads `file:/path`, `file:///path` or `file:$CREDENTIALS_DIRECTORY/name`; the text is the token as it is, newline included. */
function readSecret(secretUrl: string, env: NodeJS.ProcessEnv): string {
  const expanded = secretUrl.replaceAll('$CREDENTIALS_DIRECTORY', env['CREDENTIALS_DIRECTORY'] ?? '');
  const path = /^file:(?:\/\/(?=\/))?(.+)$/s.exec(expanded)?.[1];
  if (path === undefined) throw invalid(`invalid \`token-url\`: unsupported secret URL: ${JSON.stringify(secretUrl)}`);
  try {
    // The descriptor, not the path: /dev/stdin cannot be opened by path where stdin is a socket.
    return readFileSync(path === '/dev/stdin' ? 0 : path, 'utf8');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    const why = code === 'ENOENT' ? 'no such file or directory' : code === 'EACCES' ? 'permission denied' : messageOf(error);
    throw invalid(`invalid \`token-url\`: cannot read secret ${JSON.stringify(secretUrl)}: open ${path}: ${why}`);
  }
}

function checkUuid(uuid: string): string {
  if (uuid.length !== 36) throw invalid(`malformed \`uuid\` ${JSON.stringify(uuid)}: invalid UUID length: ${uuid.length}`);
  if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(uuid))
    throw invalid(`malformed \`uuid\` ${JSON.stringify(uuid)}: invalid UUID format`);
  return uuid;
}

function checkUrl(url: string): string {
  if (!/^https?:\/\/./.test(url)) throw invalid(`malformed \`url\` ${JSON.stringify(url)}: only http and https are supported`);
  return url.replace(/\/+$/, '');
}

function connectionOfFlags(command: RunCommand, env: NodeJS.ProcessEnv): Connection | undefined {
  const { url, uuid, tokenUrl } = command;
  if (url === undefined && uuid === undefined && tokenUrl === undefined) return undefined;
  if (url === undefined || uuid === undefined || tokenUrl === undefined) {
    throw invalid('`url`, `uuid` and `token-url` have to be given together');
  }
  return {
    name: 'default',
    url: checkUrl(url),
    uuid: checkUuid(uuid),
    labels: command.labels.map(parseLabel),
    token: readSecret(tokenUrl, env),
  };
}

function connectionsOfConfig(config: Mapping, defaults: readonly string[], env: NodeJS.ProcessEnv): readonly Connection[] {
  return Object.entries(sectionOf(sectionOf(config, 'server'), 'connections')).flatMap(([name, entry]) => {
    if (!isMapping(entry)) return [];
    const labels = entry['labels'] === undefined ? defaults : stringsOf(entry['labels']);
    const secretUrl = entry['token_url'];
    return [
      {
        name,
        url: checkUrl(textOf(entry['url'])),
        uuid: checkUuid(textOf(entry['uuid'])),
        token: secretUrl === undefined ? textOf(entry['token']) : readSecret(textOf(secretUrl), env),
        labels: labels.map(parseLabel),
      },
    ];
  });
}

function connectionOfRunnerFile(path: string): Connection | undefined {
  if (!existsSync(path)) return undefined;
  const parsed: unknown = JSON.parse(readFileSync(path, 'utf8'));
  if (!isMapping(parsed)) throw invalid(`${path} holds no registration`);
  return {
    name: 'default',
    url: checkUrl(textOf(parsed['address'])),
    uuid: checkUuid(textOf(parsed['uuid'])),
    token: textOf(parsed['token']),
    labels: stringsOf(parsed['labels']).map(parseLabel),
  };
}

function allConnections(command: RunCommand, config: Mapping, { env, cwd }: Surroundings): readonly Connection[] {
  const runner = sectionOf(config, 'runner');
  const fromFlags = connectionOfFlags(command, env);
  const fromConfig = connectionsOfConfig(config, stringsOf(runner['labels']), env);
  const fromFile = connectionOfRunnerFile(resolve(cwd, textOf(runner['file'] ?? '.runner')));
  if (fromFlags === undefined) return [...fromConfig, ...(fromFile === undefined ? [] : [fromFile])];
  if (fromConfig.length > 0 || fromFile !== undefined) {
    throw invalid('server connection conflict between program arguments and config; only one source can provide server connections');
  }
  return [fromFlags];
}

async function readConfig(path: string | undefined): Promise<Mapping> {
  if (path === undefined) return {};
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    const why = (error as NodeJS.ErrnoException).code === 'ENOENT' ? 'no such file or directory' : messageOf(error);
    throw invalid(`open config file ${JSON.stringify(path)}: open ${path}: ${why}`);
  }
  return parseMapping(text);
}

export async function loadSettings(command: RunCommand, surroundings: Surroundings): Promise<Settings> {
  const { env, cwd } = surroundings;
  const config = await readConfig(command.config);
  const runner = sectionOf(config, 'runner');
  const retry = sectionOf(runner, 'report_retry');
  const cache = sectionOf(config, 'cache');
  const home = env['HOME'] ?? cwd;
  const envs = Object.entries(sectionOf(runner, 'envs')).map(([key, value]) => [key, textOf(value)]);
  return {
    logLevel: textOf(sectionOf(config, 'log')['level'] ?? 'info'),
    fetchIntervalMs: command.fetchIntervalMs ?? durationOf(runner, 'fetch_interval', 2000),
    fetchTimeoutMs: durationOf(runner, 'fetch_timeout', 5000),
    reportIntervalMs: durationOf(runner, 'report_interval', 1000),
    reportRetry: {
      maxRetries: Number(retry['max_retries'] ?? 0) || defaultRetryPolicy.maxRetries,
      initialDelayMs: durationOf(retry, 'initial_delay', defaultRetryPolicy.initialDelayMs),
      maxDelayMs: durationOf(retry, 'max_delay', defaultRetryPolicy.maxDelayMs),
    },
    jobTimeoutMs: durationOf(runner, 'timeout', 3 * 3_600_000),
    clientTimeoutMs: (Number(env['FORGEJO_CLIENT_TIMEOUT']) || 60) * 1000,
    extraEnvironment: Object.fromEntries(envs),
    cache: { enabled: cache['enabled'] !== false, folder: textOf(cache['dir'] ?? join(home, '.cache', 'actcache')) },
    workParent: resolve(cwd, textOf(sectionOf(config, 'host')['workdir_parent'] ?? join(home, '.cache', 'act'))),
    connections: allConnections(command, config, surroundings),
  };
}
