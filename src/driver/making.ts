// Promises the two steps of a start that need other programs. What they do is constant and stands in exec.ts; everything that varies is an
// argument or standard input.

import type { MachineId } from '../core/model.ts';
import { ControllerError } from '../errors.ts';
import { performStep } from './exec.ts';
import { hostBatchOf, machineBatchOf, namespaceSettings } from './network.ts';
import type { LinkInput } from './network.ts';
import { namespaceOf } from './nspawn-unit.ts';

/** The FIFO, the namespace, the veth pair and the host's end of it. */
export async function prepareHost(link: LinkInput, fifo: string): Promise<void> {
  await step(link.id, 'network', async () => performStep('prepare', [fifo], hostBatchOf(link), 10_000));
}

/** Hands the unit to PID 1 and makes the machine's end of its network. */
export async function launchUnit(link: LinkInput, unitArguments: readonly string[]): Promise<void> {
  const namespace = `/run/netns/${namespaceOf(link.controllerId, link.id)}`;
  const args = [namespace, namespaceSettings, ...unitArguments];
  await step(link.id, 'unit', async () => performStep('launch', args, machineBatchOf(link), 30_000));
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
