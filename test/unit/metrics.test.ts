// What /metrics says: each number of the snapshot and of the facts under its name, and never more series than the configuration allows.

import { describe, expect, test } from 'vitest';
import type { Clock } from '../../src/clock.ts';
import type { Snapshot } from '../../src/core/snapshot.ts';
import type { Fact } from '../../src/events.ts';
import { createMetrics, type Metrics } from '../../src/metrics/metrics.ts';
import { busy, fixedClock, now, quiet } from '../support/snapshot-fixture.ts';
import { aFact, linesOf, samplesOf } from '../support/metrics.ts';

type Scene = Metrics & { wait(ms: number): void };

function aScene(perRepository = false): Scene {
  let at = 0;
  return { ...createMetrics({ now: () => at, perRepository }), wait: (ms) => void (at += ms) };
}

async function textOf(metrics: Metrics, snapshot: Snapshot = quiet, clock: Clock = fixedClock): Promise<string> {
  return (await metrics.render(snapshot, clock)).text;
}

async function afterFacts(...facts: readonly Fact[]): Promise<(name: string) => readonly string[]> {
  const metrics = aScene();
  for (const fact of facts) metrics.take(fact);
  const text = await textOf(metrics);
  return (name) => linesOf(text, name);
}

const hostileText = '"} 1\nevil{x="\u0000\u202E\\';

describe('the snapshot', () => {
  test.each([
    ['jobs_waiting', ['jobs_waiting{reason="unmatched"} 1', 'jobs_waiting{reason="capacity"} 1']],
    ['runners', ['runners{phase="launching"} 1', 'runners{phase="busy"} 1', 'runners{phase="stopping"} 0']],
    ['slots', ['slots{state="total"} 7', 'slots{state="used"} 2', 'slots{state="free"} 5']],
    ['profile_runners', ['profile_runners{profile="default"} 2']],
    ['machines', ['machines 1']],
    ['draining', ['draining 1']],
    ['leftovers', ['leftovers 1']],
    ['quarantined_records', ['quarantined_records 1']],
    ['jobs_resting', ['jobs_resting 1']],
    ['tick_age_seconds', ['tick_age_seconds 0.5']],
    ['tick_duration_seconds', ['tick_duration_seconds 0.003']],
    ['forge_up', ['forge_up{forge="forge"} 1']],
    ['forge_poll_age_seconds', ['forge_poll_age_seconds{forge="forge"} 0.7']],
    ['forge_poll_duration_seconds', ['forge_poll_duration_seconds{forge="forge"} 0.004']],
    ['host_up', ['host_up 1']],
    ['host_full', ['host_full 1']],
    ['host_free_bytes', ['host_free_bytes{path="/state"} 5']],
    ['host_free_inodes', ['host_free_inodes{path="/state"} 7']],
    ['host_free_floor_bytes', ['host_free_floor_bytes 1024']],
    ['build_info', [`build_info{version="0.1.0",node="${process.version}",controller_id="ci-1"} 1`]],
    ['process_start_time_seconds', [`process_start_time_seconds ${(now - 600_000) / 1000}`]],
  ] as const)('shows %s', async (name, lines) => {
    const snapshot = { ...busy, host: { ...busy.host, floor: { bytes: 1024, inodes: 1 } } };
    expect(linesOf(await textOf(aScene(), snapshot), name)).toEqual(expect.arrayContaining([...lines]));
  });

  test('shows a forge that refuses the token as down, by code, with the age of its last answer', async () => {
    const [forge] = quiet.forges;
    const error = { code: 'FORGE_UNAUTHORIZED', message: 'The token is refused.', since: now - 60_000 };
    const text = await textOf(aScene(), {
      ...quiet,
      forges: [{ ...(forge as NonNullable<typeof forge>), lastGoodPollAt: now - 60_000, error }],
    });
    expect(linesOf(text, 'forge_up')).toEqual(['forge_up{forge="forge"} 0']);
    expect(linesOf(text, 'forge_error')).toEqual(['forge_error{forge="forge",code="FORGE_UNAUTHORIZED"} 1']);
    expect(linesOf(text, 'forge_poll_age_seconds')).toEqual(['forge_poll_age_seconds{forge="forge"} 60']);
    expect(text).not.toContain('refused.');
  });

  test('shows a forge that has not answered yet as down since the start', async () => {
    const [forge] = quiet.forges;
    const { lastGoodPollAt: _at, lastPollMs: _ms, ...silent } = forge as NonNullable<typeof forge>;
    const text = await textOf(aScene(), { ...quiet, forges: [silent] });
    expect(linesOf(text, 'forge_up')).toEqual(['forge_up{forge="forge"} 0']);
    expect(linesOf(text, 'forge_poll_age_seconds')).toEqual(['forge_poll_age_seconds{forge="forge"} 600']);
    expect(linesOf(text, 'forge_poll_duration_seconds')).toEqual([]);
  });

  test('what has gone from the picture has gone from the answer', async () => {
    const metrics = aScene();
    const error = { code: 'DRIVER_FAILED', message: 'x', since: now };
    await textOf(metrics, { ...busy, forges: busy.forges.map((forge) => ({ ...forge, error })), host: { ...busy.host, error } });
    const text = await textOf(metrics, { ...quiet, forges: [], capacity: { max: 1, used: 3, profiles: [] } });
    for (const name of ['forge_up', 'forge_error', 'forge_jobs', 'profile_runners', 'host_free_bytes'])
      expect(linesOf(text, name)).toEqual([]);
    expect(linesOf(text, 'slots')).toContain('slots{state="free"} 0');
    expect(linesOf(text, 'host_up')).toEqual(['host_up 1']);
  });

  test('says for each reason how long the job that waited longest has been seen waiting', async () => {
    const metrics = aScene();
    metrics.take(aFact('deny', { job: 44, handle: busy.denials[1]?.job.handle }));
    metrics.wait(90_000);
    metrics.take(aFact('deny', { job: 44, handle: busy.denials[1]?.job.handle, reason: 'another' }));
    const lines = linesOf(await textOf(metrics, busy), 'jobs_waiting_longest_seconds');
    expect(lines).toContain('jobs_waiting_longest_seconds{reason="capacity"} 90');
    expect(lines).toContain('jobs_waiting_longest_seconds{reason="unmatched"} 0');
  });
});

