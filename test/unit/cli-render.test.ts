// Promises how answers look on a terminal: exact tables, durations, sizes, colours, and nothing that a terminal would obey.

import { describe, expect, test } from 'vitest';
import { explainLines, jobLines, planLines } from '../../src/cli/jobs.ts';
import { between, bytesOf, durationOf, clip, line, paint, table, wrap } from '../../src/cli/render.ts';

const pipe = { color: false };

describe('a table', () => {
  test('has a heading and columns as wide as what stands in them', () => {
    expect(
      table(
        pipe,
        ['JOB', 'NAME', 'WHY'],
        [
          ['forge 1', 'build', 'it waits'],
          ['f 22', null, 3],
        ],
      ),
    ).toEqual(['JOB      NAME   WHY', 'forge 1  build  it waits', 'f 22     -      3']);
  });

  test('without rows is nothing', () => {
    expect(table(pipe, ['A'], [])).toEqual([]);
  });

  test('wraps its last column into the terminal, and cuts no word that fits', () => {
    const rows = table({ color: false, columns: 36 }, ['JOB', 'WHY'], [['1', 'all seven machines are in use (maxConcurrent)']]);
    expect(rows).toEqual(['JOB  WHY', '1    all seven machines are in use', '     (maxConcurrent)']);
    expect(Math.max(...rows.map((row) => row.length))).toBeLessThanOrEqual(36);
  });

  test('cuts a long name in the middle of the row, and nothing for a pipe in the last column', () => {
    const [, row = ''] = table(pipe, ['NAME', 'WHY'], [['n'.repeat(100), 'w'.repeat(300)]]);
    expect(row).toBe(`${'n'.repeat(39)}…  ${'w'.repeat(300)}`);
  });

  test('counts East Asian characters and emoji as two places, marks as none', () => {
    const rows = table(
      pipe,
      ['A', 'B'],
      [
        ['漢字', 1],
        ['🚀', 2],
        ['e\u0301', 3],
      ],
    );
    expect(rows).toEqual(['A     B', '漢字  1', '🚀    2', 'e\u0301     3']);
  });

  test('colours cells only when it is told to, and measures them without', () => {
    const rows = [[paint('busy', 'good'), 'x']] as const;
    expect(table(pipe, ['PHASE', 'N'], rows)).toEqual(['PHASE  N', 'busy   x']);
    expect(table({ color: true }, ['PHASE', 'N'], rows)).toEqual([
      '\u001b[2mPHASE\u001b[0m  \u001b[2mN\u001b[0m',
      '\u001b[32mbusy\u001b[0m   x',
    ]);
  });
});

test.each([
  ['\u001b[2J\u001b]0;owned\u0007', String.raw`\u001b[2J\u001b]0;owned\u0007`],
  ['a\nb\r\tc', String.raw`a\u000ab\u000d\u0009c`],
  ['\u009b31m', String.raw`\u009b31m`],
  ['\u202egnp.exe\u200b', String.raw`\u202egnp.exe\u200b`],
  ['\ud800', '\\ufffd'],
])('%j is harmless on a terminal', (hostile, shown) => {
  expect(line(pipe, hostile)).toBe(shown);
  expect(line(pipe, paint(hostile, 'bad'))).toBe(shown);
  expect(table(pipe, ['A', 'B'], [[hostile, hostile]])[1]).toBe(`${shown}  ${shown}`);
});

test.each([
  [-5, '0 s'],
  [59_999, '59 s'],
  [60_000, '1 min'],
  [95_000, '1 min 35 s'],
  [3_599_000, '59 min'],
  [3_600_000, '1 h'],
  [11_100_000, '3 h 5 min'],
  [90_000_000, '1 d 1 h'],
  [172_800_000, '2 d'],
])('%i ms are %s', (ms, shown) => {
  expect(durationOf(ms)).toBe(shown);
});

test.each([
  [0, '0 B'],
  [1_023, '1023 B'],
  [1_536, '1.5 KiB'],
  [268_435_456, '256 MiB'],
  [1_610_612_736, '1.5 GiB'],
])('%i bytes are %s', (bytes, shown) => {
  expect(bytesOf(bytes)).toBe(shown);
});

