// The form of records on disk: what every version wrote is read, what a newer one wrote is not guessed at, and no refusal quotes a secret.

import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { timesOf } from '../../src/core/time-line.ts';
import { decodeRecord, encodeRecord, upgraded, type Migrations } from '../../src/store/record-wire.ts';
import { aJob, aRunner } from '../support/build.ts';

const folder = new URL('../support/records/', import.meta.url);
const golden = readdirSync(folder)
  .filter((name) => name.endsWith('.json'))
  .map((name) => [name, readFileSync(new URL(name, folder), 'utf8')] as const);
const runner = aRunner(aJob(1), { ownCode: true, credentials: { id: 1, uuid: 'u', token: 'very-secret' } });
const text = encodeRecord(runner);
const spoiled = (change: (whole: { version: unknown; runner: Record<string, unknown> }) => void): string => {
  const whole = JSON.parse(text) as { version: unknown; runner: Record<string, unknown> };
  change(whole);
  return JSON.stringify(whole);
};

describe('a record of a released version', () => {
  test.each(golden)('%s is read whole, and what it says is kept when it is written again', (_, written) => {
    const decoded = decodeRecord(written);
    if (!('runner' in decoded)) throw new Error(decoded.unreadable);
    expect(JSON.parse(encodeRecord(decoded.runner))).toEqual(JSON.parse(written));
    expect(timesOf(decoded.runner)).toHaveLength(written.match(/"(?:at|\w+At)":/g)?.length ?? 0);
  });
});

describe('a record of a newer program', () => {
  test('of the same form loses the fields we do not know and is read', () => {
    const newer = spoiled((whole) => Object.assign(whole.runner, { colour: 'blue', more: { of: ['it'] } }));
    expect(decodeRecord(newer)).toEqual({ runner });
  });
  test('that stops or ended for a reason we do not know is still one that stops or ended', () => {
    const newer = spoiled((whole) =>
      Object.assign(whole.runner, { stop: { reason: 'bored', at: 5 }, ending: { reason: 'abducted', at: 6 } }),
    );
    expect(decodeRecord(newer)).toMatchObject({
      runner: { stop: { reason: 'operator', at: 5 }, ending: { reason: 'machine-failed', at: 6 } },
    });
  });
  test('of a newer form is not guessed at, and it is said which', () => {
    expect(decodeRecord(spoiled((whole) => (whole.version = 2)))).toEqual({
      unreadable: 'was written by a newer version of this program (form 2, this one knows 1)',
    });
  });
});

describe('an older form', () => {
  const steps: Migrations = new Map([
    [1, (older): Record<string, unknown> => ({ b: older['a'] })],
    [2, (older): Record<string, unknown> => ({ c: [older['b']] })],
  ]);
  test('is brought up to date step by step', () => {
    expect(upgraded({ version: 1, a: 7 }, 3, steps)).toEqual({ value: { version: 3, c: [7] } });
    expect(upgraded({ version: 3, c: 1 }, 3, steps)).toEqual({ value: { version: 3, c: 1 } });
  });
  test('without a way up is a bug, not a damaged record', () => {
    expect(() => upgraded({ version: 1 }, 2, new Map())).toThrow(/no way from form 1/);
  });
  test.each([undefined, null, '1', 0, -1, 1.5])('that calls itself %j is none', (version) => {
    expect(upgraded({ version }, 1, steps)).toEqual({ unreadable: 'does not say its version' });
  });
});

describe('what is no record', () => {
  test.each([
    ['nothing', '', /empty/],
    ['zeros', '\0'.repeat(400), /zeros/],
    ['half of one', text.slice(0, -20), /not whole/],
    ['another thing', '[1]', /not whole/],
    ['one without a slot', spoiled((whole) => delete whole.runner['slot']), /runner\.slot/],
    ['one with a foreign machine', spoiled((whole) => (whole.runner['machine'] = '../x')), /cannot be ours/],
    ['one of the year 300000', spoiled((whole) => (whole.runner['createdAt'] = 9.4e15)), /time that cannot be/],
    ['one of before 1970', spoiled((whole) => (whole.runner['assignedAt'] = -1)), /time that cannot be/],
  ])('I7 %s is refused with its reason and without a word of it', (_, bytes, reason) => {
    const decoded = decodeRecord(bytes);
    expect(decoded).toMatchObject({ unreadable: expect.stringMatching(reason) });
    expect(JSON.stringify(decoded)).not.toContain('secret');
  });
});
