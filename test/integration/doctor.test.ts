// Promises what the doctor says of real forges (stand-ins on a socket), runners, templates, token files and a service, as a process of its own;
// that no failure hides another, and that no token shows.

import { execFile } from 'node:child_process';
import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { once } from 'node:events';
import { createServer, get } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, onTestFinished, test } from 'vitest';
import type { Finding } from '../../src/doctor.ts';
import { serveHttp } from '../../src/http/app.ts';
import { anApi } from '../support/api.ts';
import { startForgejo, type ForgejoStandIn } from '../support/forgejo/forgejo.ts';
import { createScriptedServer } from '../support/scripted-server.ts';

const program = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
/** Nobody answers there. */
const nobody = 'http://127.0.0.1:9';
let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'frc-doctor-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

type Told = { readonly code: number; readonly findings: readonly Finding[]; readonly text: string };

function end(
  args: readonly string[],
  path = '/usr/sbin:/usr/bin:/bin',
): Promise<{ readonly code: number; readonly stdout: string; readonly stderr: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [program, ...args], { env: { PATH: path } }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr });
    });
  });
}

async function told(config: string, path?: string): Promise<Told> {
  const { code, stdout, stderr } = await end(['doctor', '--json', '--config', config], path);
  const { ok, findings } = JSON.parse(stdout) as { readonly ok: boolean; readonly findings: readonly Finding[] };
  expect(code).toBe(ok ? 0 : 1);
  return { code, findings, text: stdout + stderr };
}

const at = ({ findings }: Told, area: string, name: string): readonly Finding[] =>
  findings.filter((one) => one.area === area && one.name === name);
const says = (...words: readonly string[]): string => expect.stringMatching(new RegExp(words.join('.*'), 's')) as string;

type Wish = {
  readonly url?: string;
  readonly token?: string;
  readonly runner?: string;
  readonly more?: string;
  readonly template?: string;
  readonly webhook?: string;
  readonly port?: number;
};

async function configured({
  url = nobody,
  token = 'f'.repeat(40),
  runner = '12.8.2',
  more = '',
  template = '{kind: host}',
  webhook,
  port = 0,
}: Wish = {}) {
  const path = join(folder, 'config.yaml');
  await writeFile(join(folder, 'token'), `${token}\n`, { mode: 0o600 });
  await writeFile(join(folder, 'runner'), `#!/bin/sh\necho forgejo-runner version v${runner}\n`, { mode: 0o755 });
  const text = `controllerId: doc\nstateDir: ${folder}/state\nhttp: {port: ${port}, socket: ${folder}/doc.sock}\n${more}
forges: [{name: home, url: "${url}", scope: {repository: acme/demo}, tokenFile: ${folder}/token${webhook === undefined ? '' : `, webhook: ${webhook}`}}]
profiles: [{name: default, labels: [debian], runner: ${folder}/runner, template: ${template}}]\n`;
  await writeFile(path, text, { mode: 0o600 });
  return path;
}

async function forgejoWithDemo(version?: string): Promise<ForgejoStandIn> {
  const forgejo = await startForgejo(version === undefined ? {} : { version });
  onTestFinished(() => forgejo.close());
  await forgejo.control.addOrganization({ name: 'acme', owners: [forgejo.admin] });
  await forgejo.control.addRepository({ repository: 'acme/demo' });
  return forgejo;
}

test('a good forge is good in every finding, and nothing is changed there', async () => {
  const { url, token } = await forgejoWithDemo();
  const seen = await told(await configured({ url, token }));
  expect(seen.findings.filter(({ area }) => area === 'forge home').map(({ name, state }) => `${name} ${state}`)).toEqual([
    'token file ok',
    'server ok',
    'clock ok',
    'right to read ok',
    'right to write ok',
    'from a machine skipped',
  ]);
  expect(at(seen, 'configuration', 'all')).toMatchObject([{ state: 'ok' }]);
  expect(seen.text).not.toContain(token);
});

