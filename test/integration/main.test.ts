// Promises the command line as a process of its own: what it prints, where, and with which exit code it ends.

import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { configHashOf, loadConfig } from '../../src/config/config.ts';
import { openFileStore } from '../../src/store/file-store.ts';

const program = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'frc-main-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

type Ended = { readonly code: number; readonly stdout: string; readonly stderr: string };

function end(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Ended> {
  return new Promise((resolve) => {
    execFile(process.execPath, [program, ...args], { env: { PATH: '/usr/bin:/bin', ...env } }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr });
    });
  });
}

/** A whole configuration whose runner is nowhere, so that no host can run it. */
async function configured(over = ''): Promise<string> {
  const path = join(folder, 'config.yaml');
  await writeFile(join(folder, 'token'), `${'f'.repeat(40)}\n`, { mode: 0o600 });
  await writeFile(
    path,
    `controllerId: argv\nstateDir: ${folder}/state\n${over}
forges: [{url: "http://127.0.0.1:9", scope: {repository: o/n}, tokenFile: ${folder}/token}]
profiles: [{name: default, labels: [debian], runner: ${folder}/absent}]\n`,
    { mode: 0o600 },
  );
  await chmod(folder, 0o700);
  return path;
}

test('--config names the file, and check-config prints what it makes of it', async () => {
  const path = await configured();
  const { code, stdout } = await end(['check-config', '--config', path]);
  expect(code).toBe(0);
  expect(stdout).toContain('controllerId: argv');
  const hash = configHashOf(await loadConfig({ file: path, env: {} }));
  expect(stdout.split('\n')[0]).toBe(`# configuration ${hash}: /status names the one in force so`);
  expect(stdout).not.toContain('ffff');
  expect((await end(['check-config', `-c${path}`])).stdout).toBe(stdout);
});

test('check-config --pending tells every mistake but those of tokens that are not there yet, also when the file is strict', async () => {
  const path = await configured('strict: true');
  await rm(join(folder, 'token'));
  const { code, stdout, stderr } = await end(['check-config', '--pending', '--config', path]);
  expect([code, stderr]).toEqual([0, expect.stringContaining('polling starts when the file holds a token')]);
  expect(stdout).toContain('controllerId: argv');
  expect((await end(['check-config', '--config', path])).code).toBe(2);
  const broken = await configured('maxConcurent: 3');
  await rm(join(folder, 'token'));
  expect(await end(['check-config', '--pending', '--config', broken])).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('has one mistake') as unknown,
  });
  expect((await end(['run', '--pending'])).code).toBe(2);
});

test('what is missing from the environment is named on stderr, with exit code 2', async () => {
  const { code, stdout, stderr } = await end(['run'], { FORGEJO_URL: 'https://forge.example.org' });
  expect([code, stdout]).toEqual([2, '']);
  expect(stderr).toContain('CONFIG_INVALID');
  for (const name of ['FORGEJO_TOKEN_FILE', 'FORGEJO_REPO']) expect(stderr).toContain(name);
});

test('a mistake in the file is told with its path, with exit code 2', async () => {
  const { code, stderr } = await end(['check-config', '--config', await configured('maxConcurent: 3')]);
  expect(code).toBe(2);
  expect(stderr).toContain('maxConcurrent');
});

test.each([
  ['is missing', (path: string) => rm(path)],
  ['is empty', (path: string) => writeFile(path, ' \n')],
  ['cannot be read', (path: string) => rm(path).then(() => mkdir(path))],
])('a token file that %s is told at once, with exit code 5, which systemd starts again', async (_, spoil) => {
  const config = await configured();
  const token = join(folder, 'token');
  await spoil(token);
  for (const command of ['run', 'check-config']) {
    const { code, stdout, stderr } = await end([command, '--config', config]);
    expect([code, stdout]).toEqual([5, '']);
    expect(stderr).toContain('TOKEN_UNREADABLE');
    expect(stderr).toContain(`forges[0].tokenFile names "${token}", which`);
  }
});

test('a token file that is missing beside another mistake, or holds no token, is a mistake like any other: exit code 2', async () => {
  const broken = await configured('maxConcurent: 3');
  await rm(join(folder, 'token'));
  const { code, stderr } = await end(['--config', broken]);
  expect(code).toBe(2);
  for (const mistake of ['CONFIG_INVALID', 'tokenFile', 'maxConcurent']) expect(stderr).toContain(mistake);
  const sound = await configured();
  for (const text of ['PENDING-token', 'two words']) {
    await writeFile(join(folder, 'token'), text);
    expect(await end(['--config', sound])).toMatchObject({ code: 2, stderr: expect.stringContaining('CONFIG_INVALID') as string });
  }
});

