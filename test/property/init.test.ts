// Promises that what init writes loads to what was said and to nothing else, whatever was said: no value becomes a key, a comment or a second
// value; and that what stands in it as a default is one.

import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parse } from 'yaml';
import type { Config } from '../../src/config/config.ts';
import { init, type InitFlags } from '../../src/config/init.ts';
import { starterOf } from '../../src/config/starter.ts';
import { isControllerError } from '../../src/errors.ts';
import { goodToken, load } from '../support/config-fixture.ts';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'frc-init-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const env = { CREDENTIALS_DIRECTORY: '/run/credentials/x' };
const files = { '/run/token': goodToken, '/run/credentials/x/forge-token': goodToken };

/** What init prints, or why it does not. */
async function printed(flags: InitFlags): Promise<{ readonly code: number; readonly text: string; readonly told: string }> {
  const said: string[] = [];
  const told: string[] = [];
  try {
    const code = await init({ ...flags, output: '-' }, { say: (text) => said.push(text), note: (text) => told.push(text) });
    return { code, text: said.join(''), told: told.join('') };
  } catch (error) {
    if (!isControllerError(error, 'CONFIG_INVALID')) throw error;
    return { code: error.exitCode, text: said.join(''), told: error.message };
  }
}

const word = fc.stringMatching(/^[A-Za-z0-9_-]{1,12}$/);
const flags = fc.record(
  {
    url: fc
      .tuple(fc.constantFrom('https://', 'http://'), fc.domain(), fc.constantFrom('', '/', '/git', ':3000', ':3000/a/b/'))
      .map((parts) => parts.join('')),
    scope: fc.oneof(
      fc.tuple(word, word).map((parts) => `repository:${parts.join('/')}`),
      word.map((name) => `organization:${name}`),
      fc.constantFrom('user', 'instance', 'organization:true', 'organization:1e3', 'organization:null', 'repository:1/0x1'),
    ),
    labels: fc
      .uniqueArray(
        fc.oneof(
          word,
          fc.constantFrom('yes', '007', '1.50', 'null', '~', '#x', '- a', 'a: b'.replace(': ', ' :')),
          fc.string({ maxLength: 8 }),
        ),
        { minLength: 1, maxLength: 5 },
      )
      .map((labels) => labels.join(',')),
    'token-file': fc.constantFrom('/run/token', '$CREDENTIALS_DIRECTORY/forge-token', '${CREDENTIALS_DIRECTORY}/forge-token'),
    runner: fc.constantFrom('/usr/bin/forgejo-runner', '/opt/a+b@1/forgejo-runner'),
  },
  { requiredKeys: ['url', 'scope', 'labels', 'token-file'] },
);

const scopeOf = ({ forges: [forge] }: Config): string => {
  const { kind, ...rest } = forge?.scope ?? { kind: 'none' };
  return [kind, ...(Object.keys(rest).length === 0 ? [] : [Object.values(rest).join('/')])].join(':');
};

test('what init takes loads in check-config to what was said, in every combination, without a warning of its own', async () => {
  let taken = 0;
  await fc.assert(
    fc.asyncProperty(flags, async (given) => {
      const { code, text } = await printed(given);
      if (code !== 0) {
        expect([code, text]).toEqual([2, '']);
        return;
      }
      taken += 1;
      const config = await load({ yaml: text, env, files });
      expect(config.warnings.filter((warning) => !warning.includes('is not used'))).toEqual([]);
      expect(config.controllerIdIsDefault).toBe(false);
      expect(scopeOf(config)).toBe(given.scope);
      expect(config.forges[0]?.url).toBe(new URL(given.url ?? '').href.replace(/\/+$/, ''));
      expect(config.profiles.map(({ labels }) => labels)).toEqual([
        (given.labels ?? '').split(',').map((label) => label.trim().split(':')[0]?.trim()),
      ]);
      expect(config.profiles[0]?.runnerPath).toBe(given.runner ?? '/usr/local/bin/forgejo-runner');
    }),
    { numRuns: 400 },
  );
  expect(taken).toBeGreaterThan(100);
});

test('whatever is said, init ends in a configuration of one forge and one profile, or writes nothing and says why without a token', async () => {
  const value = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.constantFrom(
      'user',
      '/run/token',
      'https://x',
      'a',
      goodToken,
      `https://u:${goodToken}@x`,
      'x\nstrict: true',
      '"',
      "'",
      '*a',
      '/a\n"%h${x}',
    ),
  );
  await fc.assert(
    fc.asyncProperty(fc.record({ url: value, scope: value, labels: value, 'token-file': value, runner: value }), async (given) => {
      const { code, text, told } = await printed(given);
      expect(told).not.toContain(goodToken);
      if (code !== 0) {
        expect([code, text]).toEqual([2, '']);
        return;
      }
      const config = await load({ yaml: text, env, files: { ...files, [given['token-file']]: goodToken } });
      expect([config.forges.length, config.profiles.length]).toEqual([1, 1]);
    }),
    { numRuns: 600 },
  );
});

test('a value of any characters stays that value: the text has no other key for it', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), fc.constantFrom('/', ' #', ': ', '\n', '- ', '}', ''), (noise, mark) => {
      const odd = `x${noise}${mark}${noise}`;
      const answers = { controllerId: odd, url: odd, scope: { organization: odd }, labels: [odd, odd], tokenFile: odd, runner: odd };
      expect(parse(starterOf(answers))).toEqual({
        controllerId: odd,
        forges: [{ name: 'forge', url: odd, scope: { organization: odd }, tokenFile: odd }],
        profiles: [{ name: 'default', labels: [odd, odd], runner: odd }],
      });
    }),
    { numRuns: 1_000 },
  );
});

test('every default that stands in the file is the default', async () => {
  const { text } = await printed({ url: 'https://x.example', scope: 'user', labels: 'a', 'token-file': '/run/token' });
  const plain = await load({ yaml: text, files });
  const all = await load({ yaml: text.replaceAll(/^( *)#(?=\w)/gm, '$1'), files });
  expect((text.match(/^ *#\w/gm) ?? []).length).toBeGreaterThan(10);
  expect(all).toEqual(plain);
});

test('what is there stays as it is, and what cannot be written is told with exit code 1', async () => {
  const output = join(folder, 'config.yaml');
  const told: string[] = [];
  const voices = { say: (text: string) => void told.push(text), note: (text: string) => void told.push(text) };
  const given = { url: 'https://x.example', scope: 'user', labels: 'a', 'token-file': '/run/token', output };
  expect(await init(given, voices)).toBe(0);
  const first = await readFile(output, 'utf8');
  expect(await init({ ...given, labels: 'b' }, voices)).toBe(1);
  expect(told.at(-1)).toContain('is there already and stays as it is');
  expect(await readFile(output, 'utf8')).toBe(first);
  expect(await init({ ...given, output: join(folder, 'absent', 'config.yaml') }, voices)).toBe(1);
  expect(told.at(-1)).toContain('ENOENT');
});
