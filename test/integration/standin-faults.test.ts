// Promises that every fault of the stand-in Forgejo happens on the wire as it says, to the requests that were meant and as often as was
// said, and that a lost reply has had its effect.

import { afterEach, beforeEach, expect, test } from 'vitest';
import { startForgejo, type Fault, type ForgejoStandIn } from '../support/forgejo/forgejo.ts';
import { guestRunner, rest } from '../support/forgejo-guest.ts';

let forgejo: ForgejoStandIn;
beforeEach(async () => {
  forgejo = await startForgejo();
  await forgejo.control.addRepository({ repository: 'root1/demo' });
});
afterEach(() => forgejo.close());

const scope = '/repos/root1/demo';
const list = () => rest(forgejo, 'GET', `${scope}/actions/runners`);
const register = () => rest(forgejo, 'POST', `${scope}/actions/runners`, { name: 'x', ephemeral: true });
const once = (route: string, fault: Fault) => forgejo.control.addFault({ route, fault, times: 1 });

test('latency holds the answer back', async () => {
  await once('GET *actions/runners', { kind: 'latency', ms: 40 });
  const before = performance.now();
  expect((await list()).status).toBe(200);
  expect(performance.now() - before).toBeGreaterThanOrEqual(39);
});

test('a status before the effect prevents it, after the effect hides it', async () => {
  await once('POST *', { kind: 'status', status: 503, body: 'down', headers: { 'retry-after': '1' } });
  const refused = await register();
  expect([refused.status, refused.text, refused.headers.get('retry-after')]).toEqual([503, 'down', '1']);
  expect(await forgejo.control.registrations()).toHaveLength(0);
  await once('POST *', { kind: 'status', status: 500, when: 'after' });
  expect((await register()).status).toBe(500);
  expect(await forgejo.control.registrations()).toHaveLength(1);
});

test('a connection cut before the effect leaves nothing, one cut after it leaves the effect', async () => {
  await once('POST *', { kind: 'cut', when: 'before' });
  await expect(register()).rejects.toThrow('fetch failed');
  expect(await forgejo.control.registrations()).toHaveLength(0);
  await once('POST *', { kind: 'cut', when: 'after' });
  await expect(register()).rejects.toThrow('fetch failed');
  expect(await forgejo.control.registrations()).toHaveLength(1);
});

test('a lost reply to a fetch has given the task away, and the same request key brings it back', async () => {
  const { handle, jobId } = await forgejo.control.queueJob({ repository: 'root1/demo', labels: ['docker'] });
  const runner = await guestRunner(forgejo, { scope, labels: ['docker'], requestKey: 'k' });
  await once('* *RunnerService/FetchSingleTask', { kind: 'cut', when: 'after' });
  await expect(runner.fetchSingleTask({ handle })).rejects.toThrow(/aborted|hang up|unavailable|terminated/);
  expect((await forgejo.control.job(jobId)).status).toBe('running');
  expect((await runner.fetchSingleTask({ handle })).task).toBeDefined();
});

test('a request that hangs is never answered, though it has its effect', async () => {
  await once('POST *', { kind: 'hang' });
  const pending = register();
  await forgejo.control.untilRegistrations(1);
  const winner = await Promise.race([pending, list().then(() => 'nothing')]);
  expect(winner).toBe('nothing');
  await forgejo.close();
  await expect(pending).rejects.toThrow('fetch failed');
  forgejo = await startForgejo();
});

test('a truncated body ends before its announced length', async () => {
  await register();
  await once('GET *', { kind: 'truncate' });
  await expect(list()).rejects.toThrow('terminated');
});

test('a huge body is valid JSON of at least the size that was asked for', async () => {
  await once('GET *', { kind: 'huge', bytes: 1_000_000 });
  const { status, text, json } = await list();
  expect([status, text.length >= 1_000_000, Array.isArray(json)]).toEqual([200, true, true]);
});

test('a throttled request is told when to come again', async () => {
  await once('GET *', { kind: 'throttle', retryAfter: '7' });
  const { status, headers } = await list();
  expect([status, headers.get('retry-after')]).toEqual([429, '7']);
});

test('wrong JSON comes with the true status and headers', async () => {
  await once('GET *', { kind: 'wrong-json', text: '{"jobs":[]}' });
  const { status, text, headers } = await list();
  expect([status, text, headers.get('x-total-count')]).toEqual([200, '{"jobs":[]}', '0']);
});

test.each([301, 307] as const)('a redirect %i leads elsewhere and has no effect', async (status) => {
  await once('POST *', { kind: 'redirect', status, location: '/elsewhere' });
  const reply = await register();
  expect([reply.status, reply.headers.get('location')]).toEqual([status, '/elsewhere']);
  expect(await forgejo.control.registrations()).toHaveLength(0);
});

test('a fault strikes only its route, as often as said, and not after it was cleared', async () => {
  await forgejo.control.addFault({ route: 'GET *runners', fault: { kind: 'status', status: 500 }, times: 2 });
  await forgejo.control.addFault({ route: 'GET *jobs', fault: { kind: 'status', status: 502 } });
  expect([(await list()).status, (await list()).status, (await list()).status]).toEqual([500, 500, 200]);
  expect((await rest(forgejo, 'GET', `${scope}/actions/runners/jobs`)).status).toBe(502);
  expect(await forgejo.control.struck()).toEqual([2, 1]);
  await forgejo.control.clearFaults();
  expect((await rest(forgejo, 'GET', `${scope}/actions/runners/jobs`)).status).toBe(200);
});

const strikes = async (seed: number): Promise<string> => {
  await forgejo.control.clearFaults();
  await forgejo.control.addFault({ route: '*', fault: { kind: 'status', status: 500 }, probability: 0.5, seed });
  const states: number[] = [];
  for (let count = 0; count < 16; count += 1) states.push((await list()).status);
  return states.join(' ');
};

test('the same seed strikes the same requests', async () => {
  const first = await strikes(7);
  expect(await strikes(7)).toBe(first);
  expect(await strikes(8)).not.toBe(first);
  expect(first).toContain('200');
  expect(first).toContain('500');
});

test('control is spared by faults and by counting', async () => {
  await forgejo.control.addFault({ route: '*', fault: { kind: 'cut', when: 'before' } });
  const response = await fetch(new URL('requests', forgejo.controlUrl), { method: 'POST' });
  expect(await response.json()).toEqual({});
});