describe('the facts', () => {
  test('of a start fill a histogram for each phase, in seconds', async () => {
    const told = { afterMs: 61, recordedMs: 3, startedMs: 20, registeredMs: 8, assignedMs: 30 };
    const lines = (await afterFacts(aFact('assign', told), aFact('picked', { pickMs: 1_200 })))('start_phase_seconds');
    for (const [phase, sum] of [
      ['record', 0.003],
      ['start', 0.02],
      ['register', 0.008],
      ['assign', 0.03],
      ['pick', 1.2],
    ] as const) {
      expect(lines).toContain(`start_phase_seconds_sum{phase="${phase}"} ${sum}`);
      expect(lines).toContain(`start_phase_seconds_count{phase="${phase}"} 1`);
    }
    expect(lines).toContain('start_phase_seconds_bucket{le="0.01",phase="start"} 0');
    expect(lines).toContain('start_phase_seconds_bucket{le="0.025",phase="start"} 1');
  });

  test('of an end count it by its reason, with how long job and clean-up took', async () => {
    const lines = await afterFacts(
      aFact('finalize', { reason: 'finished', ranMs: 61_000, cleanMs: 40 }),
      aFact('finalize', { reason: 'machine-failed', cleanMs: 2_000 }),
      aFact('finalize', { reason: hostileText }),
    );
    expect(lines('runners_ended_total')).toEqual(
      expect.arrayContaining(['finished', 'machine-failed', 'other'].map((reason) => `runners_ended_total{reason="${reason}"} 1`)),
    );
    expect(lines('runners_ended_total')).toContain('runners_ended_total{reason="unpicked"} 0');
    expect(lines('job_duration_seconds')).toContain('job_duration_seconds_bucket{le="60"} 0');
    expect(lines('job_duration_seconds')).toContain('job_duration_seconds_bucket{le="120"} 1');
    expect(lines('job_duration_seconds')).toContain('job_duration_seconds_count 1');
    expect(lines('cleanup_seconds')).toContain('cleanup_seconds_sum 2.04');
  });

  test('of reports, sweeps, retries and levels are counted', async () => {
    const lines = await afterFacts(
      aFact('report', {}, 'warn'),
      aFact('sweep', { registration: 5 }),
      aFact('sweep'),
      aFact('retry', { action: 'launch' }, 'warn'),
      aFact('retry', { action: hostileText }, 'warn'),
      aFact('host-error', {}, 'error'),
    );
    expect(lines('reports_total')).toEqual(['reports_total 1']);
    expect(lines('sweeps_total')).toEqual(['sweeps_total{kind="machine"} 1', 'sweeps_total{kind="registration"} 1']);
    expect(lines('retries_total')).toContain('retries_total{action="launch"} 1');
    expect(lines('retries_total')).toContain('retries_total{action="other"} 1');
    expect(lines('log_lines_total')).toEqual(
      ['info', 'warn', 'error'].map((level, at) => `log_lines_total{level="${level}"} ${[2, 3, 1][at]}`),
    );
  });

  test('that are no durations are not counted as any', async () => {
    const odd = ['1', -1, Number.NaN, Number.POSITIVE_INFINITY, null, {}];
    const lines = await afterFacts(...odd.map((ms) => aFact('finalize', { reason: 'finished', ranMs: ms, cleanMs: ms })));
    expect(lines('job_duration_seconds')).toContain('job_duration_seconds_count 0');
    expect(lines('cleanup_seconds')).toContain('cleanup_seconds_count 0');
    expect(lines('runners_ended_total')).toContain('runners_ended_total{reason="finished"} 6');
  });
});

