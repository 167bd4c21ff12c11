// Promises what a machine with a systemd of its own is given to run its job: a unit, and the script that puts it where systemd looks and then
// becomes the system's init. Pure. The job is run by the same script as everywhere (init-script.ts), and its end is the machine's end.

import type { Profile } from '../core/model.ts';
import { engineEnvironmentOf, engineFilesOf, engineSocketUnit, engineUnitsOf } from './engine.ts';
import { inside } from './nspawn-unit.ts';

/** Where systemd looks for it. The template is asked for nothing but a multi-user.target. */
export const guestUnit = 'forgejo-runner-job.service';

const namesPath = '/run/forgejo-runner/names';
/**
 * Run before the job, whatever PATH that has. NixOS makes its /etc/hosts when it boots, of what it was built with: then the names of the profile
 * go before that.
 */
const namesScriptOf = (path: string): string => `#!/bin/sh
PATH=${path}:$PATH
line='
'
extra=$(cat "\${0%/*}/hosts") own=$(cat /etc/hosts 2>/dev/null)
case $line$own$line in *"$line$extra$line"*) exit 0 ;; esac
draft=/etc/.hosts.forgejo-runner
printf '%s\\n%s\\n' "$extra" "$own" >"$draft" && mv -f "$draft" /etc/hosts && exit 0
echo 'extraHosts: /etc/hosts of this machine cannot be written' >/dev/console
exit 1
`;

/** Files of the machine's shared folder by name. `extraHosts`: lines of a hosts file. */
export function guestFilesOf(
  profile: Profile,
  environment: Readonly<Record<string, string>>,
  extraHosts = '',
): Readonly<Record<string, string>> {
  const path = environment['PATH'] ?? '';
  const units = { [guestUnit]: guestUnitOf(profile, environment), ...engineUnitsOf(profile, path) };
  return {
    boot: bootScriptOf(Object.keys(units)),
    ...units,
    ...engineFilesOf(profile, path),
    ...(profile.extraHosts === undefined ? {} : { hosts: extraHosts, names: namesScriptOf(environment['PATH'] ?? '') }),
    'multi-user.conf': `[Unit]\nWants=${guestUnit}\n`,
  };
}

/**
 * Copied by the machine itself: what nspawn binds below /run/systemd would make that folder nobody's, and systemd would not start. Until
 * systemd is there, the signal that asks it to halt (SIGRTMIN+3) is ours to hear.
 */
function bootScriptOf(units: readonly string[]): string {
  return `#!/bin/sh
trap 'exit 143' 37
here=\${0%/*} units=/run/systemd/system
umask 022
mkdir -p "$units/multi-user.target.d" || exit 125
for unit in ${units.join(' ')}; do cat "$here/$unit" >"$units/$unit" || exit 125; done
cat "$here/multi-user.conf" >"$units/multi-user.target.d/50-forgejo-runner.conf" || exit 125
exec "$@"
`;
}

/**
 * Type=exec, because systemd is not ready before a unit of another type is through; after everything that the system starts by itself. Its end,
 * however it comes, ends systemd with its code, which nspawn passes on.
 */
export function guestUnitOf(profile: Profile, environment: Readonly<Record<string, string>>): string {
  const { timeouts, environment: own } = profile;
  const variables = { HOME: '/root', USER: 'root', LOGNAME: 'root', ...environment, ...engineEnvironmentOf(profile), ...own };
  const names = profile.extraHosts === undefined ? '' : `ExecStartPre=/bin/sh ${namesPath}\n`;
  const engine = profile.containers === undefined ? '' : `Wants=${engineSocketUnit}\nAfter=${engineSocketUnit}\n`;
  return `[Unit]
Description=Forgejo Actions job
After=multi-user.target
${engine}SuccessAction=exit-force
FailureAction=exit-force

[Service]
Type=exec
${names}ExecStart=/bin/sh ${inside.init}
${Object.entries(variables)
  .map(([name, value]) => `Environment=${quoted(`${name}=${value}`)}\n`)
  .join('')}StandardOutput=file:/dev/console
StandardError=inherit
KillMode=mixed
TimeoutStopSec=${timeouts.stopMs}ms
TasksMax=infinity
LimitNOFILE=524288
OOMPolicy=continue
Delegate=yes
IgnoreSIGPIPE=no
`;
}

/** One word of a unit file in which nothing is expanded. */
function quoted(word: string): string {
  const plain = word.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('%', '%%');
  return `"${plain.replaceAll('\n', '\\n').replaceAll('\t', '\\t').replaceAll('\r', '\\r')}"`;
}
