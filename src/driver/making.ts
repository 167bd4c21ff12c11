// Promises the step of a start that needs other programs. What it does is constant and stands in exec.ts; everything that varies is an argument
// or standard input.

import type { MachineId } from '../core/model.ts';
import { ControllerError } from '../errors.ts';
import { performStep } from './exec.ts';
import { hostBatchOf, machineBatchOf, namespaceSettings } from './network.ts';
import type { LinkInput } from './network.ts';
import { namespaceOf } from './nspawn-unit.ts';

/** The FIFO, the namespace, the veth pair and both of its ends. */
export async function prepareHost(link: LinkInput, fifo: string): Promise<void> {
  const namespace = `/run/netns/${namespaceOf(link.controllerId, link.id)}`;
  const args = [fifo, hostBatchOf(link), namespace, namespaceSettings];
  await step(link.id, 'network', () => performStep(args, machineBatchOf(link), 10_000));
}

export async function step(id: MachineId, what: string, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    throw new ControllerError('DRIVER_FAILED', `The ${what} of machine ${id} could not be made. ${(error as Error).message}`, {
      cause: error,
    });
  }
}
