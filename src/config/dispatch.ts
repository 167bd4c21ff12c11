// Promises what may be dispatched by an order, as the configuration says it: labels, each of which some profile serves. Nothing unless it is
// said.

import type { Profile } from '../core/model.ts';
import type { Dispatchable } from '../core/dispatched.ts';
import { asksOrigin } from '../core/origin.ts';
import { readLabels } from './profiles.ts';
import type { Findings, Section } from './reader.ts';

export function readDispatch(root: Section, profiles: readonly Profile[], findings: Findings): Dispatchable | undefined {
  const section = root.section('dispatch', ['labels']);
  if (section === undefined) return undefined;
  const path = section.pathOf('labels');
  if (!section.has('labels')) return findings.add(path, 'is missing', 'list the labels that runners may be dispatched with');
  const labels = readLabels(section.raw('labels'), path, findings);
  for (const label of labels ?? []) {
    const serving = profiles.filter((profile) => profile.labels.includes(label));
    if (serving.length === 0) findings.add(path, `has ${JSON.stringify(label)}, which no profile serves`, 'write labels of the profiles');
    else if (serving.every(asksOrigin))
      findings.add(
        path,
        `has ${JSON.stringify(label)}, and who serves it asks where jobs come from: a dispatched runner takes whatever comes`,
        'leave it out, or serve it by a profile without forks: refuse, repositories and events',
      );
  }
  return labels === undefined ? undefined : { labels };
}
