// Promises the profiles of a configuration: which labels, what machine, which limits and clocks. What jobs
// must not see of the host is the business of guarded.ts.

import { delimiter, join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import type { Limits, NixAccess, Profile, Template, Timeouts } from '../core/model.ts';
import { asksOrigin } from '../core/origin.ts';
import type { Host } from './token-file.ts';
import { readBind } from './binds.ts';
import { readCache } from './cache.ts';
import { readExtraHosts } from './extra-hosts.ts';
import { absolutePath, cpus, duration, integer, oneOf, plainName, sha256, size, tasks } from './kinds.ts';
import { readChoices } from './choices.ts';
import { readNameservers } from './network.ts';
import { describe, isMap, looksSecret, openSection, readScalar, type Findings, type Section } from './reader.ts';
import { valueOf, type Environment } from './source.ts';
import { readWarm } from './warm.ts';

const keys = [
  'name',
  'labels',
  'template',
  'nix',
  'containers',
  'forks',
  'repositories',
  'events',
  'limits',
  'timeouts',
  'runner',
  'runnerSha256',
  'nameservers',
  'extraHosts',
  'binds',
  'environment',
  'max',
  'cache',
  'warm',
] as const;
const defaultLabels = 'self-hosted,ci,nix,x64,Linux';
const usualRunner = '/usr/local/bin/forgejo-runner';
const defaultLimits: Limits = { memoryBytes: 4 * 1024 ** 3, tasks: 4096 };
const secretName = /(?:^|_)(?:TOKEN|SECRET|PASSWORD|PASSWD|API_?KEY|PRIVATE_?KEY|ACCESS_?KEY|CREDENTIALS?)$/i;

/** Far more than one machine can be. */
const mostLabels = 1_000;

const templatePaths: Readonly<Record<Exclude<Template['kind'], 'host'>, string>> = {
  directory: 'a root directory',
  system: 'a root directory with a systemd in it',
  'nix-env': 'an environment in the Nix store, or a link to one',
  nixos: 'a NixOS system in the Nix store, or a link to one',
};

type Context = { readonly findings: Findings; readonly runnerPath: string; readonly jobMs: number };

/** Every profile that could be read, or the built-in `default` when none is listed. */
export async function readProfiles(
  root: Section,
  env: Environment,
  host: Host,
  jobMs: number,
  findings: Findings,
): Promise<readonly Profile[]> {
  const items = root.list('profiles', 'profiles, each with name and labels');
  const listed = root.has('profiles');
  const needed = !listed || items.some(({ value }) => isMap(value) && !Object.hasOwn(value, 'runner'));
  const context = { findings, jobMs, runnerPath: needed ? await findRunner(env, host, findings) : usualRunner };
  if (!listed) return [builtIn(env, context)];
  if (valueOf(env, 'RUNNER_LABELS') !== undefined) findings.warn('RUNNER_LABELS', 'is not used, because the file lists profiles');
  if (Array.isArray(root.raw('profiles')) && items.length === 0)
    findings.add('profiles', 'is an empty list', 'list a profile, or leave the key out for the built-in one');
  const profiles = items
    .map(({ value, path }) => ({ path, section: openSection(value, path, keys, findings) }))
    .map(({ section }) => (section === undefined ? undefined : readProfile(section, items.length, context)))
    .filter((profile) => profile !== undefined);
  checkTwins(profiles, findings);
  return profiles;
}

function builtIn(env: Environment, { findings, runnerPath, jobMs }: Context): Profile {
  const labels = readLabels(valueOf(env, 'RUNNER_LABELS') ?? defaultLabels, 'RUNNER_LABELS', findings) ?? [];
  const timeouts = { startMs: 60_000, pickMs: 30_000, jobMs, stopMs: 10_000 };
  return { name: 'default', labels, template: { kind: 'host' }, limits: defaultLimits, timeouts, runnerPath, binds: [], environment: {} };
}

function readProfile(section: Section, count: number, context: Context): Profile {
  const { findings } = context;
  const name = section.has('name') || count > 1 ? section.need('name', plainName) : 'default';
  const labels = section.has('labels')
    ? readLabels(section.raw('labels'), section.pathOf('labels'), findings)
    : findings.add(section.pathOf('labels'), 'is missing', 'list the labels that jobs ask for in runs-on');
  const template = readTemplate(section, findings);
  const limits = readLimits(section.section('limits', ['cpus', 'memory', 'tasks', 'disk']));
  const timeouts = readTimeouts(section.section('timeouts', ['start', 'pick', 'job', 'stop']), context.jobMs);
  const runnerPath = section.get('runner', absolutePath('the forgejo-runner binary')) ?? context.runnerPath;
  const runnerSha256 = section.get('runnerSha256', sha256);
  const nixAccess = readNixAccess(section);
  const containers = readContainers(section, template, findings);
  // Containers open more of the kernel to jobs: strangers' only if somebody says so.
  const forks = section.get('forks', oneOf(['accept', 'refuse'])) ?? (containers === undefined ? 'accept' : 'refuse');
  const nameservers = readNameservers(section, findings);
  const extraHosts = readExtraHosts(section, findings);
  const binds = section.list('binds', 'binds such as /a:/b:ro').map(({ value, path }) => readBind(value, path, findings));
  const environment = readEnvironment(section, findings);
  const max = section.get('max', integer(1, 10_000));
  const found = binds.filter((bind) => bind !== undefined);
  // What was a mistake stands empty, so that the checks between profiles and with the rest still see what was right.
  const profile: Profile = {
    name: name ?? '',
    labels: labels ?? [],
    template: template ?? { kind: 'host' },
    limits,
    timeouts,
    runnerPath,
    ...(runnerSha256 === undefined ? {} : { runnerSha256 }),
    ...(nixAccess === undefined ? {} : { nixAccess }),
    ...(containers === undefined ? {} : { containers }),
    ...(forks === 'refuse' ? { refusesForks: true } : {}),
    ...readChoices(section, findings),
    ...(nameservers.length === 0 ? {} : { nameservers }),
    ...(extraHosts.length === 0 ? {} : { extraHosts }),
    binds: found,
    environment,
  };
  const warm = readWarm(section, max, findings);
  const cache = readCache(section, { binds: found, ...(warm === undefined ? {} : { warm }) }, findings);
  return {
    ...profile,
    ...(max === undefined ? {} : { max }),
    ...(cache === undefined ? {} : { cache }),
    ...(warm === undefined ? {} : { warm }),
  };
}

/** Bare label names from a list or a comma string; `name:scheme` is stripped, and schemes that no machine can serve are refused. */
export function readLabels(value: unknown, path: string, findings: Findings): readonly string[] | undefined {
  const items: readonly unknown[] | undefined = typeof value === 'string' ? value.split(',') : Array.isArray(value) ? value : undefined;
  if (items === undefined || items.length === 0 || value === '')
    return findings.add(
      path,
      `is ${items?.length === 0 ? 'an empty list' : describe(value)}`,
      'write a list of labels, or one string with commas between them',
    );
  if (items.length > mostLabels)
    return findings.add(path, `has ${items.length} labels`, `write at most ${mostLabels}; a job can ask for a few of them only`);
  const labels: string[] = [];
  for (const [index, item] of items.entries()) {
    const label = readLabel(item, typeof value === 'string' ? path : `${path}[${index}]`, findings);
    if (label !== undefined && labels.includes(label))
      findings.add(path, `has the label ${JSON.stringify(label)} twice`, 'keep one of them');
    else if (label !== undefined) labels.push(label);
  }
  return labels;
}

function readLabel(item: unknown, path: string, findings: Findings): string | undefined {
  const text = typeof item === 'number' ? String(item) : item;
  if (typeof text !== 'string' || text.trim() === '' || text.length > 255 || /[\p{Cc},]/u.test(text) || looksSecret(text))
    return findings.add(path, `has ${describe(text)} for a label`, 'write a name as it stands in runs-on, such as ubuntu-22.04');
  const [name = '', scheme, ...rest] = text.trim().split(':');
  const bare = name.trim();
  if (bare === '') return findings.add(path, `has ${describe(text)}, a scheme without a name`, 'write name:scheme, or the name alone');
  if (scheme === undefined || scheme === 'docker' || scheme === 'lxc' || (scheme === 'host' && rest.length === 0)) {
    if (rest.length > 0) findings.warn(path, `${bare}: the image after ${scheme}: is not used; the profile's template decides`);
    return bare;
  }
  return findings.add(
    path,
    `has ${describe(text)}, whose scheme no machine can serve`,
    `write ${JSON.stringify(bare)} alone, or with :host, :docker or :lxc`,
  );
}

function readTemplate(section: Section, findings: Findings): Template | undefined {
  if (!section.has('template')) return { kind: 'host' };
  const template = section.section('template', ['kind', 'path']);
  const kind = template?.need('kind', oneOf<Template['kind']>(['host', 'directory', 'system', 'nix-env', 'nixos']));
  if (template === undefined || kind === undefined) return undefined;
  if (kind === 'host')
    return template.has('path')
      ? findings.add(template.pathOf('path'), 'has no meaning for kind host', 'remove it, or write kind: directory')
      : { kind };
  const path = template.need('path', absolutePath(templatePaths[kind]));
  if (path === '/')
    return findings.add(template.pathOf('path'), 'is the root of the host', 'write kind: host, or the path of another root directory');
  return path === undefined ? undefined : { kind, path };
}

function readNixAccess(section: Section): NixAccess | undefined {
  const access = section.section('nix', ['access'])?.get('access', oneOf<NixAccess | 'none'>(['none', 'daemon', 'own']));
  return access === 'none' ? undefined : access;
}

function readContainers(section: Section, template: Template | undefined, findings: Findings): Profile['containers'] {
  const engine = section.get('containers', oneOf<'podman' | 'none'>(['none', 'podman']));
  if (engine === undefined || engine === 'none') return undefined;
  if (template === undefined || template.kind === 'system' || template.kind === 'nixos') return engine;
  return findings.add(
    section.pathOf('containers'),
    `is ${engine}, which needs a machine with a systemd of its own, and its template is of kind ${template.kind}`,
    'write template.kind: system or nixos, with podman in it, or containers: none',
  );
}

function pick(value: number | 'none' | undefined, fallback?: number): number | undefined {
  return value === 'none' ? undefined : (value ?? fallback);
}

function readLimits(section: Section | undefined): Limits {
  if (section === undefined) return defaultLimits;
  const limits = {
    cpus: pick(section.get('cpus', cpus)),
    memoryBytes: pick(section.get('memory', size), defaultLimits.memoryBytes),
    tasks: pick(section.get('tasks', tasks), defaultLimits.tasks),
    diskBytes: pick(section.get('disk', size)),
  };
  return Object.fromEntries(Object.entries(limits).filter(([, value]) => value !== undefined));
}

function readTimeouts(section: Section | undefined, jobMs: number): Timeouts {
  const read = (key: string, fallback: number): number => section?.get(key, duration(1_000)) ?? fallback;
  return { startMs: read('start', 60_000), pickMs: read('pick', 30_000), jobMs: read('job', jobMs), stopMs: read('stop', 10_000) };
}

function readEnvironment(section: Section, findings: Findings): Readonly<Record<string, string>> {
  const value = section.raw('environment');
  const path = section.pathOf('environment');
  if (value === undefined) return {};
  if (!isMap(value)) return findings.add(path, `is ${describe(value)}`, 'write a map of names and values') ?? {};
  const entries: [string, string][] = [];
  for (const [name, item] of Object.entries(value)) {
    const place = `${path}.${/^\w{1,60}$/.test(name) && !looksSecret(name) ? name : '(a name that is not shown)'}`;
    const text = typeof item === 'string' ? item : typeof item === 'number' || typeof item === 'boolean' ? String(item) : undefined;
    if (!/^[A-Za-z_]\w*$/.test(name)) findings.add(place, 'is no name of a variable', 'use letters, digits and underscore');
    else if (secretName.test(name) || /:\/\/[^/\s]*:[^/\s]*@/.test(text ?? ''))
      findings.add(place, 'looks like a secret (not shown), and every job could read it', "use the forge's own secrets for jobs");
    else if (text === undefined || text.includes('\0')) findings.add(place, `is ${describe(item, true)}`, 'write a string or a number');
    else entries.push([name, text]);
  }
  return Object.fromEntries(entries);
}

function setOf(labels: readonly string[]): string {
  return JSON.stringify(labels.toSorted());
}

function checkTwins(profiles: readonly Profile[], findings: Findings): void {
  for (const [index, profile] of profiles.entries()) {
    const earlier = profiles.slice(0, index);
    if (profile.name !== '' && earlier.some(({ name }) => name === profile.name))
      findings.add(`profiles[${index}].name`, `is ${describe(profile.name)} a second time`, 'give each profile its own name');
    // What an earlier one does not take for where it comes from may be the later one's.
    const twin = earlier.find(
      (other) =>
        other.labels.length > 0 &&
        setOf(other.labels) === setOf(profile.labels) &&
        (!asksOrigin(other) || isDeepStrictEqual(gateOf(other), gateOf(profile))),
    );
    if (twin !== undefined)
      findings.add(
        `profiles[${index}].labels`,
        `are those of the profile ${twin.name}, so it would never be used`,
        'change the labels of one of them',
      );
  }
}

function gateOf({ refusesForks, repositories, events }: Profile): readonly unknown[] {
  return [refusesForks, repositories, events];
}

/** RUNNER_PATH, else the usual place, else what PATH says. */
async function findRunner(env: Environment, host: Host, findings: Findings): Promise<string> {
  const given = valueOf(env, 'RUNNER_PATH');
  if (given !== undefined) return readScalar(given, 'RUNNER_PATH', absolutePath('the forgejo-runner binary'), findings) ?? usualRunner;
  const directories = (env['PATH'] ?? '').split(delimiter).filter((directory) => directory.startsWith('/'));
  for (const path of [usualRunner, ...directories.map((directory) => join(directory, 'forgejo-runner'))])
    if (await host.executable(path)) return path;
  findings.warn('RUNNER_PATH', `no forgejo-runner was found on PATH or at ${usualRunner}; install it or name it here`);
  return usualRunner;
}
