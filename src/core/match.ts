// Promises label matching as Forgejo does it: a job's labels are a subset of what is served, case-sensitive, scheme stripped; a job without
// labels matches nobody. Also says, for people, what was missing.

import type { Job, Profile } from './model.ts';

/** The name of a label: `ubuntu-22.04:docker://image` is served and asked for as `ubuntu-22.04`. */
export function labelNameOf(label: string): string {
  const colon = label.indexOf(':');
  return (colon < 0 ? label : label.slice(0, colon)).trim();
}

/** True when a runner with the profile's labels would be given the job. */
export function serves(profile: Pick<Profile, 'labels'>, job: Pick<Job, 'labels'>): boolean {
  return job.labels.length > 0 && job.labels.every((label) => profile.labels.includes(label));
}

/** A sentence why no profile serves the job: the nearest one, and the labels it lacks. */
export function unmatchedSentenceOf(job: Pick<Job, 'labels'>, profiles: readonly Profile[]): string {
  if (job.labels.length === 0) return 'the job names no label in runs-on, so no runner can take it';
  const ranked = profiles
    .map((profile) => ({ profile, missing: job.labels.filter((label) => !profile.labels.includes(label)) }))
    .toSorted((a, b) => a.missing.length - b.missing.length);
  const nearest = ranked[0];
  if (nearest === undefined) return 'no profile is configured';
  const everywhere = nearest.missing.filter((label) => profiles.every((profile) => !profile.labels.includes(label)));
  const named = (everywhere.length > 0 ? everywhere : nearest.missing).map((label) => `\`${label}\``).join(', ');
  const plural = (everywhere.length > 0 ? everywhere : nearest.missing).length > 1;
  if (everywhere.length > 0)
    return `label${plural ? 's' : ''} ${named} ${plural ? 'are' : 'is'} in no profile; nearest is \`${nearest.profile.name}\``;
  return `no profile has all of its labels; nearest is \`${nearest.profile.name}\`, which lacks ${named}`;
}
