// Promises that no YAML and no environment makes loading end in anything but a Config or CONFIG_INVALID, and that units round trip.

import { isDeepStrictEqual } from 'node:util';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { renderConfig, type Config } from '../../src/config/config.ts';
import { formatDuration, formatSize, parseDuration, parseSize } from '../../src/core/units.ts';
import { isControllerError } from '../../src/errors.ts';
import { goodToken, load } from '../support/config-fixture.ts';

const words = [
  'controllerId stateDir maxConcurrent maxPerRepository pollInterval jobTimeout logLevel archive maxAge maxSize perJob http listen forges profiles dispatch network maintenance metrics strict',
  'host port name url instanceUrl scope tokenFile allowPending repository organization user instance level owner labels template kind path',
  'nix access containers forks runnerSha256 limits cpus memory tasks disk timeouts start pick job stop runner binds source target writable environment max pool prefix nameservers extraHosts allow',
  'repositories events deny openPorts externalInterface masquerade mtu __proto__ constructor toString hasOwnProperty token',
].flatMap((line) => line.split(' '));
const scalar = fc.oneof(
  fc.constantFrom(
    'https://x',
    '/run/token',
    '1s',
    '4GiB',
    'none',
    'a,b',
    'host',
    'directory',
    'nix-env',
    'daemon',
    '10.0.0.0/16',
    goodToken,
    '$CREDENTIALS_DIRECTORY/x',
    '',
    '/a:/b:rw',
  ),
  fc.string(),
  fc.integer(),
  fc.double(),
  fc.boolean(),
  fc.constant(null),
);
const { tree } = fc.letrec((tie) => ({
  tree: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    scalar,
    fc.array(tie('tree'), { maxLength: 3 }),
    fc
      .array(fc.tuple(fc.oneof(fc.constantFrom(...words), fc.string()), tie('tree')), { maxLength: 6 })
      .map((pairs) => Object.fromEntries(pairs)),
  ),
}));
const forge = { url: 'https://x', scope: { user: true }, tokenFile: '/run/token' };
/** Half of them have a forge that is right, so that the rest decides whether they load. */
const document = fc
  .tuple(fc.array(fc.tuple(fc.constantFrom(...words), tree), { maxLength: 4 }), fc.boolean())
  .map(([pairs, right]) => JSON.stringify({ ...Object.fromEntries(pairs), ...(right ? { forges: [forge] } : {}) }));
const environment = fc.dictionary(
  fc.constantFrom(
    ...'FORGEJO_URL FORGEJO_REPO FORGEJO_ORG FORGEJO_USER FORGEJO_INSTANCE FORGEJO_TOKEN_FILE FORGEJO_TOKEN FORGEJO_INSTANCE_URL RUNNER_LABELS'.split(
      ' ',
    ),
    ...'MAX_CONCURRENT POLL_INTERVAL JOB_TIMEOUT STATE_DIR HTTP_PORT RUNNER_PATH CONTROLLER_ID CREDENTIALS_DIRECTORY STATE_DIRECTORY PATH'.split(
      ' ',
    ),
  ),
  fc.oneof(fc.string(), fc.constantFrom('https://x', 'a/b', '/run/token', '3', '10m', '/x', goodToken)),
);

function bare(config: Config): Config {
  return { ...config, controllerIdIsDefault: false, warnings: [] };
}

/** True when it loaded and its print loads to the same, or was CONFIG_INVALID (TOKEN_UNREADABLE when only the token is not there) without a secret in it; else it throws. */
async function endsWell(given: Parameters<typeof load>[0]): Promise<boolean> {
  try {
    const config = await load(given);
    const again = await load({ yaml: renderConfig(config) });
    // Defaults are spelled out in the print, so what warned of a default does not warn again.
    return isDeepStrictEqual(bare(again), bare(config));
  } catch (error) {
    if (!isControllerError(error, 'CONFIG_INVALID') && !isControllerError(error, 'TOKEN_UNREADABLE')) throw error;
    return !error.message.includes(goodToken) && (error.details['mistakes'] as unknown[]).length > 0;
  }
}

