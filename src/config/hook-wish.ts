// Promises what a webhook that the service makes sure of is to tell, and whether it is to tell anything: words looked at, because Forgejo drops in
// silence what it does not know.

import type { ForgeConfig } from './settings.ts';
import { flag } from './kinds.ts';
import { describe, readScalar, type Findings, type Kind, type Section } from './reader.ts';

/** What a webhook of Forgejo 16 may be asked for (modules/webhook/type.go). */
const known = [
  'push',
  'create',
  'delete',
  'fork',
  'repository',
  'release',
  'package',
  'wiki',
  'issues',
  'issues_only',
  'issue_assign',
  'issue_label',
  'issue_milestone',
  'issue_comment',
  'pull_request',
  'pull_request_only',
  'pull_request_assign',
  'pull_request_label',
  'pull_request_milestone',
  'pull_request_comment',
  'pull_request_review',
  'pull_request_sync',
  'pull_request_review_request',
  'action_run_success',
  'action_run_failure',
  'action_run_recover',
];

const event: Kind<string> = {
  expected: `an event as Forgejo's API of webhooks names it, such as ${known.slice(-3).join(', ')} or push`,
  parse: (value) => (typeof value === 'string' && /^[a-z][a-z_]{0,62}$/.test(value) ? { value } : undefined),
};

export function readHookWish(webhook: Section, findings: Findings): Pick<NonNullable<ForgeConfig['webhook']>, 'events' | 'inactive'> {
  for (const key of ['events', 'active'].filter((each) => webhook.has(each) && !webhook.has('ensure')))
    findings.add(webhook.pathOf(key), 'has no effect without ensure', 'set that, or set it at the webhook in Forgejo');
  const active = webhook.get('active', flag) ?? true;
  const items = webhook.list('events', event.expected);
  if (Array.isArray(webhook.raw('events')) && items.length === 0)
    findings.add(webhook.pathOf('events'), 'is an empty list', 'name one event at least, write active: false, or leave the key out');
  const events = items.map(({ value, path }) => readScalar(value, path, event, findings)).filter((word) => word !== undefined);
  for (const word of events.filter((each) => !known.includes(each)))
    findings.warn(webhook.pathOf('events'), `${describe(word)} is no event that is known here; Forgejo drops what it does not know`);
  return { ...(items.length === 0 ? {} : { events }), ...(active ? {} : { inactive: true }) };
}
