// A configuration that is read again: refused whole or taken, one reading at a time, and what came of it can be asked.

import { expect, test } from 'vitest';
import type { Config } from '../../src/config/config.ts';
import { createLiveConfig, type LiveConfig } from '../../src/daemon-reload.ts';
import { ControllerError } from '../../src/errors.ts';
import type { Settings } from '../../src/reconciler/reconciler.ts';
import { aPolicy } from '../support/build.ts';
import { createTestClock } from '../support/clock.ts';
import { basicYaml, load, refusal } from '../support/config-fixture.ts';
import { createMemoryLog } from '../support/reconciler-rig.ts';

type Bench = {
  readonly live: LiveConfig;
  /** In order: which configuration was given to whom. */
  readonly told: string[];
  readonly log: ReturnType<typeof createMemoryLog>;
};

const settingsOf = ({ maxConcurrent }: Config): Settings => ({ forges: [], policy: aPolicy({ maxConcurrent }) });

async function benchOf(read: (guarded: readonly string[]) => Promise<Config>, refuse?: Error): Promise<Bench> {
  const told: string[] = [];
  const log = createMemoryLog();
  const driver = {
    configure: ({ profiles }: Pick<Config, 'profiles'>) => {
      told.push(`driver ${profiles.map(({ name }) => name).join()}`);
      return refuse === undefined ? Promise.resolve() : Promise.reject(refuse);
    },
  };
  const live = createLiveConfig({
    config: await load({ yaml: basicYaml }),
    parts: {
      driver,
      clock: createTestClock(),
      settingsOf,
      metrics: { configure: ({ perRepository }) => void told.push(`metrics ${perRepository}`) },
      archive: { configure: ({ maxAgeMs }) => void told.push(`archive ${maxAgeMs}`) },
    },
    reconciler: { configure: ({ policy }) => void told.push(`loop ${policy.maxConcurrent}`), maintain: () => undefined },
    log: Object.assign(log, { setLevel: (level: string) => void told.push(`log ${level}`) }),
    mask: (text) => text,
    read,
  });
  return { live, told, log };
}

const next = (more: string): Promise<Config> => load({ yaml: `${basicYaml}${more}` });

test('a configuration with mistakes changes nothing, and every mistake is in the log and in the answer', async () => {
  const { message } = await refusal({ yaml: `${basicYaml}maxConcurrent: none\nlogLevel: loud\n` });
  const { live, told, log } = await benchOf(() => next('maxConcurrent: none\nlogLevel: loud\n'));
  const before = live.settings();
  await live.reload('signal SIGHUP');
  expect(told).toEqual([]);
  expect(live.settings()).toEqual({ ...before, reload: { at: 1_000_000, by: 'signal SIGHUP', error: message, waiting: [] } });
  expect(log.lines).toMatchObject([
    { level: 'error', event: 'reload', facts: { by: 'signal SIGHUP' }, message: expect.stringContaining(message) },
  ]);
  for (const path of ['maxConcurrent', 'logLevel']) expect(message).toContain(path);
  await live.close();
});

test('a configuration that this host cannot run changes nothing but what the host was asked', async () => {
  const refused = new ControllerError('DRIVER_UNAVAILABLE', 'This host cannot run machines. /nowhere does not exist.');
  const { live, told } = await benchOf(() => next('maxConcurrent: 3\nlogLevel: debug\n'), refused);
  await live.reload('signal SIGHUP');
  expect(told).toEqual(['driver default']);
  expect(live.settings()).toMatchObject({ maxConcurrent: 7, reload: { error: refused.message } });
  await live.close();
});

test('a good one is taken by the host first, then by the loop and the log; what waits is named with a warning', async () => {
  const guarded: string[] = [];
  const read = (paths: readonly string[]): Promise<Config> => {
    guarded.push(...paths);
    return next('maxConcurrent: 3\nlogLevel: debug\nhttp: {port: 9}\nmaintenance: "*/7 * * * *"\n');
  };
  const { live, told, log } = await benchOf(read);
  const before = live.settings().configHash;
  await live.reload('signal SIGHUP');
  expect(told).toEqual(['driver default', 'loop 3', 'metrics false', 'archive 1209600000', 'log debug']);
  expect(live.settings()).toMatchObject({ maxConcurrent: 3, reload: { waiting: ['http'] } });
  expect(live.settings().configHash).not.toBe(before);
  expect(guarded).toEqual(expect.arrayContaining(['/run/token', expect.stringContaining('/var/lib')]));
  expect(log.lines.filter(({ event }) => event === 'reload')).toMatchObject([
    { level: 'info', facts: { taken: ['maxConcurrent', 'maintenance', 'logLevel'] } },
    { level: 'warn', facts: { setting: 'http' }, message: expect.stringContaining('takes effect at the next start') },
  ]);
  await live.close();
});

test('whoever asks while it reads is answered by one more reading, however many ask', async () => {
  let reads = 0;
  const first = Promise.withResolvers<void>();
  const { live } = await benchOf(async () => {
    reads += 1;
    if (reads === 1) await first.promise;
    return next(`maxConcurrent: ${reads}\n`);
  });
  const asked = ['a', 'b', 'c'].map((by) => live.reload(by));
  first.resolve();
  await Promise.all(asked);
  expect(reads).toBe(2);
  expect(live.settings()).toMatchObject({ maxConcurrent: 2, reload: { by: 'c' } });
  await live.reload('d');
  expect(reads).toBe(3);
  await live.close();
});

test('a bug while it reads goes up instead of being taken for a mistake', async () => {
  const { live } = await benchOf(() => Promise.reject(new TypeError('x is not a function')));
  await expect(live.reload('signal SIGHUP')).rejects.toThrow(TypeError);
  await live.close();
});