test.each([
  ['nowhere0', 'failed', 'nowhere0 of network.externalInterface does not exist'],
  ['[nowhere0, nowhere1]', 'failed', 'nowhere0, nowhere1 of network.externalInterface do not exist'],
])('a host without the interface that machines are to leave by is told: %s', async (externalInterface, state, sentence) => {
  const seen = await told(await configured({ more: `network: {externalInterface: ${externalInterface}}` }));
  expect(at(seen, 'host', 'external interface')).toMatchObject([{ state, sentence: says(sentence), remedy: says('ip link') }]);
});

test('a forge that is too old is told with its version, and its token is looked at all the same', async () => {
  const { url, token } = await forgejoWithDemo('14.0.2+gitea-1.22.0');
  const seen = await told(await configured({ url, token }));
  expect(at(seen, 'forge home', 'server')).toMatchObject([{ state: 'failed', sentence: says('14.0.2', '15 or newer') }]);
  expect(at(seen, 'forge home', 'right to write')).toMatchObject([{ state: 'ok' }]);
  expect(seen.code).toBe(1);
});

test('I7 a token that the forge does not know is told with the page for a new one, and never shown', async () => {
  const { url } = await forgejoWithDemo();
  const token = 'abcdef0123456789abcdef0123456789abcdef01';
  const seen = await told(await configured({ url, token }));
  const failed = seen.findings.filter(({ area, state }) => area === 'forge home' && state === 'failed');
  expect(failed.length).toBeGreaterThan(0);
  for (const { remedy } of failed) expect(remedy).toContain(`${url}/user/settings/applications`);
  const { stdout, stderr } = await end(['doctor', '--config', join(folder, 'config.yaml')]);
  for (const text of [seen.text, stdout, stderr]) expect(text).not.toContain(token);
});

test('I7 a server that says the token back where a version belongs does not make it show', async () => {
  const token = 'abcdef0123456789abcdef0123456789abcdef01';
  const { url } = await createScriptedServer(({ path }) =>
    path.endsWith('/version') ? { status: 200, json: { version: `16.0.1+${token}` } } : { status: 200, json: [] },
  );
  const seen = await told(await configured({ url, token }));
  expect(at(seen, 'forge home', 'server')).toMatchObject([{ state: 'ok', sentence: says('16.0.1', 'secret') }]);
  expect(seen.text).not.toContain(token);
});

test.each([
  [['read:repository'], 'ok', 'right to write'],
  [['read:issue'], 'failed', 'right to read'],
])('a token with %j alone is told the scope that is missing, and the page to fix it', async (scopes, reading, name) => {
  const { url, control, admin } = await forgejoWithDemo();
  const seen = await told(await configured({ url, token: await control.addToken({ user: admin, scopes }) }));
  expect(at(seen, 'forge home', 'right to read')).toMatchObject([{ state: reading }]);
  expect(at(seen, 'forge home', name)).toMatchObject([
    { state: 'failed', sentence: says('needs the scope'), remedy: says('write:repository', `${url}/user/settings/applications`) },
  ]);
});

test('a forge that is away hides neither an old runner, nor an open token file, nor what the template lacks', async () => {
  const template = join(folder, 'root');
  await mkdir(join(template, 'usr/bin'), { recursive: true });
  await symlink('/etc/alternatives/node', join(template, 'usr/bin/node'));
  await writeFile(join(template, 'usr/bin/bash'), '', { mode: 0o755 });
  const config = await configured({ runner: '12.8.1', template: `{kind: directory, path: ${template}}` });
  await chmod(join(folder, 'token'), 0o640);
  await chmod(join(folder, 'runner'), 0o775);
  const seen = await told(config);
  expect(at(seen, 'forge home', 'server')).toMatchObject([{ state: 'failed', sentence: says('did not answer'), remedy: says(nobody) }]);
  expect(at(seen, 'forge home', 'right to read')).toMatchObject([{ state: 'skipped' }]);
  expect(at(seen, 'forge home', 'token file')).toMatchObject([{ state: 'warning', sentence: says('0640'), remedy: says('chmod 0600') }]);
  expect(at(seen, 'host', 'runners')).toMatchObject([{ state: 'failed', sentence: says('12.8.1'), remedy: says('12.8.2') }]);
  expect(at(seen, 'profile default', 'template')).toMatchObject([{ state: 'warning', sentence: says('no git') }]);
  expect(at(seen, 'profile default', 'paths')).toMatchObject([{ state: 'warning', sentence: says('runner, for', 'has mode 0775') }]);
  expect(seen.code).toBe(1);
});

