// What is known against packages, as the real npm tells it of a registry that stands in, and what a release makes of it.

import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeEach, expect, onTestFinished, test, vi } from 'vitest';
import { auditOf, sentencesOf } from '../../scripts/audit.ts';

const scripts = fileURLToPath(new URL('../../scripts/', import.meta.url));
const advisory = { id: 1, url: 'https://example.org/GHSA-1', title: 'It leaks', severity: 'high', vulnerable_versions: '<1.2.0', cwe: [] };

// npm takes a second to start, and others are at work.
vi.setConfig({ testTimeout: 120_000 });

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'frc-audit-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const manifest = { name: 'x', version: '1.0.0', dependencies: { left: '1.0.0', over: '1.0.0' }, devDependencies: { dev: '1.0.0' } };
  const packages = {
    '': manifest,
    'node_modules/left': { version: '1.0.0' },
    'node_modules/over': { version: '1.0.0', dependencies: { left: '1.0.0' } },
    'node_modules/dev': { version: '1.0.0', dev: true },
  };
  await writeFile(join(folder, 'package.json'), JSON.stringify(manifest));
  await writeFile(join(folder, 'package-lock.json'), JSON.stringify({ name: 'x', version: '1.0.0', lockfileVersion: 3, packages }));
});

/** Knows that of each package, and has none of them. */
async function registry(status: number, known: Readonly<Record<string, readonly unknown[]>> = {}): Promise<string> {
  const server = createServer((request, response) => {
    request.resume();
    // Older ones of npm try the second where the first fails.
    const asked = /\/(?:advisories\/bulk|audits\/quick)$/.test(request.url ?? '');
    response.writeHead(asked ? status : 404, { 'content-type': 'application/json' });
    response.end(JSON.stringify(asked ? known : {}));
  });
  onTestFinished(() => void server.close());
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** In capitals a setting of npm's is the same, and which one of two counts is chance. */
const bare = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^npm_config_/i.test(name)));

type Ended = { readonly code: number; readonly said: string };
function run(program: string, args: readonly string[], url: string): Promise<Ended> {
  const plain = { npm_config_offline: 'true', npm_config_noproxy: '127.0.0.1' };
  const npm = { ...plain, npm_config_registry: url, npm_config_cache: join(folder, '.npm') };
  const git = { HOME: folder, GIT_CONFIG_NOSYSTEM: '1' };
  return new Promise((resolve) => {
    execFile(program, [...args], { cwd: folder, env: { ...bare, ...git, ...npm } }, (error, stdout, stderr) =>
      resolve({ code: error === null ? 0 : Number(error.code), said: stdout + stderr }),
    );
  });
}
const release = (url: string) => run(join(scripts, 'release'), ['1.0.0', '--dry-run'], url);
const audited = (url: string) => run(process.execPath, [join(scripts, 'audit.ts')], url);

test('what is known against a package that the program is made of is told once, with where to read of it', async () => {
  const known = await audited(await registry(200, { left: [advisory], dev: [{ ...advisory, id: 2 }] }));
  expect(known).toEqual({ code: 1, said: 'left (high): It leaks, https://example.org/GHSA-1\n' });
  const nothing = await audited(await registry(200));
  expect(nothing).toEqual({ code: 0, said: 'Nothing is known against the 2 packages that the program is bundled from.\n' });
});

test('where no registry answers it is said that nothing was audited', async () => {
  expect(await audited(await registry(405))).toMatchObject({ code: 2, said: expect.stringMatching(/^NOT AUDITED, .*405/) });
  expect(await audited('http://127.0.0.1:9')).toMatchObject({ code: 2, said: expect.stringMatching(/^NOT AUDITED, .*ECONNREFUSED/) });
  for (const text of [
    '',
    '<html>',
    'null',
    '{}',
    '{"auditReportVersion":3,"metadata":{"dependencies":{"prod":3}}}',
    '{"error":{"summary":"no lock"}}',
  ])
    expect(sentencesOf(auditOf(text))).toEqual([expect.stringMatching(/^NOT AUDITED/)]);
});

test('a release is refused for what is known, and says so where nothing is', async () => {
  await writeFile(join(folder, 'CHANGELOG.md'), '## [Unreleased]\n\n## [1.0.0] - 2026-11-22\n\n- All.\n');
  await writeFile(join(folder, '.gitignore'), '/.npm\n');
  const who = ['-c', 'user.name=a', '-c', 'user.email=a@example.org'];
  for (const args of [
    ['init', '-q'],
    ['add', '-A'],
    [...who, 'commit', '-q', '-m', 'All'],
  ])
    await run('git', args, '');
  expect(await release(await registry(200, { left: [advisory] }))).toMatchObject({ code: 1, said: expect.stringContaining('left (high)') });
  const unasked = await release(await registry(404));
  expect(unasked).toMatchObject({ code: 0, said: expect.stringContaining('NOT AUDITED') });
  expect(unasked.said).toContain('v1.0.0 latest v1 v1.0 -> ');
});
