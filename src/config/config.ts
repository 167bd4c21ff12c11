// Promises a frozen, whole Config from a YAML file and the environment, or CONFIG_INVALID with every mistake at once: its path, what kind
// of value stood there (never a secret's value) and the remedy; TOKEN_UNREADABLE when nothing but token files is missing. The only reader of
// the environment and of configuration files.

import { createHash } from 'node:crypto';
import { access, constants, open, stat } from 'node:fs/promises';
import { hostname } from 'node:os';
import { readCacheDir } from './cache.ts';
import { readDispatch } from './dispatch.ts';
import { checkDriver, readDriver } from './driver.ts';
import { checkExtraHosts } from './extra-hosts.ts';
import { pollDuration, readForges } from './forges.ts';
import { absolutePath, controllerId, cron, duration, flag, freeSpace, integer, keptSize, oneOf } from './kinds.ts';
import { checkShown, checkWritten, guardedPathsOf } from './guarded.ts';
import { readHttp } from './http.ts';
import { checkCapacity, readNetwork } from './network.ts';
import { readProfiles } from './profiles.ts';
import { codeOf, createFindings, mostMistakes, openSection, type Findings, type Mistake, type Section } from './reader.ts';
import { renderConfig } from './render.ts';
import type { Config } from './settings.ts';
import { readTelemetry } from './telemetry.ts';
import { overlay, parseYaml, valueOf, type Environment, type Tree } from './source.ts';
import type { Host, TokenContext } from './token-file.ts';
import { checkWarm } from './warm.ts';
import { ControllerError } from '../errors.ts';

export { guardedPathsOf } from './guarded.ts';

export { writesToJournal } from './journal.ts';

export { renderConfig } from './render.ts';

export type { Config } from './settings.ts';

export { liveOf } from './live.ts';

/**
 * What loadConfig needs. `env` is given by main, the only reader of process.env; `host` stands for the machine in tests; `guarded` are more
 * paths that no job may see: those of the configuration that is in force when this one is read; with `pending` no token needs to be there.
 */
export type LoadOptions = {
  readonly file?: string;
  readonly env: Environment;
  readonly host?: Host;
  readonly guarded?: readonly string[];
  readonly pending?: boolean;
};

const keys = [
  'controllerId',
  'stateDir',
  'cacheDir',
  'driver',
  'nixosContainer',
  'maxConcurrent',
  'maxPerRepository',
  'minFreeDisk',
  'pollInterval',
  'jobTimeout',
  'logLevel',
  'archive',
  'http',
  'listen',
  'forges',
  'profiles',
  'dispatch',
  'network',
  'maintenance',
  'metrics',
  'telemetry',
  'strict',
] as const;
const defaultStateDir = '/var/lib/forgejo-runner-controller';

/**
 * Reads the YAML file (when one is named) and lays the environment over it. Rejects with CONFIG_INVALID or TOKEN_UNREADABLE and nothing else:
 * `details.mistakes` is [{path, message, remedy}], and the message says the same in lines for a person.
 */
export async function loadConfig({ file, env, host = thisHost, guarded = [], pending = false }: LoadOptions): Promise<Config> {
  const findings = createFindings();
  const tree = file === undefined ? undefined : await readTree(file, host, findings);
  // Without a readable file every further mistake would only be an echo of that one.
  if (file !== undefined && tree === undefined) throw invalid(findings.mistakes);
  const root = openSection(overlay(tree, env, findings), '', keys, findings);
  if (root === undefined) throw invalid(findings.mistakes);
  const config = await readRoot(root, { env, host, findings, pending }, guarded);
  const strict = root.get('strict', flag) === true;
  if (strict && !pending) for (const warning of findings.warnings) findings.add('strict', warning, 'remove its cause, or leave out strict');
  if (findings.mistakes.length > 0) throw invalid(findings.mistakes);
  return freeze({ ...config, warnings: [...findings.warnings] });
}

/** First 12 hexadecimal digits of the SHA-256 of what the configuration says: /status shows which one is in force. */
export function configHashOf(config: Config): string {
  return createHash('sha256')
    .update(renderConfig({ ...config, warnings: [] }))
    .digest('hex')
    .slice(0, 12);
}

async function readTree(file: string, host: Host, findings: Findings): Promise<Tree | undefined> {
  try {
    const { text, mode } = await host.read(file);
    // Nothing in the Nix store is secret, and nothing in it can be made less readable.
    if ((mode & 0o004) !== 0 && !file.startsWith('/nix/store/')) findings.warn(file, 'others may read it; set its mode to 0640');
    if ((mode & 0o002) !== 0) findings.warn(file, 'others may change it; set its mode to 0640');
    return parseYaml(text, file, findings);
  } catch (error) {
    return findings.add(
      file,
      `cannot be read (${codeOf(error)})`,
      codeOf(error) === 'EACCES'
        ? 'ask as root, or name a file that you may read'
        : 'name an existing file with --config, or leave it out and set FORGEJO_URL',
    );
  }
}

