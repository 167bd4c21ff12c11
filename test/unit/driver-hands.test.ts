// How the service gets a shell outside of its sandbox: what it asks systemd for, and how it knows whose service it is and whose mounts it sees.

import { expect, test } from 'vitest';
import { systemdRunOf, unitIn } from '../../src/driver/hands.ts';
import { followsTheHost, mountWordOf } from '../../src/driver/traces.ts';

test.each([
  ['one hierarchy', '0::/system.slice/forgejo-runner-controller.service\n', 'forgejo-runner-controller.service'],
  ['a hierarchy each', '4:memory:/system.slice/a.service\n1:name=systemd:/system.slice/b@1.service\n0::/\n', 'b@1.service'],
  ['a shell of a person', '0::/user.slice/user-0.slice/session-1.scope\n', undefined],
  ['a part of a service', '0::/system.slice/a.service/supervisor\n', undefined],
])('the service is known by its control group: %s', (_, groups, unit) => {
  expect(unitIn(groups)).toBe(unit);
});

test('systemd is asked for a shell on the pipes of the service, that has what programs on the host need and is gone with its last one', () => {
  const words = systemdRunOf('hands-1', 'ours.service');
  expect(words[0]).toBe('systemd-run');
  expect(words.at(-1)).toBe('--');
  expect(words).toEqual(
    expect.arrayContaining(['--pipe', '--collect', '--unit=hands-1', '--setenv=PATH', '--property=Before=ours.service']),
  );
  const properties = words.filter((word) => word.startsWith('--property='));
  // A mount namespace of its own would hide from the host what is mounted there.
  expect(
    properties.filter((property) => /=(?:Protect|Private|ReadOnly|ReadWrite|Inaccessible|Bind|Root|MountFlags)/.test(property)),
  ).toEqual([]);
  expect(properties.join('\n')).toMatch(/CapabilityBoundingSet=~.*\bCAP_SYS_MODULE\b/);
  // What was begun when the service ended comes to its own end.
  expect(properties).toContain('--property=KillSignal=SIGCONT');
  expect(systemdRunOf('hands-1', undefined).join(' ')).not.toContain('Before=');
});

const list = [
  '443 442 254:0 / / ro,relatime shared:226 master:1 - ext4 /dev/vda rw',
  '486 443 254:0 /state /var/lib/ours rw,relatime shared:285 master:82 - ext4 /dev/vda rw',
  String.raw`490 486 0:91 / /var/lib/ours/a\040b rw,relatime - tmpfs master:7 rw`,
  '491 443 0:92 / /srv rw,relatime shared:9 - tmpfs x rw',
  '',
].join('\n');

test.each([
  ['/var/lib/ours', true],
  ['/var/lib/ours/machines', true],
  ['/srvnot', true],
  ['/var/lib/ours/a b/c', false],
  ['/srv/ci', false],
])('what the host mounts below %s is seen here: %j', (folder, follows) => {
  expect(followsTheHost(folder, list)).toBe(follows);
});

test('a path is written as the kernel writes it in the list of mounts', () => {
  expect(mountWordOf('/srv/a b\\c\td')).toBe(String.raw`/srv/a\040b\134c\011d`);
});
