// Promises which repositories and events a profile takes jobs of: lists of what is allowed and of what is not, each word looked at, for a slip in a
// list of what is refused would refuse nothing.

import type { Profile } from '../core/model.ts';
import type { Choice } from '../core/origin.ts';
import { describe, readScalar, type Findings, type Kind, type Section } from './reader.ts';

/** What workflows may be started by, as they write it below `on` (modules/actions/github.go of Forgejo 16). */
const known = [
  'create',
  'delete',
  'fork',
  'gollum',
  'issue_comment',
  'issues',
  'pull_request',
  'pull_request_comment',
  'pull_request_review',
  'pull_request_review_comment',
  'pull_request_target',
  'push',
  'registry_package',
  'release',
  'schedule',
  'workflow_dispatch',
];

const repositoryPattern: Kind<string> = {
  expected: 'owner/name, where * stands for any part of one of the two, such as team/*',
  parse: (value) => (typeof value === 'string' && /^[\w.*-]{1,100}\/[\w.*-]{1,100}$/.test(value) ? { value } : undefined),
};

const event: Kind<string> = {
  expected: `an event as a workflow writes it below \`on\`, such as ${known.slice(-2).join(' or ')}`,
  parse: (value) => (typeof value === 'string' && /^[a-z][a-z_]{0,62}$/.test(value) ? { value } : undefined),
};

export function readChoices(profile: Section, findings: Findings): Pick<Profile, 'repositories' | 'events'> {
  const repositories = readChoice(profile, 'repositories', repositoryPattern, findings);
  const events = readChoice(profile, 'events', event, findings);
  const all = [...(events?.allow ?? []), ...(events?.deny ?? [])];
  for (const word of all.filter((each) => !known.includes(each)))
    findings.warn(profile.pathOf('events'), `${describe(word)} is no event that is known here (${known.join(', ')}); it stands as written`);
  return { ...(repositories === undefined ? {} : { repositories }), ...(events === undefined ? {} : { events }) };
}

function readChoice(profile: Section, key: string, kind: Kind<string>, findings: Findings): Choice | undefined {
  const section = profile.section(key, ['allow', 'deny']);
  if (section === undefined) return undefined;
  const listOf = (name: 'allow' | 'deny'): Choice => {
    const items = section.list(name, kind.expected);
    // Nobody could say whether that allows nothing, or everything.
    if (section.has(name) && Array.isArray(section.raw(name)) && items.length === 0)
      findings.add(section.pathOf(name), 'is an empty list', `write ${kind.expected}, or leave the key out`);
    const words = items.map(({ value, path }) => readScalar(value, path, kind, findings)).filter((word) => word !== undefined);
    return items.length === 0 ? {} : { [name]: words };
  };
  const choice = { ...listOf('allow'), ...listOf('deny') };
  if (!section.has('allow') && !section.has('deny'))
    return findings.add(section.path, 'has neither allow nor deny', `list ${kind.expected}, below one of them`);
  return choice;
}
