// The emergency stop beside a service that runs: the real API over its Unix socket, before a loop over a forge and a host in memory. It tells
// without changing anything, and when it is confirmed the service ends all that it has, and itself.

import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { createServer } from 'node:net';
import { afterEach, beforeEach, expect, onTestFinished, test } from 'vitest';
import { serviceOf, type Service } from '../../src/daemon-beside.ts';
import { aMachine } from '../support/build.ts';
import { answering, type Answering } from '../support/cli-service.ts';
import { createRig, type Rig } from '../support/reconciler-rig.ts';

let rig: Rig;
let api: Answering;
let lines: string[];
const say = (line: string): void => void lines.push(line);
const left = () => [rig.driver.machines.size, rig.store.records.size, rig.forge.rows.length];

beforeEach(async () => {
  lines = [];
  rig = createRig();
  const { reconciler } = rig;
  api = await answering(() => reconciler.snapshot(), {
    drain: (on, by) => reconciler.drain(on, by),
    stop: (id) => reconciler.stop(id),
    preview: (registrations) => reconciler.preview(registrations),
    wake: () => undefined,
  });
  rig.forge.queue(1);
  rig.forge.queue(2, { name: 'build "x"' });
  await rig.step();
});
afterEach(() => api.close());

function asked(over: Partial<{ controllerId: string; socket: string; tokenFile: string }> = {}): Promise<Service | undefined> {
  const { controllerId = 'test', ...way } = over;
  return serviceOf({ controllerId, http: { host: '127.0.0.1', port: Number(new URL(api.url).port), basePath: '', ...way } });
}

/** Each look of the one who waits is a tick of the loop; a drain that is through ends the service. */
const clock = {
  now: () => rig.clock.now(),
  async sleep() {
    await rig.step();
    if (rig.reconciler.snapshot().draining && left().every((count) => count === 0)) await api.close();
  },
};
const end = (service: Service | undefined, ending = new AbortController().signal) =>
  service?.end({ say, clock, patienceMs: 60_000, ending });

test('tells every runner and what no record speaks of, and changes nothing', async () => {
  rig.driver.plant(aMachine('j0000009abc', { slot: 50, state: 'idle' }));
  await rig.forge.register('j0000008abc', 'forgejo-runner-controller test@host');
  const service = await asked({ socket: api.socket });
  await service?.tell(say);
  const said = lines.join('\n');
  for (const word of [': job 1 ("job 1")', 'job 2 ("build \\"x\\"")', 'j0000009abc', 'j0000008abc']) expect(said).toContain(word);
  expect(lines.at(-1)).toContain('2 runners, 1 machine and 1 registration without a record would be ended, and the service with them');
  expect(left()).toEqual([3, 2, 3]);
  expect(rig.reconciler.snapshot().draining).toBe(false);
});

test('has every runner ended, starts none anew, and comes back when the service has ended', async () => {
  rig.forge.queue(3);
  expect(await end(await asked({ socket: api.socket }))).toBe(true);
  expect(left()).toEqual([0, 0, 0]);
  expect(rig.log.lines.filter(({ event }) => event === 'stop').map(({ facts }) => facts['reason'])).toEqual(['operator', 'operator']);
  expect(lines).toHaveLength(2);
});

test('who waits no longer is told what is left and how to take it back', async () => {
  rig.forge.fail('unregister', Number.POSITIVE_INFINITY);
  expect(await end(await asked({ socket: api.socket }))).toBe(false);
  expect(lines.at(-2)).toContain('left: runner');
  expect(lines.at(-1)).toContain('runner-status resume');
  expect(rig.reconciler.snapshot().draining).toBe(true);
});

test('an interrupt ends the waiting and leaves the drain on', async () => {
  const interrupt = new AbortController();
  const service = await asked({ socket: api.socket });
  interrupt.abort();
  expect(await end(service, interrupt.signal)).toBe(false);
  expect(rig.driver.machines.size).toBe(2);
});

test('a service that is there and does not answer is not taken for one that has ended', async () => {
  const service = await asked({ socket: api.socket });
  await api.close();
  await mkdir(api.folder, { recursive: true });
  const mute = createServer((connection) => connection.destroy());
  onTestFinished(() => void mute.close());
  await once(mute.listen(api.socket), 'listening');
  expect(await end(service)).toBe(false);
});

test('over the port by the token of the operator, and not without it', async () => {
  expect(await asked()).toBeUndefined();
  const service = await asked({ tokenFile: api.tokenFile });
  expect(service?.where).toContain('127.0.0.1:');
  expect(await end(service)).toBe(true);
});

test('the service of another controller, and one that is not there, are given no order', async () => {
  expect(await asked({ controllerId: 'other', socket: api.socket })).toBeUndefined();
  expect(await asked({ socket: `${api.folder}/none.sock` })).toBeUndefined();
  expect(rig.reconciler.snapshot().draining).toBe(false);
});
