// Promises that the unit of a machine is told to systemd's bus in the types that it takes, and that messages of the bus are cut and read as they were
// written, whatever their length. That systemd takes them is seen on a host (test/e2e/driver-nspawn.test.ts).

import { describe, expect, test } from 'vitest';
import { callOf, flag, int32, list, messageIn, struct, text, texts, uint32, uint64, variant } from '../../src/driver/bus-wire.ts';
import type { UnitInput } from '../../src/driver/nspawn-unit.ts';
import { unitPropertiesOf } from '../../src/driver/nspawn-unit.ts';
import { unitCallOf } from '../../src/driver/unit-call.ts';
import type { Profile } from '../../src/core/model.ts';

const profile: Profile = {
  name: 'default',
  labels: ['debian'],
  template: { kind: 'host' },
  limits: { cpus: 1.5, memoryBytes: 2 ** 31, tasks: 500 },
  timeouts: { startMs: 60_000, pickMs: 30_000, jobMs: 7_200_000, stopMs: 10_000 },
  runnerPath: '/opt/forgejo-runner',
  binds: [],
  environment: { PRICE: '5$ ${HOME}' },
};

const input: UnitInput = {
  controllerId: 'ci-1',
  stateDir: '/var/lib/50$ off',
  spec: { id: 'j0000001abc', slot: 0, profile, runtimeMaxMs: 7_350_000 },
  rootPlan: { template: { kind: 'host' }, shared: ['/usr'], overlaid: [] },
  uidBase: 1_879_048_192,
};

/** A property's value as the bytes of a message that holds nothing else. */
function bytesOf(values: Parameters<typeof callOf>[1]['values']): Buffer {
  const call = callOf(1, { path: '/p', interface: 'i', member: 'm', values });
  return call.subarray(call.length - call.readUInt32LE(4));
}

const properties = new Map(unitCallOf(input, '/usr/bin/systemd-nspawn'));

function setTo(name: string): Buffer {
  const value = properties.get(name);
  if (value === undefined) throw new Error(`${name} is not set`);
  return bytesOf([value]);
}

describe('the unit of a machine on the bus', () => {
  test.each([
    ['RuntimeMaxUSec', uint64(7_350_000_000)],
    ['TimeoutStartUSec', uint64(60_000_000)],
    ['TimeoutStopUSec', uint64(10_000_000)],
    ['LogRateLimitIntervalUSec', uint64(30_000_000)],
    ['LogRateLimitBurst', uint32(200)],
    ['CPUQuotaPerSecUSec', uint64(1_500_000)],
    ['MemoryMax', uint64(2 ** 31)],
    ['MemorySwapMax', uint64(0)],
    ['TasksMax', uint64(500)],
    ['LimitNOFILE', uint64(524_288)],
    ['LimitNOFILESoft', uint64(524_288)],
    ['LimitCORE', uint64(0)],
    ['LimitCORESoft', uint64(0)],
    ['Delegate', flag(true)],
    ['KillMode', text('mixed')],
    ['DevicePolicy', text('closed')],
    ['DeviceAllow', list('(ss)', [struct(text('char-pts'), text('rw'))])],
    ['SystemCallErrorNumber', int32(38)],
    ['SystemCallArchitectures', texts(['native'])],
    ['Environment', texts(['SYSTEMD_SECCOMP=0', 'SYSTEMD_NSPAWN_TMPFS_TMP=0'])],
    ['CollectMode', text('inactive-or-failed')],
    ['NetworkNamespacePath', text('/run/netns/forgejo-runner-ci-1-j0000001abc')],
  ])('%s has its value and type', (name, value) => {
    expect(properties.get(name)?.signature).toBe(value.signature);
    expect(setTo(name)).toEqual(bytesOf([value]));
  });

  test('every property of the unit file is told, and none that the file has not', () => {
    const told = new Set(
      [...properties.keys()].map((name) => name.replace(/(?:PerSec)?USec$/, 'Sec').replace(/^CPUQuotaSec$/, 'CPUQuota')),
    );
    const wanted = new Set(unitPropertiesOf(input).map(([name]) => (name === 'ExecStopPost' ? 'ExecStopPostEx' : name)));
    expect([...wanted].filter((name) => !told.has(name))).toEqual([]);
    expect([...told].filter((name) => !wanted.has(name)).toSorted((a, b) => a.localeCompare(b))).toEqual([
      'CollectMode',
      'ExecStart',
      'LimitCORESoft',
      'LimitNOFILESoft',
    ]);
  });

  test('both lists of system calls are told: the one that allows, then the one that denies', () => {
    const filters = unitCallOf(input, '/usr/bin/systemd-nspawn').filter(([name]) => name === 'SystemCallFilter');
    const [allowed, denied] = filters.map(([, value]) => bytesOf([value]));
    expect(filters.map(([, value]) => value.signature)).toEqual(['(bas)', '(bas)']);
    expect([allowed?.readUInt32LE(0), denied?.readUInt32LE(0)]).toEqual([1, 0]);
    expect(denied?.includes('~')).toBe(false);
  });

  test('what systemd would expand is doubled in arguments, and in the place of the exit record; what the shell is to expand is left to it', () => {
    expect(setTo('ExecStart').toString()).toContain('--setenv=PRICE=5$$ $${HOME}\0');
    const recorder = setTo('ExecStopPostEx').toString();
    expect(recorder).toContain('/var/lib/50$$ off/exits/j0000001abc\0');
    expect(recorder).toContain('>"$$0"\0');
    expect(recorder).toContain('privileged\0');
  });
});

describe('messages of the bus', () => {
  test('are cut out of a stream wherever it is torn, also when they are long', () => {
    const words = Array.from({ length: 500 }, (_, index) => `word ${index}`);
    const call = callOf(7, { path: '/p', interface: 'i', member: 'm', values: [texts(words), variant(uint64(1))] });
    for (const end of [0, 1, 15, 16, 100, call.length - 1]) expect(messageIn(call.subarray(0, end))).toBeUndefined();
    const found = messageIn(Buffer.concat([call, call.subarray(0, 20)]));
    expect(found?.length).toBe(call.length);
    expect(found?.message).toMatchObject({ signature: 'asv', answers: 0, error: undefined });
    const body = found?.message?.body;
    body?.u32();
    expect(words.map(() => body?.text())).toEqual(words);
  });

  test('that are news are passed over', () => {
    const news = Buffer.from(callOf(7, { path: '/p', interface: 'i', member: 'm', values: [text('news')] }));
    news.writeUInt8(4, 1);
    expect(messageIn(news)).toEqual({ message: undefined, length: news.length });
  });

  test('of the other byte order are refused, not misread', () => {
    expect(() => messageIn(Buffer.from('B'.padEnd(16, '\0')))).toThrow('byte order');
  });
});