test.each([[['walk']], [['--nonsense']], [['run', 'now']]])('%j is no usage: exit code 2 and the usage on stderr', async (args) => {
  const { code, stdout, stderr } = await end(args);
  expect([code, stdout]).toEqual([2, '']);
  expect(stderr).toContain('Usage: forgejo-runner-controller');
});

test('--help and --version answer on stdout', async () => {
  expect(await end(['--help'])).toMatchObject({ code: 0, stdout: expect.stringContaining('Usage:') });
  expect(await end(['-V'])).toMatchObject({ code: 0, stdout: expect.stringMatching(/^forgejo-runner-controller \d+\.\d+\.\d+\n$/) });
});

test('a reader that has seen enough, such as head, ends a command quietly', async () => {
  const child = spawn(process.execPath, [program, 'doctor'], { env: { PATH: '/usr/bin:/bin' }, stdio: ['ignore', 'pipe', 'pipe'] });
  child.stdout.destroy();
  let stderr = '';
  child.stderr.on('data', (text) => (stderr += String(text)));
  const [code] = (await once(child, 'close')) as unknown[];
  expect([code, stderr]).toEqual([0, '']);
});

test('a host that cannot run machines is refused with every reason, with exit code 3', async () => {
  const { code, stderr } = await end(['--config', await configured()]);
  expect(code).toBe(3);
  expect(stderr).toContain('DRIVER_UNAVAILABLE');
  expect(stderr).toContain('no executable forgejo-runner');
});

test.each([
  ['is the journal', (stream: string) => stream, ['<4>{', '<6>{'], '<3>'],
  ['is not what JOURNAL_STREAM names', (stream: string) => `${stream}0`, ['{'], ''],
])('where its output %s every line has the priority that journalctl -p asks for, or none', async (_, name, starts, told) => {
  const log = await open(join(folder, 'out'), 'w');
  const { dev, ino } = await log.stat({ bigint: true });
  const env = { PATH: '/usr/bin:/bin', JOURNAL_STREAM: name(`${dev}:${ino}`) };
  const args = [program, '--config', await configured('http: {port: 9, host: 192.0.2.1}')];
  const service = spawn(process.execPath, args, { env, stdio: ['ignore', log.fd, log.fd] });
  expect(await once(service, 'exit')).toEqual([3, null]);
  await log.close();
  const lines = (await readFile(join(folder, 'out'), 'utf8')).trimEnd().split('\n');
  const facts = lines.filter((line) => line.includes('"event":'));
  expect([...new Set(facts.map((line) => line.slice(0, line.indexOf('{') + 1)))].toSorted()).toEqual(starts);
  const sentences = lines.filter((line) => !facts.includes(line));
  expect(sentences[0]).toContain(`${told}forgejo-runner-controller: DRIVER_UNAVAILABLE`);
  expect(sentences.filter((line) => !line.startsWith(told))).toEqual([]);
});

test('a second copy on the same state directory is refused with exit code 4', async () => {
  const path = await configured();
  const store = await openFileStore({ stateDir: join(folder, 'state'), controllerId: 'argv' });
  try {
    const { code, stderr } = await end(['--config', path]);
    expect(code).toBe(4);
    expect(stderr).toContain('another forgejo-runner-controller runs on');
  } finally {
    await store.close();
  }
});

test('a state directory that others than root may write is told at the start, which goes on', async () => {
  const path = await configured();
  const store = await openFileStore({ stateDir: join(folder, 'state'), controllerId: 'argv' });
  await chmod(join(folder, 'state'), 0o733);
  try {
    const { code, stdout } = await end(['--config', path]);
    expect(code).toBe(4);
    expect(stdout).toMatch(/"event":"warning".*Others than root could change what lies at .*state, .* has mode 0733: chmod go-w .*state\./);
  } finally {
    await store.close();
  }
});

test('without an endpoint for traces nothing of OpenTelemetry is loaded; with one it is', async () => {
  const hook = `import { registerHooks } from 'node:module';
    import { writeSync } from 'node:fs';
    registerHooks({ load(url, context, next) { if (/opentelemetry.(?:sdk|exporter|otlp)|src.traces/.test(url)) writeSync(2, 'loaded ' + url + '\\n'); return next(url, context); } });`;
  const env = { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(hook)}` };
  const loaded = async (over: Readonly<Record<string, string>>): Promise<boolean> => {
    const { code, stderr } = await end(['run', '--config', await configured('http: {port: 0, socket: none}')], { ...env, ...over });
    expect([code, stderr]).toEqual([3, expect.stringContaining('DRIVER_UNAVAILABLE')]);
    return stderr.includes('loaded ');
  };
  expect(await loaded({})).toBe(false);
  expect(await loaded({ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:9', OTEL_SDK_DISABLED: 'true' })).toBe(false);
  expect(await loaded({ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:9' })).toBe(true);
});
