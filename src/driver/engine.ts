// Promises what a machine is given for containers of its job's own (profile setting `containers`): Podman behind a socket that speaks Docker's
// API, in a user namespace within the machine's. It takes no capability and no system call more than any job has, and one device. Pure.

import type { Profile } from '../core/model.ts';
import { containerDevices } from './confinement.ts';

/** Starts the engine at the first word to it: jobs without containers do not pay for it. */
export const engineSocketUnit = 'forgejo-runner-containers.socket';
const engineUnit = 'forgejo-runner-containers.service';
/** In the machine's shared folder. */
const shared = '/run/forgejo-runner';
const script = `${shared}/engine`;
const socket = '/run/forgejo-runner-containers.sock';

/** The devices of the host that machines of a profile have beside the usual ones. */
export function devicesOf({ containers }: Profile): readonly string[] {
  return containers === undefined ? [] : containerDevices;
}

/** In the machine's root: images and containers cannot lie in an overlay, as /var of some machines is one. */
export const storageFolder = '.containers';
export function ownStorageOf({ containers }: Profile, { overlaid }: { readonly overlaid: readonly string[] }): boolean {
  return containers !== undefined && overlaid.includes('var');
}

/** Options of nspawn. */
export function engineBindsOf(profile: Profile, root: { readonly overlaid: readonly string[] }): readonly string[] {
  const storage = ownStorageOf(profile, root) ? [`--bind=+/${storageFolder}:/var/lib/containers`] : [];
  return [...storage, ...devicesOf(profile).map((device) => `--bind=${device}`)];
}

/** For docker and its kin; for podman, whose command then speaks to the same engine. */
export function engineEnvironmentOf({ containers }: Profile): Readonly<Record<string, string>> {
  return containers === undefined ? {} : { DOCKER_HOST: `unix://${socket}`, CONTAINER_HOST: `unix://${socket}` };
}

/** Units by name. */
export function engineUnitsOf({ containers }: Profile, path: string): Readonly<Record<string, string>> {
  if (containers === undefined) return {};
  return {
    [engineSocketUnit]: `[Unit]
Description=Containers of the job, by Docker's API

[Socket]
ListenStream=${socket}
SocketMode=0600
Symlinks=/run/docker.sock
`,
    [engineUnit]: `[Unit]
Description=Containers of the job

[Service]
Type=exec
ExecStart=/bin/sh ${script}
Environment=HOME=/root PATH=${path}
TasksMax=infinity
LimitNOFILE=524288
OOMPolicy=continue
Delegate=yes
TimeoutStopSec=5s
`,
  };
}

/**
 * First it makes a user namespace that has all of the machine's users, which root may fill by CAP_SETUID and CAP_SETGID, and enters it: there, and
 * there alone, it may mount and make networks. One that had been started before the users were there would have lost its rights with the next
 * program. Then it has a mount and a process namespace with a /proc of its own, for the machine's has the settings of networks read-only. systemd is
 * hidden, which would not do what Podman's parts ask of it. The shell stays as the first process to reap what containers leave; Podman takes the
 * listening socket from it, and takes itself for one without root, as which it makes the networks of containers within one of its own.
 * `watch` is the hook of a container that has started, told who it is on standard input: systemd would be who asks it for its health. It may not hold up
 * the start, which Podman is still at.
 */
const engineScript = `#!/bin/sh
fail() {
  echo "containers: $*" >/dev/console
  exit 1
}
if [ "$1" = watch ]; then
  state=$(cat)
  id=\${state#*'"id"'} id=\${id#*'"'} id=\${id%%'"'*} pid=\${state#*'"pid"'} pid=\${pid#*:} pid=\${pid%%,*}
  {
    engine() { podman --url unix://${socket} "$@"; }
    checked=$(engine inspect --type container --format '{{with .Config.Healthcheck}}{{.Interval.Seconds}} {{.Test}}{{end}}' "$id")
    case $checked in '' | '0 '* | *' [NONE]' | *' []') exit ;; esac
    while [ -d "/proc/$((pid))" ]; do
      engine healthcheck run "$id"
      sleep "\${checked%% *}"
    done
  } </dev/null >/dev/null 2>&1 &
  exit 0
fi
if [ "$1" = within ]; then
  exec 8<&-
  mount -t tmpfs -o mode=755,nosuid,nodev,noexec tmpfs /run/systemd || fail 'this machine may not mount in a user namespace'
  mount -t proc -o nosuid,nodev,noexec proc /proc || fail 'this machine may have no /proc in a user namespace'
  own=/run/forgejo-runner-podman
  mkdir -p -m 700 "$own" || fail "$own cannot be made"
  export XDG_RUNTIME_DIR="$own" _CONTAINERS_USERNS_CONFIGURED=done _CONTAINERS_ROOTLESS_UID=0 _CONTAINERS_ROOTLESS_GID=0 DISABLE_HC_SYSTEMD=true
  sh -c 'LISTEN_PID=$$ exec podman --root /var/lib/containers/storage --runroot "$0/containers" --tmpdir "$0/libpod/tmp" \\
    --cgroup-manager cgroupfs --events-backend file system service --time 0' "$own" &
  wait "$!"
  fail "podman ended with $?"
fi
settings=/etc/containers/containers.conf.d
{ mkdir -p "$settings" && cat "\${0%/*}/containers.conf" >"$settings/50-forgejo-runner.conf"; } || fail "$settings cannot be written"
up=/run/forgejo-runner-up go=/run/forgejo-runner-go
rm -f "$up" "$go"
mkfifo -m 600 "$up" "$go" || fail 'no pipe can be made'
unshare --user sh -c 'echo >"$0"; read -r _ <"$1"' "$up" "$go" &
holder=$!
read -r _ <"$up"
echo '0 0 65536' >"/proc/$holder/uid_map" || fail 'its users cannot be given to a user namespace'
echo '0 0 65536' >"/proc/$holder/gid_map" || fail 'its groups cannot be given to a user namespace'
exec 8<"/proc/$holder/ns/user" || fail 'its user namespace is gone'
echo >"$go"
wait "$holder"
rm -f "$up" "$go"
exec nsenter --user=/proc/self/fd/8 -- unshare --mount --propagation slave --pid --fork --kill-child /bin/sh "$0" within
`;

/**
 * The machine's limits are those of all its containers: control groups of their own would need controllers that not every host hands down. What they
 * say stands in a file, for there is no journal in the engine's namespace.
 */
const engineSettings = `[containers]
cgroups = "disabled"
pids_limit = 0
log_driver = "k8s-file"

[engine]
hooks_dir = ["${shared}"]
`;

/** Beside the units, by name. What the runtime calls when a container has started ends with `.json`, and nothing else may. */
export function engineFilesOf({ containers }: Profile, path: string): Readonly<Record<string, string>> {
  if (containers === undefined) return {};
  const hook = { path: '/bin/sh', args: ['sh', script, 'watch'], env: [`PATH=${path}`, 'HOME=/root'] };
  const health = { version: '1.0.0', hook, when: { always: true }, stages: ['poststart'] };
  return { engine: engineScript, 'containers.conf': engineSettings, 'health.json': `${JSON.stringify(health)}\n` };
}
