// Promises that nothing which a machine is made of is collected from the Nix store while the machine is there: a root for each path, made
// before it starts and gone with it. Where nothing of it lies in the store, nothing is made. Roots of others are never touched (I6).

import { realpath } from 'node:fs/promises';
import { isMachineId } from '../core/naming.ts';
import type { MachineId } from '../core/model.ts';
import { perform } from './exec.ts';
import { entryIsThere, namesIn } from './presence.ts';

const folder = '/nix/var/nix/gcroots/forgejo-runner-controller';
const store = '/nix/store/';
/** What may be held of a machine, by the end of the root's name. */
const ends = { template: '', runner: '.runner' } as const;

export type Held = Partial<Readonly<Record<keyof typeof ends, string>>>;

function rootOf(controllerId: string, id: MachineId, what: keyof typeof ends): string {
  return `${folder}/${controllerId}-${id}${ends[what]}`;
}

/** Makes the roots of what lies in the store, through however many links. The service's own sandbox does not reach the folder; its helper does. */
export async function hold(controllerId: string, id: MachineId, held: Held): Promise<void> {
  const script = 'mkdir -p -- "$0" && while [ $# -gt 0 ]; do ln -sfnT -- "$2" "$1" && shift 2 || exit; done';
  const pairs = await Promise.all(
    (['template', 'runner'] as const).map(async (what) => {
      const path = held[what] === undefined ? '' : await endOf(held[what]);
      return path.startsWith(store) ? [rootOf(controllerId, id, what), path] : [];
    }),
  );
  if (pairs.flat().length > 0) await perform('sh', ['-c', script, folder, ...pairs.flat()], { timeoutMs: 10_000 });
}

async function endOf(path: string): Promise<string> {
  // What is gone is told by whoever needs it.
  return realpath(path).catch(() => path);
}

export async function letGo(controllerId: string, id: MachineId): Promise<void> {
  const roots = rootsOf(controllerId, id);
  if (roots.length > 0) await perform('rm', ['-f', '--', ...roots], { timeoutMs: 10_000 });
}

/** The roots of a machine that are there; one whose path was deleted all the same is there, too. */
export function rootsOf(controllerId: string, id: MachineId): readonly string[] {
  return (['template', 'runner'] as const).map((what) => rootOf(controllerId, id, what)).filter((path) => entryIsThere(path));
}

/** Machines of ours that have a root. */
export function machinesWithRoots(controllerId: string): readonly MachineId[] {
  const ids = namesIn(folder).map((name) => {
    const end = name.endsWith(ends.runner) ? ends.runner.length : 0;
    const id = name.startsWith(`${controllerId}-`) ? name.slice(controllerId.length + 1, name.length - end) : '';
    return isMachineId(id) ? id : undefined;
  });
  return ids.filter((id) => id !== undefined);
}
