// Names are derived, readable and ours alone.

import { describe, expect, test } from 'vitest';
import {
  descriptionOf,
  inItsPlace,
  isControllerId,
  isMachineId,
  isNamesake,
  isOurRegistration,
  jobKeyOf,
  placeOf,
  runnerIdOf,
} from '../../src/core/naming.ts';
import { labelNameOf, leftOutLabel, serves, unmatchedSentenceOf } from '../../src/core/match.ts';
import { addressToNumber, nextSlot, slotCountOf, subnetOf, uidBaseOf } from '../../src/core/subnets.ts';
import { aJob, aPolicy, aProfile, aRegistration, aRunner } from '../support/build.ts';

describe('runner ids', () => {
  test('a runner id is j, the last seven digits of the job id and three characters', () => {
    expect(runnerIdOf('test', aJob(123456789))).toMatch(/^j3456789[0-9a-z]{3}$/);
    expect(runnerIdOf('test', aJob(7))).toMatch(/^j0000007[0-9a-z]{3}$/);
  });
  test('every runner id is one that we would know for ours', () => {
    const ids = Array.from({ length: 200 }, (_, n) => runnerIdOf('test', aJob(n + 1)));
    expect(ids.filter((id) => !isMachineId(id))).toEqual([]);
  });
  test('jobs whose ids differ by ten million get different runner ids', () => {
    const ids = new Set(Array.from({ length: 50 }, (_, n) => runnerIdOf('test', aJob(42 + n * 10_000_000))));
    expect(ids.size).toBe(50);
  });
  test('a new attempt, another forge and another controller each give another id', () => {
    const job = aJob(5);
    const ids = [
      runnerIdOf('test', job),
      runnerIdOf('test', { ...job, handle: 'again' }),
      runnerIdOf('test', { ...job, forge: 'other' }),
      runnerIdOf('home', job),
    ];
    expect(new Set(ids).size).toBe(4);
  });
  test('the same job gives the same id after a restart', () => {
    expect(runnerIdOf('test', aJob(99))).toBe(runnerIdOf('test', aJob(99)));
  });
  test('I6 only names of exactly our shape are ours', () => {
    expect(isMachineId('j0000001abc')).toBe(true);
    for (const foreign of ['j0000001ab', 'j0000001abcd', 'J0000001abc', 'x0000001abc', 'web', '', '../0000001a', 'j0000001ab\n']) {
      expect(isMachineId(foreign)).toBe(false);
    }
  });
  test('a controller id is short, lower-case and never ends in a hyphen', () => {
    for (const good of ['a', 'home', 'ci-1', 'a'.repeat(16)]) expect(isControllerId(good)).toBe(true);
    for (const bad of ['', '-a', 'a-', 'A', 'a_b', 'a'.repeat(17), 'a.b', 'a b']) expect(isControllerId(bad)).toBe(false);
  });
  test('a job row without a handle is told apart by forge, id and attempt', () => {
    const row = aJob(3, { handle: '' });
    expect(jobKeyOf(row)).not.toBe(jobKeyOf({ ...row, attempt: 2 }));
    expect(jobKeyOf(row)).not.toBe(jobKeyOf({ ...row, forge: 'other' }));
  });
});

describe('registrations', () => {
  const policy = aPolicy({ description: descriptionOf('test', 'aaaa') });
  const ours = aRegistration({ description: policy.description });
  test('I6 a registration is ours only when name, description and ephemeral all say so', () => {
    expect(isOurRegistration(ours, policy)).toBe(true);
    expect(isOurRegistration({ ...ours, name: 'office-runner' }, policy)).toBe(false);
    expect(isOurRegistration({ ...ours, description: 'mine' }, policy)).toBe(false);
    expect(isOurRegistration({ ...ours, ephemeral: false }, policy)).toBe(false);
  });
  test('another host under the same controller id is noticed and is not ours', () => {
    const theirs = { ...ours, description: descriptionOf('test', 'bbbb') };
    expect(isNamesake(theirs, policy)).toBe(true);
    expect(isOurRegistration(theirs, policy)).toBe(false);
    expect(isNamesake({ ...ours, description: descriptionOf('test-2', 'bbbb') }, policy)).toBe(false);
  });
});