test('a time that is not there has no distance', () => {
  expect(between(null, '2030-01-01T00:00:00.000Z')).toBeNull();
  expect(between('2030-01-01T00:00:00.000Z', '2030-01-01T00:01:00.000Z')).toBe('1 min');
});

test('a word that is longer than the line is cut, and the rest goes on', () => {
  expect(wrap('abcdefgh ij', 3)).toEqual(['abc', 'def', 'gh', 'ij']);
  expect(clip('abcdef', 4)).toBe('abc…');
});

const job = { forge: 'forge', handle: 'h', repository_id: 9, attempt: 1, labels: ['debian'] };
const times = { scheduled_at: '2030-01-01T00:00:00.000Z', assigned_at: '2030-01-01T00:00:01.000Z', picked_at: '2030-01-01T00:00:02.000Z' };

test('jobs are three tables: who waits and why, who runs, who is done and how', () => {
  const runner = {
    profile: 'default',
    dispatched_until: null,
    machine: 'j0000000002',
    slot: 1,
    machine_state: 'running',
    registration_id: 7,
    stop: null,
  };
  const lines = jobLines(pipe, {
    jobs: [
      {
        state: 'waiting',
        ...job,
        job_id: 1,
        job_name: 'deploy',
        reason: 'capacity',
        sentence: 'all 2 machines are in use',
        position: 2,
        estimate: { start_at: '2030-01-01T00:10:05.000Z', ended_jobs: 3, sentence: 'a guess' },
      },
      {
        state: 'running',
        ...job,
        ...runner,
        ...times,
        job_id: 2,
        job_name: 'build',
        runner: 'j0000000002',
        phase: 'busy',
        attempts: 0,
        retry_at: null,
        last_error: null,
      },
      {
        state: 'done',
        ...job,
        ...times,
        job_id: 3,
        job_name: 'test',
        runner: 'j0000000003',
        profile: 'default',
        cleaning_at: '2030-01-01T00:01:01.000Z',
        ended_at: '2030-01-01T00:01:02.000Z',
        reason: 'machine-failed',
        cause: 'killed: memory limit 256 MiB',
        exit: { result: 'oom-kill', code: 'killed', status: 'KILL', memory_peak_bytes: 268_435_456, oom_kills: 1, cpu_seconds: 12.5 },
      },
    ],
    total: { waiting: 1, running: 1, done: 5 },
  });
  expect(lines.join('\n')).toBe(
    `Waiting: 1
JOB      NAME    LABELS  PLACE  START          WHY IT WAITS
forge 1  deploy  debian  2      ~00:10:05 UTC  all 2 machines are in use

Running: 1
JOB      RUNNER       PROFILE  PHASE  PICKED                   NAME
forge 2  j0000000002  default  busy   2030-01-01 00:00:02 UTC  build

Done: 5, 1 of them shown
JOB      RUNNER       ENDED                    START  RAN    CPU     MEMORY   NAME  END
forge 3  j0000000003  2030-01-01 00:01:02 UTC  2 s    1 min  12.5 s  256 MiB  test  killed: memory limit 256 MiB`,
  );
  expect(jobLines(pipe, { jobs: [], total: { waiting: 0, running: 0, done: 0 } })).toEqual(['No such jobs.']);
});

test('labels are explained with the nearest profile and what it lacks', () => {
  const sentence = 'label `gpu` is in no profile; nearest is `default`';
  const asked = { about: 'labels', labels: ['debian', 'gpu'], served_by: [], nearest: 'default', missing: ['gpu'], sentence } as const;
  expect(explainLines(pipe, { ...asked, labels: [...asked.labels], served_by: [], missing: [...asked.missing] })).toEqual([
    'debian, gpu: label `gpu` is in no profile; nearest is `default`',
    'nearest profile: default; missing: gpu',
  ]);
});

test('a plan of nothing says so', () => {
  const plan = {
    at: times.scheduled_at,
    actions: [],
    under_way: [],
    not_started: [],
    not_started_left_out: 0,
    unknown: ['the jobs of forge f: away'],
  };
  expect(planLines(pipe, plan)).toEqual(['Nothing is to be done now.', 'unknown: the jobs of forge f: away']);
});
