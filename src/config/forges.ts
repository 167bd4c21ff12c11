// Promises the forges of a configuration: address, scope, token file. The token file is looked at (is it there, is it more than a
// placeholder, who may read it) and its content forgotten at once: no token ever enters the Config (I7).

import type { ForgeConfig } from './settings.ts';
import type { Scope } from '../core/model.ts';
import { absolutePath, duration, flag, forgeWord, oneOf, plainName, repository, webAddress } from './kinds.ts';
import { codeOf, describe, isMap, looksSecret, openSection, type Findings, type Section } from './reader.ts';
import { valueOf, type Environment } from './source.ts';

/** What a configuration needs to see of the machine it is read on. Tests give their own. */
export type Host = {
  /** Text and permission bits. Rejects as node:fs does. */
  read(path: string): Promise<{ readonly text: string; readonly mode: number }>;
  /** True when the path is a file that may be executed. */
  executable(path: string): Promise<boolean>;
  readonly hostname: string;
};

const keys = ['name', 'url', 'instanceUrl', 'scope', 'tokenFile', 'pollInterval', 'allowPending'] as const;
const scopeForms = '{repository: owner/name}, {organization: name}, {user: true} or {instance: true}';
/** codeberg.org asks for patience; the stock runner polls it no faster either. */
const publicIntervalMs = 30_000;
export const pollDuration = duration(100, 3_600_000, '1s, 500ms or 30s');

type Context = { readonly env: Environment; readonly host: Host; readonly findings: Findings; readonly pollIntervalMs: number };

/** Every forge that could be read; what could not is among the mistakes. */
export async function readForges(root: Section, context: Context): Promise<readonly ForgeConfig[]> {
  const { findings } = context;
  const items = root.list('forges', 'forges, each with url, scope and tokenFile');
  if (items.length === 0 && !findings.mistakes.some(({ path }) => path === 'forges'))
    findings.add('forges', 'is missing', 'list at least one forge, or set FORGEJO_URL, one scope variable and FORGEJO_TOKEN_FILE');
  const forges: ForgeConfig[] = [];
  for (const { value, path } of items) {
    const section = openSection(value, path, keys, findings);
    const forge = section === undefined ? undefined : await readForge(section, items.length, context);
    if (forge !== undefined) forges.push(forge);
  }
  checkTwins(forges, findings);
  return forges;
}

async function readForge(section: Section, count: number, context: Context): Promise<ForgeConfig | undefined> {
  const { findings } = context;
  const url = section.need('url', webAddress);
  const instanceUrl = section.get('instanceUrl', webAddress) ?? url;
  const scope = readScope(section, findings);
  const allowPending = section.get('allowPending', flag) ?? false;
  const tokenFile = await readTokenFile(section, allowPending, context);
  const name = section.has('name') || count > 1 ? section.need('name', plainName) : 'default';
  const asked = section.get('pollInterval', pollDuration) ?? context.pollIntervalMs;
  if (url === undefined || instanceUrl === undefined || scope === undefined || tokenFile === undefined || name === undefined)
    return undefined;
  if (/^(?:127\.|localhost$|\[::1\]$)/.test(new URL(instanceUrl).hostname))
    findings.warn(
      section.pathOf('instanceUrl'),
      `${instanceUrl} is loopback, and in a machine that is the machine itself; name an address that machines can reach`,
    );
  const slow = new URL(url).hostname === 'codeberg.org';
  if (slow && section.has('pollInterval') && asked < publicIntervalMs)
    findings.warn(section.pathOf('pollInterval'), 'codeberg.org is polled every 30s at most');
  return { name, url, instanceUrl, scope, tokenFile, pollIntervalMs: slow ? Math.max(asked, publicIntervalMs) : asked };
}

function readScope(section: Section, findings: Findings): Scope | undefined {
  const path = section.pathOf('scope');
  const value = section.raw('scope');
  if (value === undefined) {
    const remedy = findings.nameOf(path) === path ? `write one of ${scopeForms}` : 'set exactly one of them';
    return findings.add(path, 'is missing', remedy);
  }
  if (!isMap(value)) return findings.add(path, `is ${describe(value)}`, `write one of ${scopeForms}`);
  if (Object.hasOwn(value, 'level')) return readLevel(value, path, findings);
  const scope = openSection(value, path, ['repository', 'organization', 'user', 'instance', 'level'], findings);
  const kinds = ['repository', 'organization', 'user', 'instance'].filter((kind) => Object.hasOwn(value, kind));
  if (scope === undefined || kinds.length !== 1)
    return findings.add(path, `names ${kinds.length === 0 ? 'no scope' : kinds.join(' and ')}`, `write exactly one of ${scopeForms}`);
  if (kinds[0] === 'repository') {
    const found = scope.get('repository', repository);
    return found === undefined ? undefined : { kind: 'repository', ...found };
  }
  if (kinds[0] === 'organization') {
    const name = scope.get('organization', forgeWord);
    return name === undefined ? undefined : { kind: 'organization', name };
  }
  const kind = kinds[0] === 'user' ? 'user' : 'instance';
  const on = scope.get(kind, flag);
  if (on === false) return findings.add(scope.pathOf(kind), 'is false', `write one of ${scopeForms}`);
  return on === undefined ? undefined : { kind };
}

