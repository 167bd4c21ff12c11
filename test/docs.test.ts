// Promises that the documents keep step with the tree: dependencies, invariants and the commands that CONTRIBUTING names.

import { existsSync, globSync, readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { isCommand } from '../src/commands.ts';
import { nextStepsOf } from '../src/config/starter.ts';
import type { Scope } from '../src/core/model.ts';
import { areaOf } from '../src/core/token-rights.ts';

const root = new URL('..', import.meta.url);
const read = (path: string) => readFileSync(new URL(path, root), 'utf8');
const invariants = Array.from({ length: 9 }, (_, step) => `I${step + 1}`);

/** The flags of node that stand in a file, one behind the other, after that. */
const flagsOf = (path: string, before: RegExp) =>
  [...(new RegExp(String.raw`${before.source}((?:['\s]*--[a-z][\w=-]+[',]*)+)`).exec(read(path))?.[1] ?? '').matchAll(/--[\w=-]+/g)].map(
    String,
  );

describe('the documents', () => {
  test('docs/DEPENDENCIES.md names every dependency once, with its reason, and no other', () => {
    const { dependencies, devDependencies } = JSON.parse(read('package.json')) as Record<string, Record<string, string>>;
    const named = [...read('docs/DEPENDENCIES.md').matchAll(/^\| `([^`]+)` \| .{10,} \| .{10,} \|$/gm)].map((hit) => hit[1] ?? '');
    const wanted = [...Object.keys(dependencies ?? {}), ...Object.keys(devDependencies ?? {})];
    expect(named.toSorted()).toEqual(wanted.toSorted());
  });

  test('docs/INVARIANTS.md states each invariant once, in order', () => {
    const stated = [...read('docs/INVARIANTS.md').matchAll(/^## (I\d+) /gm)].map((hit) => hit[1]);
    expect(stated).toEqual(invariants);
  });

  test('each invariant has a test that bears its name', () => {
    const suites = globSync('test/**/*.test.ts', { cwd: root.pathname }).map(read).join('\n');
    const names = [...suites.matchAll(/\b(?:test|it|describe)(?:\.\w+\([^()]*\))?\(\s*['"`]([^\n]*)/g)].map((hit) => hit[1] ?? '');
    expect(invariants.filter((id) => !names.some((name) => new RegExp(String.raw`\b${id}\b`).test(name)))).toEqual([]);
  });

  test('docs/SECURITY.md names the least token scope of every forge scope, and every row of the defence list once', () => {
    const text = read('docs/SECURITY.md');
    const rights = [...text.matchAll(/^\| (\w+) \| `write:(\w+)` \| .{5,} \|$/gm)].map(([, scope, area]) => [scope, area]);
    const scopes: readonly Scope[] = [
      { kind: 'repository', owner: 'o', name: 'n' },
      { kind: 'organization', name: 'o' },
      { kind: 'user' },
      { kind: 'instance' },
    ];
    expect(rights).toEqual(scopes.map((scope) => [scope.kind, areaOf(scope)]));
    for (const area of scopes.map(areaOf)) expect(read('README.md')).toContain(`| \`write:${area}\` |`);
    const rows = [...text.matchAll(/^\| (D\d+) \|/gm)].map((hit) => hit[1]);
    expect(rows).toEqual(Array.from({ length: 23 }, (_, step) => `D${step + 1}`));
  });

  test('docs/SECURITY.md says what the lock does not do', () => {
    expect(read('docs/SECURITY.md')).toContain('It does not hold across hosts');
  });

  test('docs/INVARIANTS.md names tests that exist, at least one for each', () => {
    const sections = read('docs/INVARIANTS.md').split(/^## /m).slice(1);
    const named = sections.map((section) => [...section.matchAll(/"([^"]+)" \(([^)]+)\)/g)]);
    expect(sections.filter((_, index) => named[index]?.length === 0)).toEqual([]);
    const absent = named.flat().filter(([, name = '', path = '']) => !read(path).replaceAll("\\'", "'").includes(name));
    expect(absent.map(([whole]) => whole)).toEqual([]);
  });

  test('docs/decisions/README.md lists every decision', () => {
    const listed = [...read('docs/decisions/README.md').matchAll(/\]\((\d{4}-[a-z0-9-]+\.md)\)/g)].map((hit) => hit[1] ?? '');
    expect(listed.toSorted()).toEqual(
      globSync('docs/decisions/[0-9]*.md', { cwd: root.pathname })
        .map((path) => path.slice(15))
        .toSorted(),
    );
  });

  test('docs/ARCHITECTURE.md is one page, has a row for every folder of src, and names no file that is not there', () => {
    const text = read('docs/ARCHITECTURE.md');
    const rows = [...text.matchAll(/^\| (src\/[^|]+) \| ([^|]+) \|/gm)].map(([, files = '', what = '']) => ({ files, what }));
    const folders = readdirSync(new URL('src', root), { withFileTypes: true }).filter((entry) => entry.isDirectory());
    const told = rows.flatMap(({ files }) => [...files.matchAll(/src\/(\w+)\//g)].map((hit) => hit[1] ?? ''));
    expect(told.toSorted()).toEqual(folders.map(({ name }) => name).toSorted());
    const isThere = (folder: string, name: string) =>
      globSync([`${folder}/${name}`, `${folder}/${name}.ts`], { cwd: root.pathname }).length > 0;
    const absent = rows.flatMap(({ files, what }) => {
      const places = [...files.matchAll(/src\/(?:\w+\/)?/g)].map((hit) => hit[0].replace(/\/$/, ''));
      const names = [...what.matchAll(/`([a-z][a-z/*-]*)`/g)].map((hit) => hit[1] ?? '');
      return names.filter((name) => !places.some((folder) => isThere(folder, name))).map((name) => `${files}: ${name}`);
    });
    expect(absent).toEqual([]);
    expect(text.split('\n').length).toBeLessThanOrEqual(80);
  });

  test('every script and npm command that the guides name exists', () => {
    const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };
    const guides = ['CONTRIBUTING.md', 'README.md']
      .filter((path) => existsSync(new URL(path, root)))
      .map(read)
      .join('\n');
    const files = [...guides.matchAll(/\.\/(scripts\/[\w-]+)/g)].map((hit) => hit[1] ?? '');
    const commands = [...guides.matchAll(/npm run ([\w:-]+)/g)].map((hit) => hit[1] ?? '');
    expect(files.filter((path) => !existsSync(new URL(path, root)))).toEqual([]);
    expect(commands.filter((name) => !(name in scripts))).toEqual([]);
  });

  test('docs/OPERATIONS.md speaks of every event, reason to wait, exit code and command of the program, and of no other', () => {
    const text = read('docs/OPERATIONS.md');
    const wordsOf = (path: string, type: RegExp) =>
      [...(type.exec(read(path))?.[1] ?? '').matchAll(/'([a-z-]+)'/g)].map((hit) => hit[1] ?? '');
    const rowsOf = (title: string) =>
      (text.split(`\n## ${title}\n`)[1]?.split('\n## ')[0] ?? '')
        .split('\n')
        .filter((line) => line.startsWith('| `') || /^\| \d/.test(line));
    const named = (title: string) =>
      rowsOf(title).flatMap((row) => [...(row.split('|')[1] ?? '').matchAll(/`([a-z-]+)`/g)].map((hit) => hit[1] ?? ''));
    expect(named('What the journal says').toSorted()).toEqual(wordsOf('src/log.ts', /export type Event =([^;]*);/).toSorted());
    expect(named('A job waits').toSorted()).toEqual(wordsOf('src/core/model.ts', /readonly reason:\n((?: +\| '[a-z-]+'\n?)+);/).toSorted());
    const commands = [...text.matchAll(/forgejo-runner-controller\.js (?:--\S+ )*([a-z-]+)/g)].map((hit) => hit[1] ?? '');
    expect(commands.filter((name) => !isCommand(name))).toEqual([]);
    const units = [...text.matchAll(/systemctl [a-z-]+ (?:--\S+ )*([a-z-]+)$/gm)].map((hit) => hit[1] ?? '');
    expect(units.filter((name) => !existsSync(new URL(`contrib/systemd/${name}.service`, root)))).toEqual([]);
    expect(Math.min(named('What the journal says').length, named('A job waits').length, commands.length, units.length)).toBeGreaterThan(2);
  });

  test('docs/OPERATIONS.md has a journalctl line for each question of the runbook, and every event, reason and code in them is one', () => {
    const text = read('docs/OPERATIONS.md');
    const lines = [...text.matchAll(/^journalctl -u forgejo-runner-controller .*# (.+)$/gm)];
    const questions = lines.map((hit) => hit[1] ?? '').join('\n');
    const about = [...text.matchAll(/^## (.+)$/gm)].map((hit) => (hit[1] ?? '').split(',')[0] ?? '');
    const runbook = about.slice(about.indexOf('A job waits'));
    // They leave no line of the service's journal.
    const silent = /^(?:A job has no network|Behind a proxy|End everything at once|The doctor|Uninstall)$/;
    expect(runbook.filter((title) => !silent.test(title) && !questions.includes(title))).toEqual([]);
    const asked = (key: string) =>
      [...[text, read('README.md')].join('\n').matchAll(new RegExp(`"${key}":"(?:\\(([\\w|-]+)\\)|([\\w-]+))"`, 'g'))].flatMap((hit) =>
        (hit[1] ?? hit[2] ?? '').split('|'),
      );
    const known = (path: string, type: RegExp) =>
      [...(type.exec(read(path))?.[1] ?? '').matchAll(/'([a-z-]+)'/g)].map((hit) => hit[1] ?? '');
    const events = known('src/log.ts', /export type Event =([^;]*);/);
    const reasons = ['Stop', 'End'].flatMap((kind) => known('src/core/model.ts', new RegExp(`export type ${kind}Reason =([^;]*);`)));
    expect(asked('event').length).toBeGreaterThan(20);
    expect(asked('event').filter((name) => !events.includes(name))).toEqual([]);
    expect(asked('reason').filter((name) => !reasons.includes(name))).toEqual([]);
    expect(asked('code').filter((code) => !read('src/errors.ts').includes(code))).toEqual([]);
    expect(Math.min(reasons.length, events.length, asked('reason').length, asked('code').length)).toBeGreaterThan(0);
  });

  test('the unit, docs/BENCHMARKS.md and the tests start node with the same flags: what is measured is what is installed', () => {
    const flags = flagsOf('contrib/systemd/forgejo-runner-controller.service', /ExecStart=\S+\/node /);
    expect(flags.length).toBeGreaterThan(2);
    expect(flagsOf('docs/BENCHMARKS.md', /The service runs with `/)).toEqual(flags);
    expect(flagsOf('test/support/service.ts', /process\.execPath,/)).toEqual(flags);
    expect(flagsOf('src/config/starter.ts', /nodeFlags = /)).toEqual(flags);
  });

  test('init prints the lines for NixOS that README.md has', () => {
    const block = /```nix\n([^`]+)```/.exec(read('README.md'))?.[1] ?? '';
    expect(block).toContain('services.forgejo-runner-controller');
    const told = { url: 'https://forge.example.org', scope: { kind: 'organization', name: 'builders' }, labels: ['nix', 'x64'] } as const;
    expect(nextStepsOf({ ...told, tokenFile: '$CREDENTIALS_DIRECTORY/forge-token', file: '/x' })).toContain(block);
  });
});
