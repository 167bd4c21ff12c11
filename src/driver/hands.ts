// Promises a shell whose programs act on the host: one of our own where we share the host's mounts, else one that PID 1 starts for us, outside
// the sandbox of our unit. It lives as long as we hold its standard input, and what it was told last is still done when we are gone.

import { existsSync, readFileSync, readlinkSync } from 'node:fs';
import { getuid, pid } from 'node:process';
import { errnoOf } from '../errors.ts';
import type { ShellCommand } from './shell.ts';

/** What no program on the host needs: those are ip, nft, mount, rm, systemctl, and whatever a driver's own command line calls. */
const withheld = [
  'CAP_AUDIT_CONTROL',
  'CAP_MAC_ADMIN',
  'CAP_MAC_OVERRIDE',
  'CAP_SYSLOG',
  'CAP_SYS_BOOT',
  'CAP_SYS_MODULE',
  'CAP_SYS_RAWIO',
  'CAP_SYS_TIME',
];

let apart: boolean | undefined;
let shells = 0;

/**
 * True when mounts that we would make are not the host's: this service is in a sandbox. Root that may not look at PID 1 is in one, too. Where no
 * systemd is at work nobody could help, and the look at the host says so.
 */
export function isApart(): boolean {
  apart ??= getuid?.() === 0 && existsSync('/run/systemd/system') && mountsOf('self') !== mountsOf('1');
  return apart;
}

/** The mount namespace of a process; undefined when it may not be looked at. */
function mountsOf(process: string): string | undefined {
  try {
    return readlinkSync(`/proc/${process}/ns/mnt`);
  } catch (error) {
    const code = errnoOf(error);
    if (code === 'EACCES' || code === 'EPERM' || code === 'ENOENT') return undefined;
    throw error;
  }
}

/** A shell that reads its orders from standard input. */
export function hostShell(): ShellCommand {
  if (!isApart()) return { words: ['/bin/sh', '-s'] };
  // A name that is never used again: the one before may still be finishing what it was told.
  shells += 1;
  const ours = unitIn(readFileSync('/proc/self/cgroup', 'utf8'));
  return { words: [...systemdRunOf(`forgejo-runner-controller-hands-${pid}-${shells}`, ours), '/bin/sh', '-s'], isProxy: true };
}

/** The service that a process is part of, as /proc/PID/cgroup tells it. */
export function unitIn(groups: string): string | undefined {
  return /^(?:0::|\d+:name=systemd:)\S*\/([^/\s]+\.service)$/m.exec(groups)?.[1];
}

export function systemdRunOf(name: string, ours: string | undefined): readonly string[] {
  const properties = [
    `CapabilityBoundingSet=~${withheld.join(' ')}`,
    'NoNewPrivileges=yes',
    // Programs that were begun when we ended come to their own end, as those of any service with KillMode=process; but not for ever.
    'KillSignal=SIGCONT',
    'TimeoutStopSec=90s',
    'MemoryMax=512M',
    'TasksMax=512',
    'OOMScoreAdjust=-500',
    // When the host goes down we are stopped first.
    ...(ours === undefined ? [] : [`Before=${ours}`]),
  ];
  return [
    'systemd-run',
    '--quiet',
    '--pipe',
    '--collect',
    '--service-type=exec',
    `--unit=${name}`,
    `--description=Programs that ${ours ?? 'forgejo-runner-controller'} runs on the host`,
    // Ours, as it is: on some hosts programs are where only our unit says.
    '--setenv=PATH',
    ...properties.map((property) => `--property=${property}`),
    '--',
  ];
}
