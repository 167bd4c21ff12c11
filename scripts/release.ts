// Promises a release that is what it says: a clean tree, one version everywhere, its own section of CHANGELOG.md, and tags that nobody has to
// take back. `scripts/release` calls it; it works on the repository of the working folder. docs/RELEASES.md has the policy.

import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { audit, sentencesOf } from './audit.ts';
import { compareVersions, movingTagsOf, versionOf, type Version } from './release-tags.ts';

const refuse = (sentence: string): never => {
  throw new Error(sentence);
};

const git = (...args: readonly string[]): string =>
  execFileSync('git', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }).trim();
const succeeds = (...args: readonly string[]): boolean => {
  try {
    git(...args);
    return true;
  } catch {
    // No is an answer here: whoever asks says what it means.
    return false;
  }
};
const json = (path: string) =>
  JSON.parse(readFileSync(path, 'utf8')) as { version?: string; packages?: Record<string, { version?: string }> };

/** What CHANGELOG.md says of a version, without its heading. */
function notesOf(text: string): string {
  const sections = readFileSync('CHANGELOG.md', 'utf8').split(/^## /m);
  if (!sections.some((section) => section.startsWith('[Unreleased]')))
    refuse('CHANGELOG.md has no section [Unreleased] for what comes next');
  const own = sections.find((section) => section.startsWith(`[${text}]`)) ?? refuse(`CHANGELOG.md has no section [${text}]`);
  const [heading = '', ...lines] = own.split('\n');
  if (!/^\[[^\]]+\] - \d{4}-\d{2}-\d{2}$/.test(heading))
    refuse(`the heading of ${text} in CHANGELOG.md has no day: "## [${text}] - YYYY-MM-DD"`);
  const notes = lines.join('\n').trim();
  return notes === '' ? refuse(`CHANGELOG.md says nothing of ${text}`) : notes;
}

function versionsTagged(): readonly Version[] {
  return git('tag', '--list', 'v*.*.*')
    .split('\n')
    .flatMap((tag) => versionOf(tag.slice(1)) ?? []);
}

/** Everything that must hold before a tag is made; returns the version and its notes. */
function examine(text: string): { readonly version: Version; readonly notes: string } {
  const version = versionOf(text) ?? refuse(`"${text}" is no version: MAJOR.MINOR.PATCH, with -WORD for one before its release`);
  const changed = git('status', '--porcelain');
  if (changed !== '') refuse(`the tree is not clean:\n${changed}`);
  const lock = json('package-lock.json');
  for (const [where, found] of [
    ['package.json', json('package.json').version],
    ['package-lock.json', lock.version],
    ['package-lock.json', lock.packages?.['']?.version],
  ])
    if (found !== text) refuse(`${where} says version ${found}, not ${text}: npm version --no-git-tag-version ${text}`);
  if (succeeds('rev-parse', '--verify', '--quiet', `refs/tags/v${text}`))
    refuse(`v${text} is released already, and a version never changes`);
  for (const other of versionsTagged()) {
    const name = `v${other.major}.${other.minor}.${other.patch}${other.before === undefined ? '' : `-${other.before}`}`;
    const sameLine = other.major === version.major && other.minor === version.minor;
    if (sameLine && compareVersions(other, version) > 0) refuse(`${name} is newer than ${text}`);
    if (sameLine && !succeeds('merge-base', '--is-ancestor', name, 'HEAD')) refuse(`${name} is not part of this commit's history`);
  }
  return { version, notes: notesOf(text) };
}

/** A lock without packages has nothing to be asked. */
function checkPackages(): void {
  if (Object.keys(json('package-lock.json').packages ?? {}).length < 2) return;
  const found = audit();
  const said = sentencesOf(found).join('\n');
  if ('unasked' in found) process.stderr.write(`release: ${said}\n`);
  else if (found.advisories.length > 0) refuse(`something is known against packages of the program:\n${said}`);
}

/** Makes the tags; those that move are told with where they were, so that whoever pushes moves what was seen and nothing else. */
function tag(text: string, version: Version, notes: string): readonly string[] {
  const moving = movingTagsOf(version, versionsTagged()).map((name) => {
    const ref = `refs/tags/${name}`;
    return { name, before: succeeds('rev-parse', '--verify', '--quiet', ref) ? git('rev-parse', ref) : '' };
  });
  git('tag', '--annotate', '--cleanup=verbatim', '--message', `v${text}\n\n${notes}`, `v${text}`);
  for (const { name } of moving) git('tag', '--force', name, `v${text}^{commit}`);
  return [
    '--atomic',
    ...moving.map(({ name, before }) => `--force-with-lease=refs/tags/${name}:${before}`),
    `refs/tags/v${text}`,
    ...moving.map(({ name }) => `refs/tags/${name}`),
  ];
}

function main(args: readonly string[]): void {
  const [text = '', option, remote] = args;
  const known =
    option === undefined ||
    (option === '--dry-run' && args.length === 2) ||
    (option === '--push' && remote !== undefined && args.length === 3);
  if (text === '' || !known) refuse('release VERSION [--dry-run | --push REMOTE]');
  const { version, notes } = examine(text);
  checkPackages();
  const names = [`v${text}`, ...movingTagsOf(version, versionsTagged())];
  process.stdout.write(`${names.join(' ')} -> ${git('rev-parse', '--short', 'HEAD')}\n\n${notes}\n`);
  if (option === '--dry-run') return;
  const refs = tag(text, version, notes);
  if (option === '--push' && remote !== undefined) git('push', remote, ...refs);
  else process.stdout.write(`\nNothing is pushed yet:\n  git push REMOTE ${refs.join(' ')}\n`);
}

try {
  main(process.argv.slice(2));
} catch (error) {
  // What git said stands in the message of execFileSync.
  if (!(error instanceof Error)) throw error;
  process.stderr.write(`release: ${error.message.trim()}\n`);
  process.exitCode = 1;
}
