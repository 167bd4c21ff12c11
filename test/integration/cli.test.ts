// Promises runner-status against the real API on real sockets: what each command prints for people and for programs, and its exit code.

import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Snapshot } from '../../src/core/snapshot.ts';
import type { AppOptions } from '../../src/http/app.ts';
import { explainSchema, jobsSchema, planSchema } from '../../src/http/wire-v1.ts';
import { statusSchema } from '../../src/http/wire.ts';
import { answering, type Answering } from '../support/cli-service.ts';
import { runs, terminal } from '../support/cli-run.ts';
import { busy, quiet } from '../support/snapshot-fixture.ts';

/** The console of one that has gone, and of one that still writes. */
const logs: AppOptions['logs'] = {
  open(id, following) {
    if (id !== 'j0000041abc') return Promise.resolve('unknown');
    const stream = new Blob(['one\n', 'two\n', '(the machine ended: finished)\n']).stream();
    return Promise.resolve(following ? { stream } : { text: 'one\n' });
  },
};
let picture: Snapshot = quiet;
let service: Answering;
beforeEach(async () => {
  picture = quiet;
  service = await answering(() => picture, {}, { logs });
});
afterEach(async () => {
  await service.close();
});
const asked = (...words: readonly string[]) => runs([...words, '--url', service.url]);

describe('status', () => {
  test('a quiet service is well: its forges, its profiles, exit code 0', async () => {
    expect(await asked()).toEqual({
      code: 0,
      err: '',
      out: `ci-1 is well: forgejo-runner-controller 0.1.0, up 9 min 59 s, last look 00:09:59 UTC; configuration 0123456789ab

Forges
FORGE  VERSION  SCOPE           WAITING  RUNNING  LAST POLL  STATE
forge  16.0.0   repository o/n  0        0        0 s ago    answers

Profiles
PROFILE  IN USE  MOST  LABELS
default  0       -     ci

No runners; 0 of 7 machines in use.
`,
    });
  });

  test('lists machines with their registrations and troubles, who waits and why, and what is left over; exit code 1 when it is not well', async () => {
    picture = busy;
    const { code, out } = await asked('status');
    expect(code).toBe(1);
    expect(out).toBe(`ci-1 is not well: forgejo-runner-controller 0.1.0, up 9 min 59 s, last look 00:09:59 UTC; configuration 0123456789ab
not well: 0 MiB are free
draining since 00:09:55 UTC by signal SIGUSR1: 2 left, nothing new is started

Forges
FORGE  VERSION  SCOPE           WAITING  RUNNING  LAST POLL  STATE
forge  16.0.0   repository o/n  0        0        0 s ago    answers

Profiles
PROFILE  IN USE  MOST  LABELS
default  2       5     ci

Runners: 2 of 7 machines in use
RUNNER       JOB       PROFILE  PHASE      FOR         MACHINE  REGISTRATION  NAME
j0000041abc  forge 41  default  busy       1 min 29 s  running  77            build; is ended: job-timeout; failed 2 times: The machine did not stop. (DRIVER_FAILED)
j0000042abc  forge 42  default  launching  0 s         -        -             build

Waiting: 2
JOB       NAME   LABELS   PLACE  START          WHY IT WAITS
forge 43  build  windows  -      ?              label \`windows\` is in no profile; nearest is \`default\`
forge 44  build  ci       1      ~00:10:00 UTC  all 7 machines are in use

To be looked at
left over: interface fr-j0000039abc
in quarantine: j0000038abc.json
free on the state directory: 5 B
`);
  });

  test('says which forge is away, and which configuration was refused', async () => {
    const error = { code: 'FORGE_UNAUTHORIZED', message: 'the token lacks write:repository', since: 0 };
    picture = { ...quiet, forges: quiet.forges.map((forge) => ({ ...forge, error })) };
    expect((await asked()).out).toContain('the token lacks write:repository (FORGE_UNAUTHORIZED)');
  });

  test('--json is the answer of /status as it is, with the same exit code', async () => {
    picture = busy;
    const { code, out } = await asked('--json');
    expect(code).toBe(1);
    expect(out).toBe(`${await (await fetch(`${service.url}/status`)).text()}\n`);
    expect(statusSchema.parse(JSON.parse(out)).runners).toHaveLength(2);
  });
});

