// Promises the API in process: what /health and /status say, what everything else is answered with, and that no secret gets out.

import { describe, expect, test } from 'vitest';
import type { Snapshot } from '../../src/core/snapshot.ts';
import { ControllerError } from '../../src/errors.ts';
import { createRedactor } from '../../src/log.ts';
import { healthSchema, problemSchema, statusSchema } from '../../src/http/wire.ts';
import { anApi, reconcilingOf } from '../support/api.ts';
import { busy, now, quiet, rememberingLog, startedAt } from '../support/snapshot-fixture.ts';

function appOf(
  snapshot: Snapshot | (() => Snapshot),
  host = '127.0.0.1',
): ReturnType<typeof anApi> & { lines: ReturnType<typeof rememberingLog>['lines'] } {
  const log = rememberingLog();
  const read = typeof snapshot === 'function' ? snapshot : () => snapshot;
  return Object.assign(anApi({ reconciler: reconcilingOf(read), host, log }), {
    lines: log.lines,
  });
}

async function healthFor(
  snapshot: Snapshot,
): Promise<{ readonly status: number; readonly reasons: readonly string[]; readonly starting: boolean }> {
  const response = await appOf(snapshot).request('/health');
  const health = healthSchema.strict().parse(await response.json());
  expect(health.status).toBe(response.status === 200 ? 'ok' : 'stale');
  return { status: response.status, reasons: health.reasons, starting: health.starting };
}

const [forge] = quiet.forges;
const withForge = (change: Partial<Snapshot['forges'][number]>): Snapshot => ({
  ...quiet,
  forges: [{ ...forge, ...change } as Snapshot['forges'][number]],
});
const { lastGoodPollAt: _poll, lastPollMs: _ms, version: _version, ...unseen } = { ...forge } as Snapshot['forges'][number];
const { tickAt: _tick, tickMs: _tickMs, ...unticked } = quiet;

describe('/health', () => {
  test('it is 200 and ok while every forge, the host and the tick are fresh', async () => {
    expect(await healthFor(quiet)).toEqual({ status: 200, reasons: [], starting: false });
  });

  test('it is 503 with a sentence when a forge was not polled well for 30 s', async () => {
    expect((await healthFor(withForge({ lastGoodPollAt: now - 30_000 }))).status).toBe(200);
    const error = { code: 'FORGE_UNREACHABLE', message: 'connection refused', since: now - 31_000 };
    expect(await healthFor(withForge({ lastGoodPollAt: now - 31_000, error }))).toMatchObject({
      status: 503,
      reasons: ['forge forge was last polled well 31 s ago; at most 30 s are right: connection refused (FORGE_UNREACHABLE)'],
    });
  });

  test('a forge that is polled rarely, or answers slowly, has more time', async () => {
    expect((await healthFor(withForge({ name: 'slow', lastGoodPollAt: now - 300_000 }))).status).toBe(200);
    expect((await healthFor(withForge({ name: 'slow', lastGoodPollAt: now - 301_000 }))).status).toBe(503);
    expect((await healthFor(withForge({ lastPollMs: 2_000, lastGoodPollAt: now - 120_000 }))).status).toBe(200);
    // One that is not polled, twice the time after which it is asked to be safe.
    expect((await healthFor(withForge({ name: 'slow', unpolled: true, lastGoodPollAt: now - 60_000 }))).status).toBe(200);
    expect((await healthFor(withForge({ name: 'slow', unpolled: true, lastGoodPollAt: now - 61_000 }))).status).toBe(503);
  });

  test('an error of a forge that was polled well a moment ago is not staleness', async () => {
    const error = { code: 'FORGE_UNREACHABLE', message: 'x', since: now - 100 };
    expect((await healthFor(withForge({ error }))).status).toBe(200);
  });

  test('a forge whose token is yet to come is told to wait for it, and where it has to be put', async () => {
    const message =
      'The token file of forge "forge" (/run/agenix/t) still holds the placeholder PENDING-...: put a real access token into it.';
    const waiting = { ...unseen, error: { code: 'FORGE_UNAUTHORIZED', message, since: startedAt } };
    const { status, reasons } = await healthFor({ ...quiet, startedAt, forges: [waiting] });
    expect([status, reasons]).toEqual([
      503,
      [expect.stringContaining('still holds the placeholder PENDING-...: put a real access token into it')],
    ]);
    expect(reasons[0]).toContain('/run/agenix/t');
  });

  test('right after the start, what has not been seen yet is no reason', async () => {
    const fresh: Snapshot = { ...unticked, startedAt: now - 5_000, ticks: 0, forges: [unseen] };
    expect(await healthFor(fresh)).toEqual({ status: 200, reasons: [], starting: true });
    const { status, reasons, starting } = await healthFor({ ...fresh, startedAt });
    expect({ status, starting }).toEqual({ status: 503, starting: false });
    expect(reasons).toEqual([
      'forge forge has not answered since the start 600 s ago; at most 30 s are right',
      'the first look at the world has not ended for 600 s',
    ]);
  });

  test('an unreadable host and a loop that hangs are reasons', async () => {
    const error = { code: 'DRIVER_FAILED', message: 'no bus', since: now - 2_000 };
    expect((await healthFor({ ...quiet, host: { machines: 0, error } })).reasons).toEqual([
      'the host cannot be read since 2 s: no bus (DRIVER_FAILED)',
    ]);
    expect((await healthFor({ ...quiet, tickAt: now - 31_000 })).reasons).toEqual([
      'the last look at the world was 31 s ago; at most 30 s are right',
    ]);
  });

  test('a clock that was set back makes nothing stale', async () => {
    expect((await healthFor({ ...withForge({ lastGoodPollAt: now + 3_600_000 }), tickAt: now + 3_600_000 })).status).toBe(200);
  });
});

