// Promises what check() and every refusal tell the operator: is this server new enough, is this token good enough, and what to do if not;
// and how the token file is followed without the token ever showing.

import { execFileSync } from 'node:child_process';
import { mkdir, rename, rm, stat, symlink, truncate, utimes, writeFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import type { Scope } from '../../src/core/model.ts';
import { forgejoUnderTest, jobRow, refusalFrom, repository, secretToken, wholeTextOf } from '../support/forgejo-under-test.ts';
import type { Script, Scripted } from '../support/scripted-server.ts';

const runners = '/api/v1/repos/acme/demo/actions/runners';
const plain404: Scripted = { status: 404, text: '404 page not found\n' };
const refusing = (status: number, message: string): Scripted => ({ status, json: { message, url: 'http://x/api/swagger' } });

/** A server of this version; the rest is an empty one that works. */
function saying(version: unknown, rest: { readonly jobs?: Scripted; readonly runners?: Scripted } = {}): Script {
  return ({ path }) => {
    if (path.endsWith('/version')) return { status: 200, json: { version } };
    if (path.endsWith('/jobs')) return rest.jobs ?? { status: 200, json: null };
    return rest.runners ?? { status: 200, json: [] };
  };
}

test.each([
  ['15.0.3+gitea-1.22.0', 15, 0, 3],
  ['16.0.1+gitea-1.22.0', 16, 0, 1],
  ['17.0.0-dev-38-d883bd8f12+gitea-1.22.0', 17, 0, 0],
  ['v15.2.1', 15, 2, 1],
  ['16.1', 16, 1, 0],
])('version %s is understood and accepted', async (text, major, minor, patch) => {
  const { forge, server } = await forgejoUnderTest(saying(text));
  await expect(forge.check()).resolves.toEqual({ major, minor, patch, text });
  expect(server.asked()).toEqual(['GET /api/v1/version', `GET ${runners}?page=1&limit=1`, `GET ${runners}/jobs`]);
});

test.each(['14.0.9+gitea-1.22.0', '11.0.0', '1.25.3', '14.0.0-dev-12-abc'])('version %s is refused as too old', async (text) => {
  const { forge, server } = await forgejoUnderTest(saying(text));
  const error = await refusalFrom(forge.check());
  expect(error).toMatchObject({
    code: 'FORGE_INCOMPATIBLE',
    message: expect.stringContaining('Forgejo 15 or newer is needed'),
    details: { version: text },
  });
  expect(server.heard).toHaveLength(1);
});

test.each(['dev', 'd883bd8f12', '1234567', '', '16.2.0.1'])('a version that says %j is judged by what the server can do', async (text) => {
  const able = await forgejoUnderTest(saying(text));
  await expect(able.forge.check()).resolves.toEqual({ major: 15, minor: 0, patch: 0, text });
  const old = await forgejoUnderTest(saying(text, { runners: plain404 }));
  await expect(refusalFrom(old.forge.check())).resolves.toMatchObject({
    code: 'FORGE_INCOMPATIBLE',
    message: expect.stringContaining('Forgejo 15'),
  });
});

test('a server whose jobs have no handle is refused, whatever version it claims', async () => {
  const row = jobRow(1);
  delete row['handle'];
  const { forge } = await forgejoUnderTest(saying('16.0.0', { jobs: { status: 200, json: [row] } }));
  await expect(refusalFrom(forge.check())).resolves.toMatchObject({ code: 'FORGE_INCOMPATIBLE' });
});

test.each([[plain404], [{ status: 200, text: '<html>' }], [{ status: 200, json: {} }], [{ status: 200, json: { version: 15 } }]])(
  'something that is no Forgejo is refused (%j)',
  async (reply) => {
    const { forge } = await forgejoUnderTest(() => reply);
    await expect(refusalFrom(forge.check())).resolves.toMatchObject({ code: 'FORGE_INCOMPATIBLE' });
  },
);

const areas: readonly (readonly [Scope, string, string])[] = [
  [repository, 'repository', 'an owner of the repository acme/demo'],
  [{ kind: 'organization', name: 'acme' }, 'organization', 'an owner of the organization acme'],
  [{ kind: 'user' }, 'user', 'the user'],
  [{ kind: 'instance' }, 'admin', 'an administrator of the instance'],
];

test.each(areas)('a token without rights at scope $kind is told which it needs', async (scope, area, holder) => {
  const said = `token does not have at least one of required scope(s): [read:${area}]`;
  const { forge } = await forgejoUnderTest(() => refusing(403, said), { scope });
  const read = await refusalFrom(forge.jobs());
  expect(read).toMatchObject({ code: 'FORGE_UNAUTHORIZED', details: { status: 403, scope: `read:${area}` } });
  for (const words of [said, `read:${area}`, `write:${area}`, holder]) expect(read.message).toContain(words);
  for (const begin of [() => forge.register('j1', 'ours'), () => forge.unregister(1)]) {
    const error = await refusalFrom(begin());
    expect(error).toMatchObject({ code: 'FORGE_UNAUTHORIZED', details: { scope: `write:${area}` } });
  }
});

test('a repository that is not there, not visible or without Actions is explained', async () => {
  const { forge } = await forgejoUnderTest(saying('16.0.1', { runners: refusing(404, "The target couldn't be found.") }));
  const error = await refusalFrom(forge.check());
  expect(error.code).toBe('FORGE_INCOMPATIBLE');
  for (const words of ['acme/demo', 'Actions are disabled', 'cannot see it', 'owner of the repository'])
    expect(error.message).toContain(words);
});

test('the token that Forgejo repeats in a 401 is not quoted', async () => {
  const said = `token is malformed\naccess token does not exist [sha: ${secretToken}]\ntask with token "${secretToken}"`;
  const { forge, lines, concealed } = await forgejoUnderTest(() => refusing(401, said));
  const error = await refusalFrom(forge.jobs());
  expect(error.code).toBe('FORGE_UNAUTHORIZED');
  expect(error.message).toContain('[sha: [secret]]');
  expect(wholeTextOf(error)).not.toContain(secretToken);
  expect(lines.join('')).not.toContain(secretToken);
  expect(concealed).toEqual([secretToken]);
});

test('a long message is quoted short and on one line', async () => {
  const { forge } = await forgejoUnderTest(() => refusing(403, 'very\nlong '.repeat(1000)));
  const { message } = await refusalFrom(forge.jobs());
  expect(message).not.toContain('\n');
  expect(message.length).toBeLessThan(800);
});

test('a 500 with an empty message, as Forgejo sends it, is still a sentence', async () => {
  const { forge } = await forgejoUnderTest(() => refusing(500, ''));
  const error = await refusalFrom(forge.jobs());
  expect(error).toMatchObject({
    code: 'FORGE_UNREACHABLE',
    message: `Forgejo "home" answered 500 to GET ${runners}/jobs. Its own log says why.`,
  });
});

test('a token file that changes, in place or by rename, is used from the next call on', async () => {
  const { forge, server, tokenFile, concealed } = await forgejoUnderTest(saying('16.0.1'));
  await forge.jobs();
  await forge.jobs();
  await writeFile(tokenFile, 'second\n');
  await forge.jobs();
  await writeFile(`${tokenFile}.new`, '\r\n third \r\n');
  await rename(`${tokenFile}.new`, tokenFile);
  await forge.jobs();
  const used = server.heard.map(({ headers }) => headers.authorization);
  expect(used).toEqual([`token ${secretToken}`, `token ${secretToken}`, 'token second', 'token third']);
  expect(concealed).toEqual([secretToken, 'second', 'third']);
});

test('a token file that was written with its old size and date is noticed, and a token that stays is concealed once', async () => {
  const { forge, server, tokenFile, concealed } = await forgejoUnderTest(saying('16.0.1'), { token: 'old' });
  await forge.jobs();
  const { atime, mtime } = await stat(tokenFile);
  await utimes(tokenFile, atime, mtime);
  await forge.jobs();
  const dated = await stat(tokenFile);
  await writeFile(tokenFile, 'new');
  await utimes(tokenFile, dated.atime, dated.mtime);
  await forge.jobs();
  expect(server.heard.map(({ headers }) => headers.authorization)).toEqual(['token old', 'token old', 'token new']);
  expect(concealed).toEqual(['old', 'new']);
});

test.each([
  ['empty', '\n', 'is empty'],
  ['a placeholder', 'PENDING-forgejo-token', 'placeholder'],
  ['two lines', 'one\ntwo', 'one line'],
  ['not ASCII', 'tök', 'one line'],
  ['huge', 'x'.repeat(70_000), 'no access token'],
])('a token file that is %s is refused with the remedy, and nothing is sent', async (_, token, words) => {
  const { forge, server, tokenFile } = await forgejoUnderTest(saying('16.0.1'), { token });
  const error = await refusalFrom(forge.jobs());
  expect(error).toMatchObject({ code: 'FORGE_UNAUTHORIZED', details: { tokenFile } });
  expect(error.message).toContain(words);
  expect(wholeTextOf(error)).not.toContain('forgejo-token');
  expect(server.heard).toHaveLength(0);
});

test('a token file that becomes a pipe or holds a NUL is refused without waiting, and a link that is turned to another file is followed', async () => {
  const { forge, server, tokenFile, concealed } = await forgejoUnderTest(saying('16.0.1'));
  await rm(tokenFile);
  execFileSync('sh', ['-c', 'mkfifo "$1"', '-', tokenFile]);
  await expect(refusalFrom(forge.jobs())).resolves.toMatchObject({ message: expect.stringContaining('not a regular file') });
  await rm(tokenFile);
  await writeFile(tokenFile, 'a\0b');
  await expect(refusalFrom(forge.jobs())).resolves.toMatchObject({ message: expect.stringContaining('one line') });
  await writeFile(`${tokenFile}.1`, 'first');
  await writeFile(`${tokenFile}.2`, 'second');
  for (const name of ['1', '2']) {
    await symlink(`${tokenFile}.${name}`, `${tokenFile}.link`);
    await rename(`${tokenFile}.link`, tokenFile);
    await forge.jobs();
  }
  expect(server.heard.map(({ headers }) => headers.authorization)).toEqual(['token first', 'token second']);
  expect(concealed).toEqual(['first', 'second']);
});

test('a token file that is gone, emptied or a folder is refused, and works again when it is back', async () => {
  const { forge, tokenFile } = await forgejoUnderTest(saying('16.0.1'));
  await forge.jobs();
  await rm(tokenFile);
  await expect(refusalFrom(forge.jobs())).resolves.toMatchObject({
    code: 'FORGE_UNAUTHORIZED',
    message: expect.stringContaining('does not exist'),
  });
  await writeFile(tokenFile, 'back');
  await expect(forge.jobs()).resolves.toEqual([]);
  await truncate(tokenFile);
  await expect(refusalFrom(forge.jobs())).resolves.toMatchObject({ message: expect.stringContaining('is empty') });
  await rm(tokenFile);
  await mkdir(tokenFile);
  await expect(refusalFrom(forge.jobs())).resolves.toMatchObject({ message: expect.stringContaining('not a regular file') });
});