describe('labels', () => {
  test('the scheme of a label is not part of its name', () => {
    expect(labelNameOf('ubuntu-22.04:docker://node:20')).toBe('ubuntu-22.04');
    expect(labelNameOf('debian')).toBe('debian');
  });
  test('a job is served when its labels are a subset, case-sensitive', () => {
    const profile = aProfile({ labels: ['debian', 'x64'] });
    expect(serves(profile, aJob(1, { labels: ['debian'] }))).toBe(true);
    expect(serves(profile, aJob(1, { labels: ['x64', 'debian'] }))).toBe(true);
    expect(serves(profile, aJob(1, { labels: ['Debian'] }))).toBe(false);
    expect(serves(profile, aJob(1, { labels: ['debian', 'gpu'] }))).toBe(false);
  });
  test('a job that names no label is served by nobody, as in Forgejo', () => {
    expect(serves(aProfile(), aJob(1, { labels: [] }))).toBe(false);
    expect(unmatchedSentenceOf(aJob(1, { labels: [] }), [aProfile()])).toContain('names no label');
  });
  test('the sentence names the missing label and the nearest profile', () => {
    const profiles = [aProfile({ name: 'small', labels: ['debian'] }), aProfile({ name: 'big', labels: ['debian', 'x64', 'kvm'] })];
    expect(unmatchedSentenceOf(aJob(1, { labels: ['debian', 'x64', 'gpu'] }), profiles)).toBe(
      'label `gpu` is in no profile; nearest is `big`',
    );
  });
  test('labels that exist, but never together, are said to be apart', () => {
    const profiles = [aProfile({ name: 'a', labels: ['debian'] }), aProfile({ name: 'b', labels: ['kvm'] })];
    expect(unmatchedSentenceOf(aJob(1, { labels: ['debian', 'kvm'] }), profiles)).toBe(
      'no profile has all of its labels; nearest is `a`, which lacks `kvm`',
    );
  });
  test('a sentence stays short whatever a job asks for, and says when labels were left out', () => {
    const labels = Array.from({ length: 50 }, (_, index) => `${index}-${'x'.repeat(500)}`);
    const sentence = unmatchedSentenceOf(aJob(1, { labels }), [aProfile()]);
    expect(sentence).toContain('and 45 more are in no profile');
    expect(sentence.length).toBeLessThan(1_000);
    expect(serves(aProfile(), aJob(1, { labels: ['debian', leftOutLabel] }))).toBe(false);
    expect(unmatchedSentenceOf(aJob(1, { labels: ['debian', leftOutLabel] }), [aProfile()])).toContain('2048 bytes');
  });
});

describe('slots', () => {
  const pool = { first: '192.168.100.0', last: '192.168.199.255', prefix: 24 };
  test('the default pool has a hundred subnets, host .10 and machine .11', () => {
    expect(slotCountOf(pool)).toBe(100);
    expect(subnetOf(pool, 0)).toMatchObject({
      network: '192.168.100.0',
      host: '192.168.100.10',
      machine: '192.168.100.11',
      broadcast: '192.168.100.255',
    });
    expect(subnetOf(pool, 99).machine).toBe('192.168.199.11');
  });
  test('smaller subnets use their first two addresses', () => {
    const small = { first: '10.66.0.0', last: '10.66.3.255', prefix: 30 };
    expect(slotCountOf(small)).toBe(256);
    expect(subnetOf(small, 1)).toMatchObject({ network: '10.66.0.4', host: '10.66.0.5', machine: '10.66.0.6', broadcast: '10.66.0.7' });
  });
  test('a pool that starts inside a subnet uses whole subnets only', () => {
    expect(slotCountOf({ first: '10.0.0.128', last: '10.0.2.255', prefix: 24 })).toBe(2);
    expect(subnetOf({ first: '10.0.0.128', last: '10.0.2.255', prefix: 24 }, 0).network).toBe('10.0.1.0');
  });
  test('what is no address is no number', () => {
    expect(addressToNumber('10.0.1.255')).toBe(0x0a0001ff);
    for (const odd of ['10.0.0.256', '10.0.0', '10.0.0.0.0', '10.0.0.-1', '10.0.0.1.5', 'a.b.c.d']) expect(addressToNumber(odd)).toBeNaN();
  });
  test('no two slots share a uid range, nor do those of two pools side by side, and there are never more slots than ranges', () => {
    const huge = { first: '10.0.0.0', last: '10.255.255.255', prefix: 30 };
    expect(slotCountOf(huge)).toBe(4096);
    const bases = new Set(Array.from({ length: 4096 }, (_, slot) => uidBaseOf(huge, slot)));
    expect([bases.size, Math.min(...bases), Math.max(...bases)]).toEqual([4096, 0x70000000, 0x7fffffff - 65535]);
    const [ours, theirs] = ['100', '150'].map((third) => ({ first: `192.168.${third}.0`, last: `192.168.${third}.255`, prefix: 24 }));
    if (ours === undefined || theirs === undefined) throw new Error('two pools');
    expect(uidBaseOf(theirs, 0) - uidBaseOf(ours, 0)).toBe(50 * 65536);
  });
  test('the next slot is the one that rested longest, and none when all are held', () => {
    expect(nextSlot(new Set(), 3, -1)).toBe(0);
    expect(nextSlot(new Set(), 3, 0)).toBe(1);
    expect(nextSlot(new Set([2]), 3, 1)).toBe(0);
    expect(nextSlot(new Set([0, 2]), 3, 1)).toBe(1);
    expect(nextSlot(new Set([0, 1, 2]), 3, 1)).toBeUndefined();
  });
});

describe('where a forge entry leads', () => {
  const here = placeOf('https://a.test', { kind: 'repository', owner: 'acme', name: 'demo' });
  const runner = aRunner(aJob(1), { place: here });

  test('is told by url and scope', () => {
    const scopes = [{ kind: 'organization', name: 'acme' }, { kind: 'user' }, { kind: 'instance' }] as const;
    const places = [here, placeOf('https://b.test', { kind: 'user' }), ...scopes.map((scope) => placeOf('https://a.test', scope))];
    expect(new Set(places).size).toBe(places.length);
  });
  test('I9 a record whose forge entry leads elsewhere now belongs to no forge that is asked', () => {
    expect(inItsPlace(runner, new Map([['main', 'https://b.test instance']])).forge).toBe(`main (${here})`);
  });
  test('a record in its place, of an older version, or of a forge that left is as it was', () => {
    const { place, ...older } = runner;
    expect(inItsPlace(runner, new Map([['main', here]]))).toBe(runner);
    expect(inItsPlace(older, new Map([['main', `${place} else`]]))).toBe(older);
    expect(inItsPlace(runner, new Map())).toBe(runner);
  });
});
