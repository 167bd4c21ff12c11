// Promises the two steps of a start that need other programs, each as one process of ours: a process costs node 4 ms of its only thread,
// a shell less than one. The scripts are constants; everything that varies is an argument or standard input.

import type { MachineId } from '../core/model.ts';
import { ControllerError } from '../errors.ts';
import { perform } from './exec.ts';
import { hostBatchOf, machineBatchOf, namespaceSettings } from './network.ts';
import type { LinkInput } from './network.ts';
import { namespaceOf } from './nspawn-unit.ts';

const prepareScript = `mkfifo -m 600 -- "$1"
exec ip -batch -`;

// The inner side of the network may be made while systemd starts the unit, because nothing runs in it before assign().
// nsenter, not \`ip -n\`: that one makes a mount namespace and a /sys of its own each time.
const launchScript = `exec 3<&0 </dev/null
nsenter --net="$1" /bin/sh -ec "$2" <&3 &
link=$!
shift 2
systemd-run "$@" || exit
wait "$link"`;

/** The FIFO, the namespace, the veth pair and the host's end of it. */
export async function prepareHost(link: LinkInput, fifo: string): Promise<void> {
  await step(link.id, 'network', async () =>
    perform('/bin/sh', ['-ec', prepareScript, 'prepare', fifo], { input: hostBatchOf(link), timeoutMs: 10_000 }),
  );
}

/** Hands the unit to PID 1 and makes the machine's end of its network. */
export async function launchUnit(link: LinkInput, unitArguments: readonly string[]): Promise<void> {
  const namespace = `/run/netns/${namespaceOf(link.controllerId, link.id)}`;
  const args = ['-c', launchScript, 'launch', namespace, namespaceSettings, ...unitArguments];
  await step(link.id, 'unit', async () => perform('/bin/sh', args, { input: machineBatchOf(link), timeoutMs: 30_000 }));
}

async function step(id: MachineId, what: string, work: () => Promise<unknown>): Promise<void> {
  try {
    await work();
  } catch (error) {
    throw new ControllerError('DRIVER_FAILED', `The ${what} of machine ${id} could not be made. ${(error as Error).message}`, {
      cause: error,
    });
  }
}
