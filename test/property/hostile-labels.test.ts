// Promises that whatever the author of a workflow writes into runs-on or a name, a job either fits into what its machine is told, word for
// word, or is served by nobody; and that no name of ours is made of it.

import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Job } from '../../src/core/model.ts';
import { labelBytes, leftOutLabel, serves, unmatchedSentenceOf } from '../../src/core/match.ts';
import { isMachineId, runnerIdOf } from '../../src/core/naming.ts';
import { assignmentText } from '../../src/driver/init-script.ts';
import { interfaceOf, namespaceOf, pathsOf, unitOf } from '../../src/driver/nspawn-unit.ts';
import { parseJobs } from '../../src/forge/forgejo-wire.ts';
import { encodeRecord } from '../../src/store/record-wire.ts';
import { aProfile } from '../support/build.ts';
import { load } from '../support/config-fixture.ts';
import { jobRow, uuidOf } from '../support/forgejo-under-test.ts';
import { createRig } from '../support/reconciler-rig.ts';

const words = '- -- --help --token-url a,b a:host a:docker://x $(id) `id` " \' \\ %i $HOME * ../.. /etc/passwd a/b . é 字'.split(' ');
const unprintable = [
  '',
  ' ',
  'a b',
  '\0',
  'a\0b',
  '\n',
  'ci\nx64',
  'debian\nci',
  '\r\n',
  '\u001b[2J',
  '\u009b2J',
  '\u202eci',
  '\ud800',
  '\ufeffci',
];
const long = ['x'.repeat(255), 'x'.repeat(300), 'x'.repeat(10_000), '字'.repeat(900), leftOutLabel];
const nasty = fc.constantFrom(...words, ...unprintable, ...long);
const label = fc.oneof(nasty, fc.string({ unit: 'binary' }), fc.constantFrom('ci', 'x64', 'Linux'));
const labels = fc.oneof(fc.array(label, { maxLength: 20 }), fc.array(fc.oneof(label, fc.jsonValue())), fc.jsonValue());
/** As a workflow's author can make it; the rest of the row is the server's. */
const jobs = fc.record({
  id: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
  runs_on: labels,
  name: fc.oneof(nasty, fc.jsonValue()),
});

function jobOf({ id, ...written }: { readonly id: number; readonly runs_on: unknown; readonly name: unknown }): Job {
  const parsed = parseJobs('home', JSON.parse(JSON.stringify([jobRow(1, written)]).replace('"id":1,', `"id":${id},`)));
  const job = parsed.ok ? parsed.value[0] : undefined;
  if (job === undefined) throw new Error('the list was refused');
  return job;
}

test('whatever a workflow asks for, its job is listed, small, and either served by a profile or denied in a short sentence', () => {
  fc.assert(
    fc.property(jobs, (drawn) => {
      const job = jobOf(drawn);
      expect(job.name.length).toBeLessThan(260);
      expect(Buffer.byteLength(job.labels.join('\n'))).toBeLessThanOrEqual(labelBytes + leftOutLabel.length);
      expect(new Set(job.labels).size).toBe(job.labels.length);
      expect(unmatchedSentenceOf(job, [aProfile()]).length).toBeLessThan(1_000);
      if (job.labels.includes(leftOutLabel)) expect(serves(aProfile({ labels: ['ci', 'x64', 'Linux'] }), job)).toBe(false);
    }),
    { numRuns: 2_000 },
  );
});

test('every job that a configured profile serves can be told to its machine, line by line as it was asked for', async () => {
  const url = `https://forge.example.org/${'p'.repeat(970)}`;
  await fc.assert(
    fc.asyncProperty(fc.array(label, { minLength: 1, maxLength: 30 }), fc.array(fc.nat(), { maxLength: 40 }), async (offered, picks) => {
      const profile = await profileOf(offered);
      if (profile === undefined) return;
      const job = jobOf({ id: 1, name: 'x', runs_on: picks.map((pick) => profile.labels[pick % profile.labels.length]) });
      if (!serves(profile, job)) return;
      const text = assignmentText({ url, uuid: uuidOf(1), token: 't'.repeat(255), handle: 'h'.repeat(128), labels: job.labels });
      expect(text.split('\n')).toEqual([url, uuidOf(1), 'h'.repeat(128), String(job.labels.length), ...job.labels, 't'.repeat(255)]);
      // `read -r` of the machine's shell takes spaces off both ends.
      for (const told of job.labels) expect(told).toBe(told.trim());
    }),
    { numRuns: 500 },
  );
});

/** A profile of these labels, if the configuration takes them. */
async function profileOf(offered: readonly string[]): Promise<ReturnType<typeof aProfile> | undefined> {
  const forges = [{ url: 'https://x', scope: { user: true }, tokenFile: '/run/token' }];
  const wanted = offered.filter((each) => !/[:,\p{Cc}\ud800]/u.test(each) && each.trim() !== '' && each.length <= 255);
  const yaml = JSON.stringify({ forges, profiles: [{ name: 'p', labels: [...new Set(wanted.map((each) => each.trim()))] }] });
  return wanted.length === 0 ? undefined : (await load({ yaml })).profiles[0];
}

test('every name on the host is one plain word in its own folder, whatever the job and its handle are called', () => {
  fc.assert(
    fc.property(jobs, fc.string({ unit: 'binary' }), (drawn, handle) => {
      const id = runnerIdOf('ci-1', { ...jobOf(drawn), handle });
      expect(isMachineId(id)).toBe(true);
      for (const name of [unitOf('ci-1', id), namespaceOf('ci-1', id), interfaceOf(id)]) expect(name).toMatch(/^[a-z][a-z\d.-]+$/);
      expect(interfaceOf(id).length).toBeLessThan(16);
      for (const path of Object.values(pathsOf('/var/lib/x', id)))
        expect(path).toMatch(/^\/var\/lib\/x\/(?:machines|exits)\/[a-z\d]+(?:\/[a-z\d.]+)*$/);
    }),
    { numRuns: 1_000 },
  );
});

test('whatever stands before it in the list, an honest job is started, and every other one is started small or denied with a sentence', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(jobs, { minLength: 1, maxLength: 20 }), async (drawn) => {
      const rig = createRig({ maxConcurrent: 100, profiles: [aProfile({ labels: ['debian', 'ci'] })] });
      const listed = drawn.map((row, index) => ({ ...jobOf({ ...row, id: index + 1 }), forge: 'main', handle: uuidOf(index + 1) }));
      for (const job of listed) rig.forge.queue(job.id, job);
      rig.forge.queue(500, { labels: ['debian\nci'] });
      rig.forge.queue(1_000, { labels: ['debian', 'ci'] });
      await rig.step();
      const started = [...rig.store.records.values()];
      const { denials } = rig.reconciler.snapshot();
      expect(started.map(({ job }) => job.id)).toContain(1_000);
      expect(started.length + denials.length).toBe(drawn.length + 2);
      for (const { sentence } of denials) expect(sentence).toMatch(/^.{10,1000}$/su);
      for (const record of started) expect(encodeRecord(record).length).toBeLessThan(16_384);
    }),
    { numRuns: 200 },
  );
});
