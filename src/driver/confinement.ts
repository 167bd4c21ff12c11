// Promises what a machine's processes may do, as data: system calls, capabilities, devices. Every line is a security decision, written
// down in docs/decisions/0002-seccomp-by-the-unit.md and tested from inside. Pure.

/**
 * Allowed system calls of the unit, by systemd's groups. nspawn itself runs under the same filter until it starts the payload, hence
 * @mount, chroot and the like; inside they are worth nothing without CAP_SYS_ADMIN.
 */
export const allowedCalls: readonly string[] = [
  '@system-service',
  '@mount',
  '@pkey',
  'ptrace',
  'rseq',
  'futex_waitv',
  'seccomp',
  'landlock_create_ruleset',
  'landlock_add_rule',
  'landlock_restrict_self',
  'sethostname',
];

/**
 * For machines whose first process is a systemd: it ends by this call, and takes EPERM, which it gets without CAP_SYS_BOOT, for "end the
 * container instead". Told that there is no such call, it would stay for ever.
 */
export const bootCalls: readonly string[] = ['reboot'];

/** Taken out of the groups above: the kernel parts with the worst record, none needed by a build. */
export const deniedCalls: readonly string[] = [
  '@keyring',
  'bpf',
  'userfaultfd',
  'io_uring_setup',
  'io_uring_enter',
  'io_uring_register',
  'name_to_handle_at',
  'remap_file_pages',
  'migrate_pages',
  'move_pages',
  'pidfd_getfd',
];

/**
 * For machines whose jobs may run containers. Root of the machine can do nothing with it in the machine's own network, which is the host's; in
 * networks that a job makes for itself it is how the outside is reached without rights over the machine's (slirp4netns, pasta). No capability and
 * no system call comes with it: docs/decisions/0014-containers-in-machines.md.
 */
export const containerDevices: readonly string[] = ['/dev/net/tun'];

/** What nspawn would leave to root inside and no job needs. What stays: see keptCapabilities. */
export const droppedCapabilities: readonly string[] = [
  'CAP_AUDIT_CONTROL',
  'CAP_AUDIT_WRITE',
  'CAP_BLOCK_SUSPEND',
  'CAP_DAC_READ_SEARCH',
  'CAP_IPC_LOCK',
  'CAP_IPC_OWNER',
  'CAP_LEASE',
  'CAP_LINUX_IMMUTABLE',
  'CAP_MKNOD',
  'CAP_NET_ADMIN',
  'CAP_NET_BIND_SERVICE',
  'CAP_NET_BROADCAST',
  'CAP_NET_RAW',
  'CAP_SYS_ADMIN',
  'CAP_SYS_BOOT',
  'CAP_SYS_MODULE',
  'CAP_SYS_NICE',
  'CAP_SYS_PACCT',
  'CAP_SYS_PTRACE',
  'CAP_SYS_RAWIO',
  'CAP_SYS_RESOURCE',
  'CAP_SYS_TIME',
  'CAP_SYS_TTY_CONFIG',
  'CAP_SYSLOG',
  'CAP_WAKE_ALARM',
];

/** All that root inside keeps: to own, switch and signal its own files, users and processes, within its own user namespace. */
export const keptCapabilities: readonly string[] = [
  'CAP_CHOWN',
  'CAP_DAC_OVERRIDE',
  'CAP_FOWNER',
  'CAP_FSETID',
  'CAP_KILL',
  'CAP_SETFCAP',
  'CAP_SETGID',
  'CAP_SETPCAP',
  'CAP_SETUID',
  'CAP_SYS_CHROOT',
];
