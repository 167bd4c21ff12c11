// Promises the forges of a configuration: address, scope, token file.

import type { ForgeConfig } from './settings.ts';
import type { Scope } from '../core/model.ts';
import { readAuthorities } from './authorities.ts';
import { readHookWish } from './hook-wish.ts';
import { duration, flag, forgeWord, oneOf, plainName, repository, webAddress } from './kinds.ts';
import { describe, isMap, openSection, type Findings, type Section } from './reader.ts';
import { readTokenFile, type TokenContext } from './token-file.ts';

const keys = [
  'name',
  'url',
  'instanceUrl',
  'caFile',
  'scope',
  'tokenFile',
  'pollInterval',
  'allowPending',
  'webhook',
  'waitingStatus',
] as const;
const scopeForms = '{repository: owner/name}, {organization: name}, {user: true} or {instance: true}';
/** codeberg.org asks for patience; the stock runner polls it no faster either. */
const publicIntervalMs = 30_000;
export const pollDuration = duration(100, 3_600_000, '1s, 500ms or 30s');

const forgeInterval = { ...pollDuration, expected: `${pollDuration.expected}, or none` };
/** What a forge that is not polled may keep from us for at most: a delivery that was lost, and what no webhook tells. */
const unpolledMs = 600_000;

type Context = TokenContext & { readonly pollIntervalMs: number };

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
  const authorities = await readAuthorities(section, url, context);
  const allowPending = section.get('allowPending', flag) ?? false;
  const tokenFile = await readTokenFile(section, allowPending, context);
  const name = section.has('name') || count > 1 ? section.need('name', plainName) : 'default';
  const unpolled = section.raw('pollInterval') === 'none';
  const asked = unpolled ? unpolledMs : (section.get('pollInterval', forgeInterval) ?? context.pollIntervalMs);
  if (url === undefined || instanceUrl === undefined || scope === undefined || tokenFile === undefined || name === undefined)
    return undefined;
  if (/^(?:127\.|localhost$|\[::1\]$)/.test(new URL(instanceUrl).hostname))
    findings.warn(
      section.pathOf('instanceUrl'),
      `${instanceUrl} is loopback, and in a machine that is the machine itself; name an address that machines can reach`,
    );
  if (unpolled) findings.warn(section.pathOf('pollInterval'), unpolledSentenceOf(section.has('webhook')));
  const slow = new URL(url).hostname === 'codeberg.org';
  if (slow && section.has('pollInterval') && asked < publicIntervalMs)
    findings.warn(section.pathOf('pollInterval'), 'codeberg.org is polled every 30s at most');
  const pollIntervalMs = slow ? Math.max(asked, publicIntervalMs) : asked;
  const webhook = await readWebhook(section, { name, pollIntervalMs, unpolled }, context);
  const polling = { pollIntervalMs, ...(unpolled ? ({ unpolled } as const) : {}) };
  return { name, url, instanceUrl, scope, ...authorities, tokenFile, ...polling, ...webhook, ...readWaitingStatus(section) };
}

function unpolledSentenceOf(told: boolean): string {
  const whom = told
    ? 'schedules, dispatches, reruns, approvals and cancels of single jobs come with no webhook'
    : 'no webhook is set, so nobody says when a job waits';
  return `the forge is asked at the start, after webhooks and orders and while jobs of it start or end, and else every 10m alone: ${whom}`;
}

function readWaitingStatus(forge: Section): Pick<ForgeConfig, 'waitingStatus'> {
  const afterMs = forge.section('waitingStatus', ['after'])?.need('after', duration(10_000, undefined, '2m or 30s'));
  return afterMs === undefined ? {} : { waitingStatus: { afterMs } };
}

/** What a lost delivery may cost; beyond it the alert of a forge that is not polled would be right. */
const mostHookedMs = 120_000;

type Polled = { readonly name: string; readonly pollIntervalMs: number; readonly unpolled: boolean };

async function readWebhook(
  forge: Section,
  { name, pollIntervalMs, unpolled }: Polled,
  context: Context,
): Promise<Pick<ForgeConfig, 'webhook'>> {
  const section = forge.section('webhook', ['secretFile', 'pollInterval', 'ensure', 'events', 'active']);
  if (section === undefined) return {};
  const secretFile = await readTokenFile(section, false, context, 'secretFile');
  const asked = section.get('pollInterval', duration(100, mostHookedMs, '30s or 2m')) ?? pollIntervalMs;
  if (section.has('pollInterval') && unpolled)
    context.findings.add(section.pathOf('pollInterval'), 'has no effect where the forge is not polled', 'leave out one of the two');
  else if (section.has('pollInterval') && asked < pollIntervalMs)
    context.findings.warn(section.pathOf('pollInterval'), 'is shorter than the interval without webhooks, which stays');
  const ensureUrl = section.get('ensure', webAddress);
  if (ensureUrl !== undefined && !ensureUrl.endsWith(`/webhook/${name}`))
    context.findings.add(
      section.pathOf('ensure'),
      `does not end with /webhook/${name}`,
      'write the address by which the forge reaches that path of this service',
    );
  const wish = readHookWish(section, context.findings);
  if (secretFile === undefined) return {};
  const ensured = ensureUrl === undefined ? {} : { ensureUrl, ...wish };
  return { webhook: { secretFile, pollIntervalMs: Math.max(asked, pollIntervalMs), ...ensured } };
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
