// Promises for any answer whatever: the Forgejo adapter gives a checked value or a ControllerError of the forge's kind, and never shows the
// token. Answers are drawn as bytes, as any JSON, and as nearly right JSON with one thing wrong.

import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Job, Registration } from '../../src/core/model.ts';
import { ControllerError } from '../../src/errors.ts';
import {
  jsonOf,
  parseCredentials,
  parseJobs,
  parseRegistrations,
  parseVersionText,
  refusalMessageOf,
  versionOf,
} from '../../src/forge/forgejo-wire.ts';
import { retryAfterMsOf } from '../../src/forge/http-client.ts';
import { forgejoUnderTest, jobRow, runnerRow, secretToken, uuidOf, wholeTextOf } from '../support/forgejo-under-test.ts';
import type { Scripted } from '../support/scripted-server.ts';

/** A row with one field replaced by anything, or taken away. */
const nearly = (row: Readonly<Record<string, unknown>>): fc.Arbitrary<unknown> =>
  fc
    .tuple(fc.constantFrom(...Object.keys(row)), fc.oneof(fc.jsonValue(), fc.integer(), fc.double(), fc.constant(undefined)))
    .map(([field, value]) => ({ ...row, [field]: value }));

const anyJson = fc.oneof(
  fc.jsonValue(),
  fc.array(fc.oneof(fc.constant(jobRow(3)), nearly(jobRow(4))), { maxLength: 4 }),
  fc.array(fc.oneof(fc.constant(runnerRow(3)), nearly(runnerRow(4))), { maxLength: 4 }),
  nearly(runnerRow(5)),
  fc.record({ version: fc.oneof(fc.string(), fc.constantFrom('16.0.1', '14.0.0', 'dev')) }),
  nearly({ id: 1, uuid: uuidOf(1), token: 't' }),
  fc.record({ message: fc.oneof(fc.string(), fc.constant(secretToken)) }),
);

const isId = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) > 0;
const isCount = (value: unknown): boolean => value === 0 || isId(value);

function isJob(job: Job): boolean {
  const numbers = isId(job.id) && [job.attempt, job.repositoryId, job.ownerId, job.taskId].every(isCount);
  const words = [job.handle, job.name, ...job.labels].every((word) => typeof word === 'string');
  return numbers && words && Array.isArray(job.labels) && ['waiting', 'running'].includes(job.state);
}

function isRegistration(row: Registration): boolean {
  const words = [row.name, row.uuid, row.description].every((word) => typeof word === 'string');
  return isId(row.id) && words && typeof row.ephemeral === 'boolean' && ['offline', 'idle', 'active'].includes(row.status);
}

test('whatever JSON is listed, jobs and registrations are whole or the list is refused', () => {
  fc.assert(
    fc.property(anyJson, (drawn) => {
      const json: unknown = jsonOf(JSON.stringify(drawn));
      const jobs = parseJobs('home', json);
      expect(jobs.ok ? jobs.value.every(isJob) : jobs.problem !== '').toBe(true);
      const registrations = parseRegistrations(json);
      expect(registrations.ok ? registrations.value.every(isRegistration) : registrations.problem !== '').toBe(true);
      const credentials = parseCredentials(json);
      expect(credentials.ok ? isId(credentials.value.id) && /^[!-~]+$/.test(credentials.value.token) : credentials.problem !== '').toBe(
        true,
      );
      expect(typeof parseVersionText(json).ok).toBe('boolean');
    }),
    { numRuns: 2000 },
  );
});

test('whatever order jobs are listed in, they come out by ascending id and none is lost', () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER })), (ids) => {
      const parsed = parseJobs(
        'home',
        ids.map((id) => jobRow(id)),
      );
      expect(parsed).toMatchObject({ ok: true });
      expect(parsed.ok && parsed.value.map(({ id }) => id)).toEqual(ids.toSorted((a, b) => a - b));
    }),
  );
});

test('whatever a version, a message or a Retry-After says, reading it never throws', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), fc.nat(), (text, now) => {
      const version = versionOf(text);
      expect(version === undefined || isCount(version.major)).toBe(true);
      expect(['string', 'undefined']).toContain(typeof refusalMessageOf(text));
      const waitMs = retryAfterMsOf(text, now);
      expect(waitMs === undefined || (waitMs >= 0 && waitMs <= 3_600_000)).toBe(true);
    }),
  );
});

const anyAnswer: fc.Arbitrary<Scripted> = fc.oneof(
  fc.record({ status: fc.constantFrom(200, 201, 204, 206, 301, 400, 401, 403, 404, 409, 422, 429, 500, 503), json: anyJson }),
  fc.record({ status: fc.integer({ min: 200, max: 599 }), text: fc.string({ unit: 'binary' }) }),
  fc.record({ kind: fc.constant('raw' as const), text: fc.string() }),
  fc.record({ kind: fc.constant('cut' as const), text: fc.json() }),
  fc.constant({ kind: 'reset' as const }),
);

test('whatever a server answers, every call ends in a value or in a ControllerError of the forge without the token', async () => {
  let answers: readonly Scripted[] = [{ status: 500 }];
  const { forge, lines } = await forgejoUnderTest((_, nth) => answers[nth % answers.length] ?? { status: 500 });
  const calls = [
    () => forge.jobs(),
    () => forge.registrations(),
    () => forge.registration(7),
    () => forge.register('j7', 'ours'),
    () => forge.unregister(7),
    () => forge.check(),
  ];
  await fc.assert(
    fc.asyncProperty(fc.array(anyAnswer, { minLength: 1, maxLength: 3 }), fc.constantFrom(...calls), async (drawn, call) => {
      answers = drawn;
      const error: unknown = await call().then(
        () => undefined,
        (reason: unknown) => reason,
      );
      if (error === undefined) return;
      expect(error).toBeInstanceOf(ControllerError);
      expect((error as ControllerError).code).toMatch(/^FORGE_/);
      expect((error as ControllerError).details).toMatchObject({ method: expect.any(String), path: expect.stringContaining('/api/v1/') });
      expect(wholeTextOf(error)).not.toContain(secretToken);
    }),
    { numRuns: 300 },
  );
  expect(lines.join('')).not.toContain(secretToken);
}, 30_000);