test.each([
  ['system', 'has no systemd'],
  ['nix-env', 'is not in /nix/store'],
  ['nixos', 'is not in /nix/store'],
])('a template of kind %s of which no machine can be made is told with why: it %s', async (kind, sentence) => {
  const template = join(folder, `not-${kind}`);
  for (const name of ['usr', 'etc']) await mkdir(join(template, name), { recursive: true });
  const seen = await told(await configured({ template: `{kind: ${kind}, path: ${template}}` }));
  expect(at(seen, 'profile default', 'template')).toMatchObject([{ state: 'failed', sentence: says(sentence) }]);
});

test('a template without Nix is told to a profile that asks for a store of its own', async () => {
  const template = join(folder, 'without-nix');
  for (const name of ['usr', 'etc']) await mkdir(join(template, name), { recursive: true });
  const seen = await told(await configured({ template: `{kind: directory, path: ${template}}, nix: {access: own}` }));
  expect(at(seen, 'profile default', 'template')).toMatchObject([
    { state: 'failed', sentence: says('nix.access own needs Nix', 'there is no usr/bin/nix-store', 'Install Nix there') },
  ]);
});

test('a folder that others than root may write is told with what they could change by it, and what to do', async () => {
  const config = await configured();
  await chmod(folder, 0o777);
  const [loose, ...more] = at(await told(config), 'configuration', 'ownership');
  expect(more).toEqual([]);
  expect(loose).toMatchObject({ state: 'warning', remedy: `chmod go-w ${folder}` });
  expect(loose?.sentence).toContain(`${folder}/state and ${folder}/config.yaml and ${folder}/token`);
});

test('a token file that is missing is a mistake, and everything else is looked at', async () => {
  const config = await configured({ runner: '12.8.1' });
  await rm(join(folder, 'token'));
  const seen = await told(config);
  expect(at(seen, 'configuration', 'forges[0].tokenFile')).toMatchObject([{ state: 'failed' }]);
  expect(at(seen, 'forge home', 'token file')).toMatchObject([{ state: 'failed', sentence: says('ENOENT') }]);
  expect(at(seen, 'host', 'runners')).toMatchObject([{ state: 'failed' }]);
});

test('without a configuration that can be read the host is looked at, and what was not is said', async () => {
  const seen = await told(await configured({ more: 'maxConcurent: 3' }));
  expect(seen.findings.filter(({ area }) => area === 'configuration')).toMatchObject([{ state: 'failed', sentence: says('maxConcurent') }]);
  for (const area of ['forges', 'service']) expect(at(seen, area, 'all')).toMatchObject([{ state: 'skipped' }]);
  for (const name of ['systemd', 'tools', 'machined', 'kernel']) expect(at(seen, 'host', name).length).toBeGreaterThan(0);
});

test.each([
  [200, 'ok'],
  [503, 'failed'],
])('a service that answers %i at /health is %s', async (status, state) => {
  const config = await configured();
  const server = createServer((request, reply) => reply.writeHead(request.url === '/health' ? status : 404).end());
  onTestFinished(() => void server.close());
  await new Promise<void>((resolve) => server.listen(join(folder, 'doc.sock'), resolve));
  expect(at(await told(config), 'service', 'health')).toMatchObject([{ state }]);
});

test.each([
  ['the API of a service', '127.0.0.1', 'ok', 'leads to this service'],
  ['the API of a service by a name that it refuses', 'localhost.localdomain', 'failed', 'refuses the name'],
])('a webhook whose address leads to %s is told, and its secret that others may read', async (_, name, state, words) => {
  const serving = await serveHttp({ app: anApi(), host: '127.0.0.1', port: 0 });
  onTestFinished(() => serving.close());
  const front = createServer((asked, reply) => {
    get(`${serving.url}${asked.url ?? ''}`, { headers: { host: name } }, (answer) => {
      reply.writeHead(answer.statusCode ?? 0, { 'content-type': answer.headers['content-type'] });
      answer.pipe(reply);
    });
  });
  onTestFinished(() => void front.close());
  await new Promise<void>((resolve) => front.listen(0, '127.0.0.1', resolve));
  const { port } = front.address() as AddressInfo;
  const secretFile = join(folder, 'hook');
  await writeFile(secretFile, 'a-secret-of-a-webhook\n', { mode: 0o600 });
  await chmod(secretFile, 0o644);
  const seen = await told(await configured({ webhook: `{secretFile: ${secretFile}, ensure: "http://127.0.0.1:${port}/webhook/home"}` }));
  expect(at(seen, 'forge home', 'webhook')).toMatchObject([{ state, sentence: says(words) }]);
  expect(at(seen, 'forge home', 'webhook secret')).toMatchObject([{ state: 'warning', remedy: `chmod 0600 ${secretFile}` }]);
  expect(seen.text).not.toContain('a-secret-of-a-webhook');
});