describe('where it asks', () => {
  test('the Unix socket is asked when there is one that can be opened', async () => {
    const { out } = await asked();
    expect(await runs(['--socket', service.socket])).toEqual({ code: 0, out, err: '' });
    expect(await runs([], { sockets: service.folder })).toEqual({ code: 0, out, err: '' });
  });

  test('of several controllers one has to be named, with exit code 2', async () => {
    await writeFile(join(service.folder, 'ci-2.sock'), '');
    const { code, err } = await runs([], { sockets: service.folder });
    expect(code).toBe(2);
    expect(err).toContain(`name one by --socket, of ${service.socket}, ${service.folder}/ci-2.sock`);
  });

  test('without a socket the usual address is asked, and one below a path at that path', async () => {
    await using proxy = await passing('/ci', service.url);
    expect(await runs(['--url', `${proxy.url}/ci/`])).toEqual(await asked());
    expect(await runs(['--url', proxy.url])).toMatchObject({ code: 3 });
  });

  test('a token goes along to that place only', async () => {
    await using proxy = await passing('', service.url);
    await runs(['jobs', '--url', proxy.url, '--token-file', service.tokenFile]);
    await runs(['jobs', '--url', proxy.url]);
    expect(proxy.tokens).toEqual([`Bearer ${'t'.repeat(40)}`, undefined]);
  });
});

test('logs prints what a machine wrote, goes on with -f, and refuses what nobody knows with exit code 1', async () => {
  expect(await asked('logs', 'j0000041abc')).toEqual({ code: 0, out: 'one\n', err: '' });
  expect(await asked('logs', 'j0000041abc', '-f')).toEqual({ code: 0, out: 'one\ntwo\n(the machine ended: finished)\n', err: '' });
  expect(await asked('logs', 'j0000042abc')).toMatchObject({ code: 1, out: '', err: expect.stringContaining('NOT_FOUND') });
});