/** Sum and count. */
async function waitsOf(metrics: Metrics): Promise<readonly string[]> {
  return linesOf(await textOf(metrics), 'queue_wait_seconds').slice(-2);
}

describe('the wait of a job', () => {
  test('is counted from when it was first seen until its machine had it, when the job came to that', async () => {
    const metrics = aScene();
    metrics.take(aFact('deny', { reason: 'capacity' }));
    metrics.wait(7_000);
    metrics.take(aFact('assign', { afterMs: 60 }));
    metrics.wait(1_000);
    expect(await waitsOf(metrics)).toEqual(['queue_wait_seconds_sum 0', 'queue_wait_seconds_count 0']);
    metrics.take(aFact('picked'));
    metrics.take(aFact('finalize', { reason: 'finished', ranMs: 5 }));
    expect(await waitsOf(metrics)).toEqual(['queue_wait_seconds_sum 7', 'queue_wait_seconds_count 1']);
  });

  test('of one that never had to wait is the time of its start', async () => {
    const metrics = aScene();
    metrics.take(aFact('assign', { afterMs: 60 }));
    metrics.take(aFact('finalize', { reason: 'finished', ranMs: 500 }));
    expect(await waitsOf(metrics)).toEqual(['queue_wait_seconds_sum 0.06', 'queue_wait_seconds_count 1']);
  });

  test('goes on over machines that the job did not come to', async () => {
    const metrics = aScene();
    for (const seconds of [10, 20]) {
      metrics.take(aFact('assign', { afterMs: 0 }));
      metrics.wait(seconds * 1_000);
      metrics.take(aFact('finalize', { reason: 'unpicked' }));
    }
    metrics.take(aFact('assign', { afterMs: 0 }));
    metrics.take(aFact('picked'));
    expect(await waitsOf(metrics)).toEqual(['queue_wait_seconds_sum 30', 'queue_wait_seconds_count 1']);
  });
});