test('too little free disk is told, and a service that does not run is no failure', async () => {
  const seen = await told(await configured({ more: 'minFreeDisk: 900TiB' }));
  expect(at(seen, 'host', 'free disk')).toMatchObject([{ state: 'failed', sentence: says('less than minFreeDisk') }]);
  expect(at(seen, 'service', 'health')).toMatchObject([{ state: 'skipped', sentence: says('does not run') }]);
});

/** Where nothing is installed but a systemd of this version. */
async function bareHost(version: number): Promise<string> {
  const bin = join(folder, 'bin');
  await mkdir(bin);
  await writeFile(join(bin, 'systemd-run'), `#!/bin/sh\necho 'systemd ${version} (${version}.1-1)'\n`, { mode: 0o755 });
  return bin;
}

test('where the service does not run, a port that somebody else has is a failure, with what to do', async () => {
  const other = createServer().listen(0, '127.0.0.1');
  onTestFinished(() => void other.close());
  await once(other, 'listening');
  const { port } = other.address() as AddressInfo;
  const [taken] = at(await told(await configured({ port })), 'service', 'port');
  expect(taken).toMatchObject({ state: 'failed', sentence: says('uses 127.0.0.1', String(port)), remedy: says('http.port') });
  other.close();
  await once(other, 'close');
  expect(at(await told(await configured({ port })), 'service', 'port')).toMatchObject([{ state: 'ok' }]);
});

test('a template or a runner that is not there is told once, with what to do', async () => {
  const seen = await told(await configured({ template: `{kind: directory, path: ${folder}/none}` }));
  expect(at(seen, 'host', 'file systems')).toMatchObject([{ sentence: says('none does not exist'), remedy: says('profile default') }]);
  expect(at(seen, 'profile default', 'template')).toMatchObject([{ state: 'skipped' }]);
  const path = await configured();
  await rm(join(folder, 'runner'));
  expect(at(await told(path), 'host', 'paths of profiles')).toMatchObject([
    { sentence: says('no executable forgejo-runner'), remedy: says('install forgejo-runner 12.8.2') },
  ]);
});

test('an address that says https where http is spoken is told in words, with the one that may be meant', async () => {
  const { url } = await forgejoWithDemo();
  const [server] = at(await told(await configured({ url: url.replace('http:', 'https:') })), 'forge home', 'server');
  expect(server).toMatchObject({ sentence: says('it speaks no TLS there'), remedy: says(`write ${url}`) });
});

test('a tool that is not on the host is told with the package that brings it', async () => {
  const tools = at(await told(await configured(), await bareHost(249)), 'host', 'tools');
  expect(tools.map(({ state, sentence, remedy }) => [state, sentence, remedy])).toEqual([
    ['failed', 'systemd-nspawn does not run.', 'install systemd-container'],
    ['failed', 'ip does not run.', 'install iproute2'],
    ['failed', 'nft does not run.', 'install nftables'],
    ['failed', 'nsenter does not run.', 'install util-linux'],
    ['failed', 'mkfifo does not run.', 'install coreutils'],
  ]);
});

test('a systemd that is older than 249 is told with its version', async () => {
  const systemd = at(await told(await configured(), await bareHost(248)), 'host', 'systemd');
  expect(systemd).toContainEqual(expect.objectContaining({ state: 'failed', sentence: 'Its systemd is 248; 249 or newer is needed.' }));
});

test('--json is of the doctor alone', async () => {
  expect((await end(['check-config', '--json'])).code).toBe(2);
});
