// Promises that a machine gets its credentials once, through a FIFO that only its own root can open, and that the FIFO's absence is the
// durable mark "was assigned". The token touches no disk, argument or environment (I7).

import { constants } from 'node:fs';
import { open, rm } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import type { Clock } from '../clock.ts';
import type { MachineId } from '../core/model.ts';
import { ControllerError, errnoOf } from '../errors.ts';
import { readExit } from './listing.ts';
import type { MachinePaths } from './nspawn-unit.ts';
import { exists } from './presence.ts';

export type AssignmentInput = {
  readonly id: MachineId;
  readonly paths: MachinePaths;
  /** From assignmentText. */
  readonly text: string;
  readonly signal: AbortSignal;
  readonly clock: Clock;
  readonly beingStarted: () => boolean;
  /** How many machines are waited for at this moment, this one included. */
  readonly waiting: () => number;
};

/** Waits for the machine to listen, then hands over. Already assigned = success. */
export async function deliver(input: AssignmentInput): Promise<void> {
  const { id, paths, signal, clock } = input;
  for (let round = 1; ; round += 1) {
    const starting = input.beingStarted();
    const found = await openForWriting(paths.fifo);
    if (found.kind === 'open') return handOver(found.handle, paths.fifo, input.text);
    if (found.kind === 'absent') {
      if (await exists(paths.shared)) return undefined;
      if (!starting) throw new ControllerError('DRIVER_FAILED', `There is no machine ${id} to hand a job to.`);
    }
    if (round % 8 === 0 && (await readExit(paths.exit)) !== undefined) {
      throw new ControllerError('DRIVER_FAILED', `Machine ${id} ended before it could take its job.`);
    }
    if (signal.aborted) throw new ControllerError('DRIVER_FAILED', `Machine ${id} did not ask for its job in time.`);
    // One machine is looked at every 2 ms, a burst 500 times a second in all, which is a twentieth of a processor; a slow one less and less.
    await clock.sleep(Math.min(200, input.waiting() * 2 - 1 + round * 0.05), signal);
  }
}

type Opened = { readonly kind: 'open'; readonly handle: FileHandle } | { readonly kind: 'absent' } | { readonly kind: 'nobody' };

async function openForWriting(path: string): Promise<Opened> {
  try {
    return { kind: 'open', handle: await open(path, constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW) };
  } catch (error) {
    const code = errnoOf(error);
    if (code === 'ENXIO') return { kind: 'nobody' };
    if (code === 'ENOENT' || code === 'ENOTDIR') return { kind: 'absent' };
    throw error;
  }
}

async function handOver(handle: FileHandle, path: string, text: string): Promise<void> {
  try {
    // The mark goes first: a crash in between costs this machine its job, the other order could hand out a second one.
    await rm(path);
    const { bytesWritten } = await handle.write(text);
    if (bytesWritten !== Buffer.byteLength(text)) throw new ControllerError('DRIVER_FAILED', 'The machine took only a part of its job.');
  } catch (error) {
    if (error instanceof ControllerError) throw error;
    throw new ControllerError('DRIVER_FAILED', 'The machine stopped listening while it was handed its job.', { cause: error });
  } finally {
    await handle.close();
  }
}