describe('what was asked and answered', () => {
  test('is counted by forge, operation and status, odd numbers in classes', async () => {
    const metrics = aScene();
    for (const status of [200, 200, 418, 999, undefined]) metrics.forgeAnswered('forge', 'list-jobs', status);
    metrics.requestAnswered('/status', 200);
    const text = await textOf(metrics);
    expect(linesOf(text, 'forge_requests_total')).toEqual(
      ['200"} 2', '4xx"} 1', '9xx"} 1', 'none"} 1'].map((end) => `forge_requests_total{forge="forge",operation="list-jobs",code="${end}`),
    );
    expect(linesOf(text, 'http_requests_total')).toEqual(['http_requests_total{route="/status",code="200"} 1']);
  });
});

describe('repositories', () => {
  const used = { reason: 'finished', ranMs: 5_000, exit: { cpuMs: 2_500, memoryPeakBytes: 1_000 } };

  test('are not spoken of unless that is asked for, then by number with what their jobs used', async () => {
    const metrics = aScene();
    metrics.take(aFact('finalize', used));
    expect(await textOf(metrics)).not.toContain('repository_');
    metrics.configure({ perRepository: true });
    metrics.take(aFact('finalize', used));
    metrics.take(aFact('finalize', { reason: 'finished', ranMs: 1_000, exit: { memoryPeakBytes: 300 } }));
    const text = await textOf(metrics);
    const place = '{forge="forge",repository="9"}';
    expect(linesOf(text, 'repository_runners_total')).toEqual([`repository_runners_total${place} 2`]);
    expect(linesOf(text, 'repository_job_seconds_total')).toEqual([`repository_job_seconds_total${place} 6`]);
    expect(linesOf(text, 'repository_cpu_seconds_total')).toEqual([`repository_cpu_seconds_total${place} 2.5`]);
    expect(linesOf(text, 'repository_memory_peak_bytes')).toEqual([`repository_memory_peak_bytes${place} 1000`]);
  });

  test('beyond the hundredth share one series', async () => {
    const metrics = aScene(true);
    for (let repository = 1; repository <= 500; repository += 1) metrics.take(aFact('finalize', { ...used, repository }));
    metrics.take(aFact('finalize', { ...used, repository: 1 }));
    const lines = linesOf(await textOf(metrics), 'repository_runners_total');
    expect(lines).toHaveLength(101);
    expect(lines).toContain('repository_runners_total{forge="forge",repository="1"} 2');
    expect(lines).toContain('repository_runners_total{forge="other",repository="other"} 400');
  });
});

test('ten thousand hostile jobs make no series, and nothing of theirs is in the text', async () => {
  const metrics = aScene(true);
  const before = samplesOf(await textOf(metrics)).length;
  const [denial] = busy.denials;
  const [runner] = busy.runners;
  const [ended] = busy.ended;
  if (denial === undefined || runner === undefined || ended === undefined) throw new Error('the busy picture is not busy');
  const evil = Array.from({ length: 10_000 }, (_, index) => `${hostileText} evil-${index}`);
  for (const [index, name] of evil.entries()) {
    const job = { job: index, handle: name, name, labels: [name], repository: index, reason: name, code: name, action: name, phase: name };
    for (const event of ['deny', 'launch', 'assign', 'picked', 'retry', 'stop', 'report', 'finalize', 'sweep', 'forge-error'] as const)
      metrics.take(aFact(event, { ...job, runner: name, profile: name, exit: { code: name } }));
  }
  const jobOf = (name: string, id: number) => ({ ...denial.job, id, handle: name, name, labels: [name] });
  const text = await textOf(metrics, {
    ...busy,
    denials: evil.map((name, id) => ({ ...denial, job: jobOf(name, id), sentence: name })),
    runners: evil.map((name, id) => ({ ...runner, id: name, job: jobOf(name, id) })),
    ended: evil.map((name) => ({ ...ended, id: name })),
    leftovers: evil.map((name) => ({ kind: name, name })),
    quarantined: evil,
  });
  expect(text).not.toContain('evil');
  // What may be new: `other` beside each list of known words, one series for each repository up to the cap, the forge and the host.
  expect(samplesOf(text).length).toBeLessThan(before + 4 * 101 + 20);
  expect(linesOf(text, 'jobs_waiting')).toContain('jobs_waiting{reason="unmatched"} 10000');
});