const each = (count: number, write: (index: number) => string): string =>
  Array.from({ length: count }, (_, index) => write(index)).join('\n');
const right = JSON.stringify({ forges: [forge] }).slice(1, -1);
const hostile: readonly (readonly [string, string])[] = [
  ['20,000 unknown keys', each(20_000, (index) => `k${index}: `)],
  ['one key 20,000 times', 'a: 1\n'.repeat(20_000)],
  ['20,000 quotes', '""'.repeat(20_000)],
  ['20,000 tags', '- !x y\n'.repeat(20_000)],
  ['lists 50,000 deep', '['.repeat(50_000)],
  ['maps 20,000 deep', '{a: '.repeat(20_000)],
  ['items 50,000 deep', '- '.repeat(50_000)],
  [
    'an alias bomb',
    `a: &a [x, x, x, x, x, x, x, x, x]\n${each(
      9,
      (n) =>
        `k${n}: &k${n} [${Array(9)
          .fill(`*${n === 0 ? 'a' : `k${n - 1}`}`)
          .join()}]`,
    )}`,
  ],
  ['an alias of itself', 'a: &a {b: *a}'],
  ['10,000 documents', '---\na: 1\n'.repeat(10_000)],
  ['a key that is a prototype', `{${right}, __proto__: {strict: true}, constructor: {prototype: {strict: true}}}`],
  [
    '2,000 profiles',
    `${JSON.stringify({ forges: [forge] })}\n`.replace('{', '').replace(/\}\n$/, '\n') +
      `profiles:\n${each(2_000, (n) => `- {name: p${n}, labels: [l${n}]}`)}`,
  ],
  ['2,000 labels', `{${right}, profiles: [{name: p, labels: [${each(2_000, (n) => `l${n}`).replaceAll('\n', ', ')}]}]}`],
  ['300 KB', `# ${'x'.repeat(300_000)}`],
  ['a merge key', `{<<: {strict: true}, ${right}}`],
];

test.each(hostile)('a file with %s is CONFIG_INVALID, in few words', async (_, yaml) => {
  const error: unknown = await load({ yaml }).catch((reason: unknown) => reason);
  expect(isControllerError(error, 'CONFIG_INVALID')).toBe(true);
  expect(String(error).length).toBeLessThan(40_000);
});

const runs = { numRuns: 500 };

/** Whole and not negative, or not understood at all. */
function isWhole(value: number | undefined): boolean {
  return value === undefined || (Number.isSafeInteger(value) && value >= 0);
}

test('a configuration of known and unknown keys with any values loads or is CONFIG_INVALID, nothing else', async () => {
  await expect(
    fc.assert(
      fc.asyncProperty(fc.tuple(document, environment), ([yaml, env]) => endsWell({ yaml, env })),
      runs,
    ),
  ).resolves.toBeUndefined();
});

test('any text at all loads or is CONFIG_INVALID, nothing else', async () => {
  await expect(
    fc.assert(
      fc.asyncProperty(fc.oneof(fc.string(), fc.string({ unit: 'binary' })), (yaml) => endsWell({ yaml })),
      runs,
    ),
  ).resolves.toBeUndefined();
});

test('any environment loads or is CONFIG_INVALID, nothing else', async () => {
  await expect(
    fc.assert(
      fc.asyncProperty(environment, (env) => endsWell({ env })),
      runs,
    ),
  ).resolves.toBeUndefined();
});

test('a duration that was written reads as itself', () => {
  const property = fc.property(fc.nat({ max: 2 ** 40 }), (ms) => parseDuration(formatDuration(ms)) === ms);
  expect(fc.check(property).failed).toBe(false);
});

test('a size that was written reads as itself', () => {
  const property = fc.property(fc.nat({ max: 2 ** 50 }), (bytes) => parseSize(formatSize(bytes)) === bytes);
  expect(fc.check(property).failed).toBe(false);
});

test('no value makes a duration or size that is not a whole number of at least 0', () => {
  const property = fc.property(fc.oneof(fc.anything(), fc.string()), (value) => isWhole(parseDuration(value)) && isWhole(parseSize(value)));
  expect(fc.check(property).counterexample).toBeNull();
});