describe('/status', () => {
  test('of very many waiting jobs it shows the first thousand, and says how many more there are', async () => {
    const [denial] = busy.denials;
    if (denial === undefined) throw new Error('the busy picture has no denial');
    const response = await appOf({ ...busy, denials: Array.from({ length: 20_000 }, () => denial) }).request('/status');
    const text = await response.text();
    expect(text.length).toBeLessThan(2_000_000);
    const status = statusSchema.parse(JSON.parse(text));
    expect([status.waiting_jobs.length, status.waiting_jobs_left_out]).toEqual([1_000, 19_000]);
  });

  test('what a workflow calls its jobs cannot play with the terminal of who reads the answer, and is all there', async () => {
    const name = 'a\u001b[2J\u009b2J\u007f\u202eci\u2028\u{e0041}\ud800字';
    const denials = busy.denials.map((denial) => ({ ...denial, job: { ...denial.job, name }, sentence: name }));
    const text = await (await appOf({ ...busy, denials }).request('/status')).text();
    expect(text).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/u);
    expect(text).toContain('字');
    expect(statusSchema.parse(JSON.parse(text)).waiting_jobs[0]).toMatchObject({ name, sentence: name });
  });

  test('it has the shape of the ancestor', async () => {
    const status = (await (await appOf(busy).request('/status')).json()) as Record<string, unknown>;
    expect(status).toMatchObject({ max_concurrent: 7, poll_interval_seconds: 1, job_timeout_seconds: 7200 });
    expect(status['active_containers']).toEqual([
      { name: 'j0000041abc', job_id: 41, running_seconds: 90, forge: 'forge', profile: 'default', phase: 'busy' },
    ]);
  });

  test.each([
    ['quiet', quiet],
    ['busy', busy],
    ['not yet seen', { ...unticked, forges: [unseen] }],
  ])('a %s picture is answered exactly as the schema says, with nothing beside it', async (_, snapshot) => {
    const response = await appOf(snapshot).request('/status');
    expect(response.headers.get('content-type')).toContain('application/json');
    const json: unknown = await response.json();
    expect(statusSchema.parse(json)).toEqual(json);
  });

  test('it says why jobs wait, what the forges said last, and what is left over', async () => {
    const status = statusSchema.parse(await (await appOf(busy).request('/status')).json());
    expect(status.waiting_jobs.map(({ job_id, reason, position }) => [job_id, reason, position])).toEqual([
      [43, 'unmatched', null],
      [44, 'capacity', 1],
    ]);
    expect(status.waiting_jobs[0]?.sentence).toContain('is in no profile');
    expect(status.forges[0]).toMatchObject({
      scope: 'repository o/n',
      last_good_poll: new Date(now - 700).toISOString(),
      poll_ms: 4,
      error: null,
    });
    expect(status.runners[0]).toMatchObject({
      scheduled_at: new Date(now - 95_000).toISOString(),
      stop: { reason: 'job-timeout' },
      attempts: 2,
      last_error: { code: 'DRIVER_FAILED' },
    });
    expect(status.runners[1]).toMatchObject({ phase: 'launching', machine_state: null, assigned_at: null, retry_at: null });
    expect(status.recent[0]).toMatchObject({ id: 'j0000040abc', reason: 'finished', exit: { status: '0' } });
    expect(status).toMatchObject({
      config_hash: '0123456789ab',
      draining: true,
      capacity: { max: 7, used: 2, free: 5, profiles: [{ name: 'default', max: 5 }] },
      leftovers: [{ kind: 'interface', name: 'fr-j0000039abc' }],
      quarantined: ['j0000038abc.json'],
    });
  });

  test('I7 no credential gets out, even if one stands in the picture by mistake', async () => {
    const token = 'f'.repeat(40);
    const credentials = { id: 1, uuid: 'c0ffee00-0000-4000-8000-000000000000', token };
    const leaky = {
      ...busy,
      credentials,
      runners: busy.runners.map((runner) => ({ ...runner, credentials })),
      forges: busy.forges.map((view) => ({ ...view, credentials, token })),
      ended: busy.ended.map((view) => ({ ...view, credentials })),
    };
    for (const path of ['/status', '/health', '/nothing']) {
      const text = await (await appOf(leaky).request(path)).text();
      expect(text).not.toContain(token);
      expect(text).not.toContain(credentials.uuid);
    }
  });
});

