// Promises that what the host refuses (a full disk, no more descriptors, an I/O error) reaches the loop as a ControllerError that is tried
// again, and that anything else is left to be the bug it is.

import { ControllerError } from '../errors.ts';

/** Refusals that pass when others give something back: they count no attempt. */
const exhausted = new Set(['ENOSPC', 'EDQUOT', 'EMFILE', 'ENFILE', 'EAGAIN', 'ENOMEM']);

/** Runs a verb; rejects with HOST_EXHAUSTED or DRIVER_FAILED, naming the call and the path, when a system call failed. */
export async function onHost<T>(verb: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!isSystemError(error)) throw error;
    const code = exhausted.has(error.code) ? 'HOST_EXHAUSTED' : 'DRIVER_FAILED';
    throw new ControllerError(code, `${verb}: ${error.message}`, { cause: error });
  }
}

function isSystemError(error: unknown): error is Error & { readonly code: string } {
  return error instanceof Error && 'syscall' in error && 'code' in error && typeof error.code === 'string';
}