/** A proxy that passes on what is below the path, and remembers which tokens it saw. */
async function passing(path: string, to: string) {
  const tokens: (string | undefined)[] = [];
  const server = createServer((incoming, outgoing) => {
    tokens.push(incoming.headers.authorization);
    const below = incoming.url?.startsWith(`${path}/`) === true ? incoming.url.slice(path.length) : undefined;
    const pass = async (): Promise<void> => {
      const answer = below === undefined ? undefined : await fetch(to + below);
      outgoing.writeHead(answer?.status ?? 404, { 'content-type': 'application/json' });
      outgoing.end(await answer?.text());
    };
    pass().catch((error: unknown) => outgoing.destroy(error instanceof Error ? error : undefined));
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const address = server.address();
  const close = (): Promise<void> =>
    new Promise((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  return { url: `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`, tokens, [Symbol.asyncDispose]: close };
}

describe('jobs, explain and plan', () => {
  test('jobs waits, runs and is done, each with what there is to say', async () => {
    picture = busy;
    const { code, out } = await asked('jobs');
    expect(code).toBe(0);
    expect(out).toMatch(/^forge 44 .* all 7 machines are in use$/m);
    expect(out).toMatch(/^forge 41 +j0000041abc +default +busy /m);
    expect(out).toMatch(/^forge 40 +j0000040abc .* finished$/m);
    expect(jobsSchema.parse(JSON.parse((await asked('jobs', '--json')).out)).jobs).toHaveLength(5);
    expect((await asked('jobs', '--state', 'done')).out).not.toContain('forge 41');
    expect(await asked('jobs', '--state', 'lost')).toMatchObject({ code: 2, err: expect.stringContaining('waiting, running, done') });
  });

  test('explain names the nearest profile and the missing labels', async () => {
    const { code, out } = await asked('explain', '--labels', 'ci,gpu');
    expect(code).toBe(0);
    expect(out).toBe('ci, gpu: label `gpu` is in no profile; nearest is `default`\nnearest profile: default; missing: gpu\n');
    expect((await asked('explain', '--labels', 'ci')).out).toBe('ci: served by `default`\n');
  });

  test('explain tells everything known of a job', async () => {
    picture = busy;
    expect((await asked('explain', '--job', '43')).out).toContain('label `windows` is in no profile');
    expect((await asked('explain', '--job', '99')).out).toContain('job 99: unknown');
    expect(explainSchema.parse(JSON.parse((await asked('explain', '--job', '41', '--json')).out))).toMatchObject({ state: 'running' });
    expect(await asked('explain', '--job', 'x')).toMatchObject({ code: 2, out: '' });
  });

  test('plan says what would be done, what is under way, and what could not be read', async () => {
    const { code, out } = await asked('plan');
    expect(code).toBe(0);
    expect(out).toMatch(/^launch +j0000051\w+ +51 +default +job 51 waits/m);
    expect(out).toContain('Under way, and left alone until it has ended: j0000050abc');
    expect(out).toContain('unknown: the free space of this host');
    expect(planSchema.parse(JSON.parse((await asked('plan', '--json')).out)).actions).toHaveLength(3);
  });
});

const hostile = '\u001b[2J\u001b]52;c;b3duZWQ=\u0007\u009b31m\u202egnp\r\nfake line';

test('what others wrote moves nothing on the terminal, drawn or as JSON', async () => {
  picture = {
    ...busy,
    runners: busy.runners.map((runner) => ({ ...runner, job: { ...runner.job, name: hostile, labels: [hostile] } })),
    denials: busy.denials.map((denial) => ({ ...denial, job: { ...denial.job, name: hostile, labels: [hostile] }, sentence: hostile })),
    ended: busy.ended.map((ended) => ({ ...ended, job: { ...ended.job, name: hostile }, reason: hostile })),
    leftovers: [{ kind: 'unit', name: hostile }],
    quarantined: [hostile],
    host: { machines: 1, full: hostile },
  };
  const obeyed = new RegExp(String.raw`[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]`);
  for (const words of [['status'], ['jobs'], ['explain', '--job', '43'], ['explain', '--labels', hostile]])
    for (const format of [[], ['--json']]) {
      const { out, err } = await asked(...words, ...format);
      expect(out + err).toContain(String.raw`\u001b[2J`);
      expect(obeyed.exec(out + err)).toBeNull();
      expect(out + err).not.toMatch(/^fake line/m);
    }
});

async function shown(words: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<string> {
  const frames: string[] = [];
  await runs([...words, '--url', service.url], { screen: terminal(frames), env });
  return frames.join('');
}

describe('colours', () => {
  test('are there on a terminal only, and not with NO_COLOR, --no-color or a dumb one', async () => {
    expect(await shown([])).toContain('\u001b[32mwell\u001b[0m');
    for (const plain of [
      await shown(['--no-color']),
      await shown([], { NO_COLOR: '1' }),
      await shown([], { TERM: 'dumb' }),
      (await asked()).out,
    ])
      expect(plain).not.toContain('\u001b');
  });

  test('and JSON has none', async () => {
    expect(await shown(['--json'])).not.toContain('\u001b');
  });
});

describe('watch', () => {
  test('draws the picture anew until it is interrupted, and leaves the terminal as it was', async () => {
    const frames: string[] = [];
    const ending = new AbortController();
    const waits: number[] = [];
    const clock = {
      now: () => 0,
      wallOf: (at: number) => at,
      sleep(ms: number) {
        waits.push(ms);
        picture = busy;
        if (waits.length === 2) ending.abort();
        return Promise.resolve();
      },
    };
    const { code } = await runs(['watch', '--url', service.url], { screen: terminal(frames, 200, 12), clock, ending: ending.signal });
    expect([code, waits]).toEqual([0, [1_000, 1_000]]);
    expect(frames[0]).toBe('\u001b[?1049h\u001b[?25l\u001b[?7l');
    expect(frames[1]).toContain('No runners');
    expect(frames[2]).toContain('draining');
    expect(frames[2]?.split('\n')).toHaveLength(12);
    expect(frames[2]).toMatch(/… and \d+ more lines/);
    expect(frames.slice(3)).toEqual(['\u001b[?7h\u001b[?25h\u001b[?1049l']);
  });

  test('waits for a service that is away, and says so', async () => {
    const frames: string[] = [];
    const ending = new AbortController();
    await service.close();
    const screen = terminal(frames);
    const write = (text: string) => {
      screen.write(text);
      if (text.includes('Asking again')) ending.abort();
    };
    const { code } = await runs(['watch', '--url', service.url], { screen: { ...screen, write }, ending: ending.signal });
    expect(code).toBe(0);
    expect(frames[1]).toContain('the service does not answer');
  });

  test('without a terminal prints once, like status', async () => {
    expect(await asked('watch')).toEqual(await asked('status'));
  });
});