async function readRoot(root: Section, context: TokenContext, guarded: readonly string[]): Promise<Omit<Config, 'warnings'>> {
  const { env, host, findings } = context;
  const given = root.get('controllerId', controllerId);
  const stateDir = root.get('stateDir', absolutePath('the state directory')) ?? stateDirectoryOf(env);
  if (stateDir === '/') findings.add('stateDir', 'is the root of the host', `write a directory of its own, such as ${defaultStateDir}`);
  const pollIntervalMs = root.get('pollInterval', pollDuration) ?? 1_000;
  const jobTimeoutMs = root.get('jobTimeout', duration(1_000)) ?? 7_200_000;
  const maxConcurrent = root.get('maxConcurrent', integer(0, 10_000)) ?? 7;
  const maxPerRepository = root.get('maxPerRepository', integer(1, 10_000));
  const network = readNetwork(root, findings);
  checkCapacity(maxConcurrent, network, findings);
  const forges = await readForges(root, { ...context, pollIntervalMs });
  const profiles = await readProfiles(root, env, host, jobTimeoutMs, findings);
  const drivers = readDriver(root);
  checkDriver(drivers.driver, profiles, findings);
  checkExtraHosts({ profiles, forges, network }, findings);
  const dispatch = readDispatch(root, profiles, findings);
  checkWarm(profiles, maxConcurrent, findings);
  const controllerIdIsDefault = !root.has('controllerId');
  const id = given ?? idOf(host.hostname);
  const http = await readHttp(root, id, context);
  const telemetry = await readTelemetry(root, context);
  const cacheDir = readCacheDir(root, env, findings);
  checkShown(profiles, [...guardedPathsOf({ stateDir, cacheDir, profiles, forges, http, ...telemetry }), ...guarded], findings);
  checkWritten(profiles, drivers, findings);
  if (controllerIdIsDefault)
    findings.warn(
      'controllerId',
      `is not set; ${id} is taken from the host's name. Two controllers with one id would remove each other's runners`,
    );
  return {
    controllerId: id,
    controllerIdIsDefault,
    stateDir,
    cacheDir,
    ...drivers,
    maxConcurrent,
    ...(maxPerRepository === undefined ? {} : { maxPerRepository }),
    minFreeDiskBytes: root.get('minFreeDisk', freeSpace) ?? 1024 ** 3,
    pollIntervalMs,
    jobTimeoutMs,
    archive: readArchive(root),
    http,
    forges,
    profiles,
    ...(dispatch === undefined ? {} : { dispatch }),
    network,
    maintenance: root.get('maintenance', cron) ?? '*/10 * * * *',
    metrics: { perRepository: root.section('metrics', ['perRepository'])?.get('perRepository', flag) ?? false },
    ...telemetry,
    logLevel: root.get('logLevel', oneOf(['debug', 'info', 'warn', 'error'])) ?? 'info',
  };
}

const day = 24 * 3_600_000;
const kibibyte = 1_024;

function readArchive(root: Section): Config['archive'] {
  const section = root.section('archive', ['maxAge', 'maxSize', 'perJob']);
  return {
    maxAgeMs: section?.get('maxAge', duration(0, undefined, '14d or 36h')) ?? 14 * day,
    maxBytes: section?.get('maxSize', keptSize(kibibyte ** 2, 1024 * kibibyte ** 3, '200MiB')) ?? 200 * kibibyte ** 2,
    perJobBytes: section?.get('perJob', keptSize(kibibyte, 2 * kibibyte ** 2, '256KiB')) ?? 256 * kibibyte,
  };
}

/** systemd's StateDirectory= names ours when nothing else does. */
function stateDirectoryOf(env: Environment): string {
  const given = valueOf(env, 'STATE_DIRECTORY');
  return given !== undefined && absolutePath('').parse(given) !== undefined ? given : defaultStateDir;
}

/** A controller id from a host's name: what a mark may hold, at most 16 characters. */
export function idOf(hostname: string): string {
  const bare = (hostname.split('.')[0] ?? '').toLowerCase().replaceAll(/[^a-z0-9]+/g, '-');
  const text = bare.replace(/^-+/, '').slice(0, 16).replace(/-+$/, '');
  return text === '' ? 'controller' : text;
}

function invalid(mistakes: readonly Mistake[]): ControllerError {
  const many = mistakes.length >= mostMistakes ? ' or more' : '';
  const count = mistakes.length === 1 ? 'one mistake' : `${mistakes.length}${many} mistakes`;
  const lines = mistakes.map(({ path, message, remedy }) => `  ${path} ${message}: ${remedy}`);
  const code = mistakes.every(({ passing }) => passing === true) ? 'TOKEN_UNREADABLE' : 'CONFIG_INVALID';
  return new ControllerError(code, [`The configuration has ${count}:`, ...lines].join('\n'), {
    details: { mistakes: [...mistakes] },
  });
}

function freeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value;
  for (const inner of Object.values(value)) freeze(inner);
  return Object.freeze(value);
}

/** Ten times what a large configuration has. */
const mostBytes = 262_144;

const thisHost: Host = {
  hostname: hostname(),
  async read(path) {
    // Not to wait for a writer, if it is a pipe: what is read here is there, or it is not the right file.
    const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      const found = await file.stat();
      if (found.isDirectory()) throw Object.assign(new Error('a folder'), { code: 'EISDIR' });
      if (!found.isFile()) throw Object.assign(new Error('no plain file'), { code: 'no plain file' });
      if (found.size > mostBytes) throw Object.assign(new Error('too large'), { code: 'EFBIG' });
      return { text: await file.readFile('utf8'), mode: found.mode & 0o777 };
    } finally {
      await file.close();
    }
  },
  async executable(path) {
    try {
      await access(path, constants.X_OK);
      return (await stat(path)).isFile();
    } catch {
      // Not there, or not ours to run: either way it is not the runner.
      return false;
    }
  },
};