describe('messages of errors', () => {
  test('I7 a concealed value in an error message is masked in /status, /health and problems', async () => {
    const token = 'f'.repeat(40);
    const redactor = createRedactor();
    redactor.conceal(token);
    const error = { code: 'DRIVER_FAILED', message: `said ${token}`, since: startedAt };
    const leaky: Snapshot = {
      ...busy,
      host: { machines: 0, error },
      forges: busy.forges.map((view) => ({ ...view, lastGoodPollAt: startedAt, error })),
      runners: busy.runners.map((view) => ({ ...view, lastError: error })),
      denials: busy.denials.map((denial) => ({ ...denial, reason: 'host-unknown', sentence: `cannot be listed: said ${token}` })),
    };
    const mask = redactor.text;
    const app = anApi({ mask, reconciler: reconcilingOf(() => leaky) });
    const failing = anApi({
      mask,
      reconciler: reconcilingOf(() => {
        throw new ControllerError('STORE_FAILED', `said ${token}`);
      }),
    });
    for (const answer of [app.request('/status'), app.request('/health'), app.request('/api/v1/jobs'), failing.request('/status')]) {
      const text = await (await answer).text();
      expect(text).toContain('said [secret]');
      expect(text).not.toContain(token);
    }
  });
});

describe('everything else', () => {
  test.each([
    ['GET', '/', 404, 'NOT_FOUND'],
    ['GET', '/status/', 404, 'NOT_FOUND'],
    ['GET', '/../etc/passwd', 404, 'NOT_FOUND'],
    ['POST', '/status', 405, 'METHOD_NOT_ALLOWED'],
    ['DELETE', '/health', 405, 'METHOD_NOT_ALLOWED'],
    ['OPTIONS', '/status', 405, 'METHOD_NOT_ALLOWED'],
    ['POST', '/nothing', 404, 'NOT_FOUND'],
  ])('%s %s is %d %s as problem+json', async (method, path, status, code) => {
    const response = await appOf(quiet).request(path, { method });
    expect(response.status).toBe(status);
    expect(response.headers.get('content-type')).toBe('application/problem+json');
    expect(response.headers.get('allow')).toBe(status === 405 ? 'GET, HEAD' : null);
    expect(problemSchema.parse(await response.json())).toMatchObject({ status, code });
  });

  test('HEAD is answered like GET without a body', async () => {
    const response = await appOf(quiet).request('/health', { method: 'HEAD' });
    expect(response.status).toBe(200);
    expect(await response.text()).toBe('');
  });

  test('every answer forbids caching, framing and sniffing, and allows no other origin', async () => {
    for (const path of ['/health', '/status', '/nothing']) {
      const { headers } = await appOf(quiet).request(path, { headers: { origin: 'https://evil.example.org' } });
      expect(headers.get('cache-control')).toBe('no-store');
      expect(headers.get('x-content-type-options')).toBe('nosniff');
      expect(headers.get('content-security-policy')).toContain("default-src 'none'");
      expect(headers.get('x-frame-options')).toBe('DENY');
      expect(headers.get('access-control-allow-origin')).toBeNull();
    }
  });

  test.each(['localhost', 'LOCALHOST:8080', '127.0.0.1', '127.0.0.1:1', '[::1]', '[::1]:8080'])(
    'the Host header %s is answered',
    async (host) => {
      expect((await appOf(quiet).request('/health', { headers: { host } })).status).toBe(200);
    },
  );

  test.each(['evil.example.org', 'localhost.evil.example.org', '127.0.0.1.evil.example.org:80', '169.254.169.254', ''])(
    'the Host header %j, which a rebound name would send, is refused on loopback',
    async (host) => {
      const response = await appOf(busy).request('/status', { headers: { host } });
      expect(response.status).toBe(421);
      expect(problemSchema.parse(await response.json()).code).toBe('HOST_REFUSED');
    },
  );

  test('an error of ours keeps its code and status; a bug shows nothing of itself and is logged', async () => {
    const ours = appOf(() => {
      throw new ControllerError('STORE_FAILED', 'The state directory cannot be read.');
    });
    const told = await ours.request('/status');
    expect(told.status).toBe(500);
    expect(problemSchema.parse(await told.json())).toMatchObject({ code: 'STORE_FAILED', detail: 'The state directory cannot be read.' });

    const bug = appOf(() => {
      throw new TypeError('internals');
    });
    const response = await bug.request('/status');
    expect(response.status).toBe(500);
    const text = await response.text();
    expect(text).toContain('INTERNAL');
    expect(text).not.toContain('internals');
    expect(bug.lines.map(([level, event]) => [level, event])).toEqual([['error', 'http']]);
  });
});
