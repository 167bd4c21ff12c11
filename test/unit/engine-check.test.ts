// Promises that what machines need to run containers is looked for where a profile asks for them, and nowhere else; and that no answer is not
// taken for a device that is missing.

import { expect, test } from 'vitest';
import type { Profile } from '../../src/core/model.ts';
import { checkEngine } from '../../src/driver/engine-check.ts';
import { aProfile } from '../support/build.ts';

const asking: Profile = { ...aProfile({ name: 'containers' }), template: { kind: 'system', path: '/nowhere' }, containers: 'podman' };
const looking = (code: number) => {
  const asked: string[] = [];
  return { asked, look: async (command: string, args: readonly string[]) => (asked.push([command, ...args].join(' ')), { code }) };
};

test('a host whose profiles run no containers is not looked at', async () => {
  const { asked, look } = looking(1);
  expect(await checkEngine([aProfile({ name: 'plain' })], look)).toEqual([]);
  expect(asked).toEqual([]);
});

test('a device that is missing is said with the profile that wants it and what to do', async () => {
  const { asked, look } = looking(1);
  const faults = await checkEngine([asking], look);
  expect(asked).toEqual(['test -c /dev/net/tun']);
  expect(faults).toContainEqual({
    what: 'Profile containers has containers podman, and there is no /dev/net/tun',
    remedy: 'load the kernel module "tun", or write containers: none',
  });
});

test('a look that nobody took is an error, and no missing device (I2)', async () => {
  await expect(checkEngine([asking], () => Promise.reject(new Error('gone')))).rejects.toThrow('gone');
});
