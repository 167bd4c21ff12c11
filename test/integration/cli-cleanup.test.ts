// Promises the emergency tools and the handed-on commands of runner-status: against the real API what they tell and delete, without a
// service what its own program says, with its exit codes.

import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { AppOptions } from '../../src/http/app.ts';
import { sweepSchema } from '../../src/http/wire-v1.ts';
import { openFileStore } from '../../src/store/file-store.ts';
import { aWorld } from '../support/build.ts';
import { answering, type Answering } from '../support/cli-service.ts';
import { runs } from '../support/cli-run.ts';
import { startForgejo, type ForgejoStandIn } from '../support/forgejo/forgejo.ts';
import { quiet } from '../support/snapshot-fixture.ts';

type Preview = Awaited<ReturnType<AppOptions['reconciler']['preview']>>;
type Action = Preview['actions'][number];

const unused = (id: number, name: string): Action => ({
  kind: 'sweep-registration',
  id: `main/${id}`,
  forge: 'main',
  registration: { id, uuid: 'u', name, description: 'forgejo-runner-controller ci@host', ephemeral: true, status: 'offline' },
});

describe('cleanup-forgejo-runners beside a service', () => {
  let there: readonly Action[] = [];
  let unknown = false;
  let maintained = 0;
  let stubborn = false;
  let service: Answering;
  beforeEach(async () => {
    [there, unknown, maintained, stubborn] = [[unused(7, 'j0000007abc'), unused(8, 'j0000008abc')], false, 0, false];
    service = await answering(() => quiet, {
      preview: () => {
        const room = unknown ? ({ state: 'unknown', reason: 'DRIVER_FAILED: no statfs' } as const) : aWorld().room;
        return Promise.resolve({
          world: aWorld({ room }),
          actions: [...there, { kind: 'sweep-machine', id: 'j0000009abc' }],
          denials: [],
          dispatches: [],
        });
      },
      maintain() {
        maintained += 1;
        there = there.slice(stubborn ? 1 : 2);
      },
    });
  });
  afterEach(() => service.close());
  const clock = { now: () => 0, wallOf: (at: number) => at, sleep: () => Promise.resolve() };
  const asked = (...words: readonly string[]) => runs(['cleanup-forgejo-runners', ...words, '--socket', service.socket], { clock });

  test('tells what is unused and changes nothing', async () => {
    expect(await asked()).toEqual({
      code: 0,
      err: '',
      out: [
        'registration main/7: j0000007abc bears our mark, and no record speaks of it',
        'registration main/8: j0000008abc bears our mark, and no record speaks of it',
        '2 registrations would be deleted. Nothing was changed; say it again with --yes to do it.\n',
      ].join('\n'),
    });
    expect(sweepSchema.parse(JSON.parse((await asked('--json')).out)).sweep).toHaveLength(3);
    expect(maintained).toBe(0);
  });

  test('--yes has them deleted and waits until they are gone', async () => {
    const { code, out } = await asked('--yes');
    expect([code, maintained]).toEqual([0, 1]);
    expect(out).toContain('2 of 2 registrations were deleted.');
    expect(sweepSchema.parse(JSON.parse((await asked('--yes', '--json')).out)).dry_run).toBe(false);
  });

  test('what stays is named, with exit code 1; and what cannot be read is not gone', async () => {
    stubborn = true;
    const { code, out } = await asked('--yes');
    expect(code).toBe(1);
    expect(out).toMatch(/^left: registration main\/8: /m);
    expect(out).toContain('1 of 2 registrations was deleted.');
    unknown = true;
    expect(await asked('--yes')).toMatchObject({ code: 1, out: expect.stringContaining('0 of 1 registration were deleted.') });
    there = [];
    expect(await asked('--yes')).toMatchObject({ code: 1, out: expect.stringContaining('not known: the free space of this host') });
  });

  test('over TCP it is for who has the token, the telling too', async () => {
    expect(await runs(['cleanup-forgejo-runners', '--url', service.url])).toMatchObject({ code: 4, out: '' });
    const words = ['cleanup-forgejo-runners', '--url', service.url, '--token-file', service.tokenFile];
    expect((await runs(words, { clock })).code).toBe(0);
  });
});

const at = (path: string) => fileURLToPath(new URL(`../../src/${path}`, import.meta.url));

type Ended = { readonly code: number; readonly stdout: string; readonly stderr: string };

function end(program: string, ...args: readonly string[]): Promise<Ended> {
  return new Promise((resolve) => {
    execFile(process.execPath, [at(program), ...args], { env: { PATH: '/usr/sbin:/usr/bin:/bin' } }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr });
    });
  });
}