/** The ancestor's form: {level, owner, name}. */
function readLevel(value: unknown, path: string, findings: Findings): Scope | undefined {
  const scope = openSection(value, path, ['level', 'owner', 'name'], findings);
  const level = scope?.need('level', oneOf(['repository', 'organization', 'user', 'instance']));
  if (scope === undefined || level === undefined) return undefined;
  if (level === 'user' || level === 'instance') return { kind: level };
  if (level === 'repository') {
    const owner = scope.need('owner', forgeWord);
    const name = scope.need('name', forgeWord);
    return owner === undefined || name === undefined ? undefined : { kind: 'repository', owner, name };
  }
  // An organization was written as owner by some and as name by others.
  const name = scope.has('name') ? scope.get('name', forgeWord) : scope.need('owner', forgeWord);
  return name === undefined ? undefined : { kind: 'organization', name };
}

async function readTokenFile(section: Section, allowPending: boolean, context: Context): Promise<string | undefined> {
  const { findings } = context;
  const path = section.pathOf('tokenFile');
  const written = section.raw('tokenFile');
  const remedy = 'put the token into a file of mode 0600 and write its path';
  if (typeof written === 'string' && !written.includes('/') && (looksSecret(written) || written.length >= 32))
    return findings.add(path, 'looks like a token itself (not shown)', remedy);
  const expanded = typeof written === 'string' ? expand(written, path, context) : written;
  if (expanded === undefined && typeof written === 'string') return undefined;
  if (typeof expanded !== 'string' || absolutePath('').parse(expanded) === undefined)
    return findings.add(
      path,
      written === undefined ? 'is missing' : `is ${describe(written, typeof written !== 'string' || !written.includes('/'))}`,
      'write the absolute path of the file that holds the token',
    );
  await checkToken(expanded, path, allowPending, context);
  return expanded;
}

function expand(written: string, path: string, { env, findings }: Context): string | undefined {
  const variable = /^\$(?:CREDENTIALS_DIRECTORY|\{CREDENTIALS_DIRECTORY\})(?=\/)/;
  if (!variable.test(written)) return written;
  const directory = valueOf(env, 'CREDENTIALS_DIRECTORY');
  if (directory === undefined)
    return findings.add(
      path,
      'needs CREDENTIALS_DIRECTORY, which is not set',
      'start it from a unit with LoadCredential=, or write a plain path',
    );
  return written.replace(variable, () => directory);
}

async function checkToken(file: string, path: string, allowPending: boolean, { host, findings }: Context): Promise<void> {
  // With allowPending the service comes up before its token does; the forge reads the file again whenever it changes.
  const pending = (message: string, remedy: string, passing = true): void => {
    if (allowPending) findings.warn(path, `${message}; polling starts when the file holds a token`);
    else findings.add(path, message, remedy, passing);
  };
  let text: string;
  let mode: number;
  try {
    ({ text, mode } = await host.read(file));
  } catch (error) {
    pending(
      `names ${JSON.stringify(file)}, which cannot be read (${codeOf(error)})`,
      'create the file, and let the user of this service read it',
    );
    return;
  }
  const token = text.trim();
  if (token === '') pending(`names ${JSON.stringify(file)}, which is empty`, 'put an access token into it');
  else if (/^PENDING-/i.test(token))
    pending(`names ${JSON.stringify(file)}, which holds a placeholder (PENDING-...)`, 'put the real access token into it', false);
  else if (/\s/.test(token) || token.length > 4096)
    findings.add(path, `names ${JSON.stringify(file)}, which holds more than one word`, 'leave nothing but the access token in it');
  else if (!/^[!-~]+$/.test(token))
    findings.add(
      path,
      `names ${JSON.stringify(file)}, which holds characters that no token has`,
      'leave nothing but the access token in it',
    );
  if ((mode & 0o007) !== 0) findings.warn(path, `others may use ${file}; set its mode to 0600`);
}

function checkTwins(forges: readonly ForgeConfig[], findings: Findings): void {
  for (const [index, forge] of forges.entries()) {
    const earlier = forges.slice(0, index);
    const path = `forges[${index}]`;
    if (earlier.some(({ name }) => name === forge.name))
      findings.add(`${path}.name`, `is ${describe(forge.name)} a second time`, 'give each forge its own name');
    const same = (other: ForgeConfig): boolean => other.url === forge.url && JSON.stringify(other.scope) === JSON.stringify(forge.scope);
    if (earlier.some(same))
      findings.add(path, 'has the url and scope of an earlier forge, so both would run the same jobs', 'remove one of them');
  }
}
