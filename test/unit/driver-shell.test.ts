// The one shell that starts the driver's many small programs: what goes in as a word comes out as that word, and every answer finds its call.

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { createShell } from '../../src/driver/shell.ts';
import { perform, tryPerform } from '../../src/driver/exec.ts';

const shell = createShell();
const run = (words: readonly string[], { timeoutMs = 10_000, input = '' } = {}) => shell.run(words, timeoutMs, input);

test.each([["it's", '"', '$HOME', '`id`', '$(id)', '\\', '\n', ' a  b ', '*', '', ';', '&', '#', 'END', '-n', 'ü', '\u001e']])(
  'a word means nothing to the shell: %j',
  async (...words) => {
    const result = await run(['printf', '<%s>', ...words]);
    expect(result).toEqual({ kind: 'ended', code: 0, output: words.map((word) => `<${word}>`).join('') });
  },
);

test('a NUL is refused before it reaches the shell', async () => {
  await expect(tryPerform('printf', ['a\0b'])).rejects.toThrow(/NUL/);
});

test.each(['one\ntwo\n', 'END\nEND_\n', '$HOME `id` \\ "\'\n', `${'long '.repeat(4_000)}\n`])('input arrives as it is', async (input) => {
  const result = await run(['sh', '-c', 'cat | cksum'], { input });
  const direct = await run(['sh', '-c', 'printf %s "$0" | cksum', input]);
  expect(result).toEqual(direct);
});

test('the exit code and what was written on both outputs come back', async () => {
  expect(await run(['sh', '-c', 'echo out; echo err >&2; exit 7'])).toEqual({ kind: 'ended', code: 7, output: 'out\nerr' });
});

test('of a long output the beginning comes back, and the next answer is whole', async () => {
  const [long, next] = await Promise.all([run(['sh', '-c', 'yes ü | head -c 100000']), run(['echo', 'next'])]);
  expect(long).toMatchObject({ code: 0, output: expect.stringMatching(/^ü\nü\n/) as string });
  expect(next).toEqual({ kind: 'ended', code: 0, output: 'next' });
});

test('a program cannot answer for another one', async () => {
  const [forged, real] = await Promise.all([run(['printf', '2 0 4\nfake\n3 0 4\nfake\n']), run(['sh', '-c', 'sleep 0.1; exit 9'])]);
  expect(forged).toMatchObject({ output: '2 0 4\nfake\n3 0 4\nfake' });
  expect(real).toMatchObject({ code: 9 });
});

test('a hundred at once run side by side, and each gets its own answer', async () => {
  const results = await Promise.all(Array.from({ length: 100 }, (_, index) => run(['sh', '-c', `sleep 0.05; echo ${index}`])));
  expect(results.map((result) => (result.kind === 'ended' ? result.output : result.why))).toEqual(
    Array.from({ length: 100 }, (_, index) => String(index)),
  );
});

test('a program that takes too long is ended, even one that ignores SIGTERM', async () => {
  const stubborn = await tryPerform('sh', ['-c', 'trap "" TERM; sleep 30; sleep 30'], { timeoutMs: 100 });
  expect(stubborn.trouble).toBe('did not end within 100 ms');
});

test('a program that is not there is said to be missing', async () => {
  await expect(perform('no-such-program', [])).rejects.toThrow(/no-such-program was not found on this host/);
});

test('what failed is said with its own words', async () => {
  await expect(perform('sh', ['-c', 'echo "no room" >&2; exit 3'])).rejects.toThrow('sh ended with exit code 3: no room');
});

test('when the shell ends its programs are lost sight of, and the next call gets a new shell', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'driver-shell-'));
  const path = join(folder, 'sh');
  // The first one takes an order and ends.
  await writeFile(path, `#!/bin/sh\n[ -e ${folder}/second ] && exec /bin/sh -s\n: >${folder}/second\nread -r line\nexit 1\n`, {
    mode: 0o755,
  });
  const mortal = createShell(() => ({ words: [path] }));
  expect(await mortal.run(['true'], 1_000, '')).toMatchObject({ kind: 'lost' });
  expect(await mortal.run(['echo', 'again'], 1_000, '')).toEqual({ kind: 'ended', code: 0, output: 'again' });
  await rm(folder, { recursive: true });
});

test('a program whose end nobody is left to tell is lost sight of after its time, and the shell goes on', async () => {
  const impatient = createShell(undefined, '', 100);
  // All that stands between this program and the shell itself, which leads the session.
  const killed =
    'pid=$PPID; while :; do read -r _ _ _ up _ leader _ <"/proc/$pid/stat"; [ "$pid" = "$leader" ] && exit; kill -KILL "$pid"; pid=$up; done';
  expect(await impatient.run(['sh', '-c', killed], 200, '')).toEqual({ kind: 'lost', why: 'it did not end in time' });
  expect(await impatient.run(['echo', 'here'], 5_000, '')).toMatchObject({ kind: 'ended', code: 0, output: 'here' });
});

test('a shell that cannot be started is said, not thrown', async () => {
  expect(await createShell(() => ({ words: ['/no/such/shell'] })).run(['true'], 1_000, '')).toMatchObject({
    kind: 'lost',
    why: expect.stringMatching(/ENOENT/) as string,
  });
});