describe('without a service', () => {
  let folder = '';
  let config = '';
  let forgejo: ForgejoStandIn | undefined;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'frc-cleanup-'));
    config = join(folder, 'config.yaml');
    await configured('http://127.0.0.1:9', 'f'.repeat(40));
  });
  afterEach(async () => {
    await forgejo?.close();
    forgejo = undefined;
    await rm(folder, { recursive: true, force: true });
  });

  async function configured(url: string, token: string, more = ''): Promise<void> {
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, 'token'), `${token}\n`, { mode: 0o600 });
    await writeFile(join(folder, 'runner'), '#!/bin/sh\necho forgejo-runner version v12.8.2\n', { mode: 0o755 });
    const text = `controllerId: left\nstateDir: ${folder}/state\nhttp: {socket: ${folder}/left.sock}\n${more}
forges: [{name: home, url: "${url}", scope: {repository: acme/demo}, tokenFile: ${folder}/token}]
profiles: [{name: default, labels: [debian], runner: ${folder}/runner}]\n`;
    await writeFile(config, text, { mode: 0o600 });
  }

  test.each([[['check-config']], [['doctor', '--json']]])(
    '%j says what the program of the service says, with its exit code',
    async (words) => {
      const asked = ['main.ts', 'runner-status.ts'].map((program) => end(program, ...words, '--config', config));
      const [own, other] = (await Promise.all(asked)).map(({ code, stdout }) => [code, stdout.replaceAll(/\d+ (?:GiB|MiB)/g, '')]);
      expect(other).toEqual(own);
    },
  );

  test('init writes what it is told, and its --url is the forge', async () => {
    const output = join(folder, 'new.yaml');
    const words = ['--url', 'https://forge.example.org', '--scope', 'user', '--labels', 'a,b', '--token-file', '/t', '--output', output];
    const first = await end('runner-status.ts', 'init', ...words);
    expect([first.code, first.stdout]).toEqual([0, expect.stringContaining(`${output} is written.`)]);
    expect(await end('runner-status.ts', 'init', ...words)).toMatchObject({ code: 1, stderr: expect.stringContaining('is there already') });
  });

  test('commands that ask nobody take no place to ask', async () => {
    for (const words of [
      ['doctor', '--socket', '/a'],
      ['check-config', '--json'],
      ['cleanup-all-containers', '--url', 'http://a'],
      ['completion', 'bash', '--json'],
    ])
      expect(await runs(words)).toMatchObject({ code: 2, err: expect.stringMatching(/takes no --(?:socket|json|url)/) });
  });

  test('a mistake in the configuration is the exit code of the program', async () => {
    await configured('http://127.0.0.1:9', 'f'.repeat(40), 'maxConcurent: 1');
    const { code, stderr } = await end('runner-status.ts', 'check-config', '--config', config);
    expect(code).toBe(2);
    expect(stderr).toContain('maxConcurrent');
  });

  test('a program that is not beside this one is told in a sentence', async () => {
    expect(await runs(['check-config', '--config', config])).toEqual({
      code: 3,
      out: '',
      err: "runner-status: the service's own program is not there: /nowhere belongs beside this one\n",
    });
  });

  test('cleanup-all-containers and the sweep of the program leave a service that runs alone: exit code 4, and what to do', async () => {
    const store = await openFileStore({ stateDir: join(folder, 'state'), controllerId: 'left' });
    try {
      for (const words of [['cleanup-all-containers', '--yes'], ['cleanup-all-containers']]) {
        const { code, stdout, stderr } = await end('runner-status.ts', ...words, '--config', config);
        expect([code, stdout]).toEqual([4, '']);
        expect(stderr).toContain('systemctl stop forgejo-runner-controller');
        expect(stderr).toContain('nothing was changed');
      }
      const named = await end('runner-status.ts', 'cleanup-forgejo-runners', '--yes', '--config', config);
      expect(named).toMatchObject({ code: 4, stdout: '', stderr: expect.stringContaining('asked without --config') });
    } finally {
      await store.close();
    }
  }, 60_000);

  test('cleanup-forgejo-runners falls back to the program with the usual configuration, but not where a place was named', async () => {
    const [program, heard, sockets] = [join(folder, 'program.mjs'), join(folder, 'heard'), join(folder, 'sockets')];
    await writeFile(
      program,
      `import { writeFileSync } from 'node:fs'; writeFileSync('${heard}', process.argv.slice(2).join(' ')); process.exitCode = 9;`,
    );
    await mkdir(sockets);
    // What a service that was killed leaves.
    await writeFile(join(sockets, 'left.sock'), '');
    const { code, err } = await runs(['cleanup-forgejo-runners', '--yes'], { program, sockets, config });
    expect([code, err, await readFile(heard, 'utf8')]).toEqual([
      9,
      'runner-status: the service does not run: its program looks itself\n',
      `sweep --config ${config} --yes`,
    ]);
    await rm(heard);
    const both = await runs(['cleanup-forgejo-runners', '--config', config, '--url', 'http://127.0.0.1:9'], { program });
    expect(both).toMatchObject({ code: 2, err: expect.stringContaining('give --config, for a service that is stopped, or --url') });
    expect(await runs(['cleanup-forgejo-runners', '--socket', join(sockets, 'left.sock')], { program })).toMatchObject({ code: 3 });
    await expect(readFile(heard)).rejects.toThrow('ENOENT');
  });

  test('the sweep of the program asks the forge and this host, and shows no token', async () => {
    forgejo = await startForgejo();
    await forgejo.control.addOrganization({ name: 'acme', owners: ['root1'] });
    await forgejo.control.addRepository({ repository: 'acme/demo' });
    await configured(forgejo.url, forgejo.token);
    const { code, stdout, stderr } = await end('main.ts', 'sweep', '--config', config);
    // On a host without systemd the machines cannot be listed, and then nothing may be told for unused.
    const blind = [1, expect.stringContaining('the machines of this host cannot be listed')];
    const seeing = [0, expect.stringContaining('0 registrations would be deleted.')];
    expect([code, stdout]).toEqual(code === 1 ? blind : seeing);
    expect(stderr).not.toContain(forgejo.token);
  });
});
