// Promises label matching as Forgejo does it: a job's labels are a subset of what is served, case-sensitive, scheme stripped; a job without
// labels matches nobody. Also says, for people, what was missing.

import type { Job, Profile } from './model.ts';

/** The name of a label: `ubuntu-22.04:docker://image` is served and asked for as `ubuntu-22.04`. */
export function labelNameOf(label: string): string {
  const colon = label.indexOf(':');
  return (colon < 0 ? label : label.slice(0, colon)).trim();
}

/** What the labels of one job may take, a line each: an assignment has 4096 bytes (PIPE_BUF) for everything. */
export const labelBytes = 2_048;
/** Stands for those labels of a job that are beyond this or unreadable. It has a comma, which the label of a profile cannot have. */
export const leftOutLabel = '(the rest was too long or unreadable, and was left out)';
/** How many missing labels a sentence names. */
const labelsNamed = 5;

/** True when a runner with the profile's labels would be given the job. */
export function serves(profile: Pick<Profile, 'labels'>, job: Pick<Job, 'labels'>): boolean {
  return job.labels.length > 0 && job.labels.every((label) => profile.labels.includes(label));
}

type Serving = Pick<Profile, 'name' | 'labels'>;

/** The profile that lacks the fewest of these labels, and which. */
export function nearestOf<P extends Serving>(
  labels: readonly string[],
  profiles: readonly P[],
): { readonly profile: P; readonly missing: readonly string[] } | undefined {
  return profiles
    .map((profile) => ({ profile, missing: labels.filter((label) => !profile.labels.includes(label)) }))
    .toSorted((a, b) => a.missing.length - b.missing.length)[0];
}

/** A sentence why no profile serves the job: the nearest one, and the labels it lacks. */
export function unmatchedSentenceOf(job: Pick<Job, 'labels'>, profiles: readonly Serving[]): string {
  if (job.labels.length === 0) return 'the job names no label in runs-on, so no runner can take it';
  const nearest = nearestOf(job.labels, profiles);
  if (nearest === undefined) return 'no profile is configured';
  const everywhere = nearest.missing.filter((label) => profiles.every((profile) => !profile.labels.includes(label)));
  if (everywhere.length === 0)
    return `no profile has all of its labels; nearest is \`${nearest.profile.name}\`, which lacks ${named(nearest.missing)}`;
  if (everywhere.includes(leftOutLabel))
    return `its labels are unreadable or take more than ${labelBytes} bytes together, which is more than a runner can be told`;
  const [noun, verb] = everywhere.length > 1 ? ['labels', 'are'] : ['label', 'is'];
  return `${noun} ${named(everywhere)} ${verb} in no profile; nearest is \`${nearest.profile.name}\``;
}

function named(labels: readonly string[]): string {
  const shown = labels.slice(0, labelsNamed).map((label) => `\`${label.length > 100 ? `${label.slice(0, 100)}...` : label}\``);
  const rest = labels.length - shown.length;
  return shown.join(', ') + (rest === 0 ? '' : ` and ${rest} more`);
}
