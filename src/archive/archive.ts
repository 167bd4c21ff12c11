// Promises what the rest of the program may ask of the archive, where consoles and ends outlive their machines: the port. It is a convenience:
// nothing waits for it, nothing fails by it, and what it could not keep it says in the log once.

import type { MachineId, RunnerId } from '../core/model.ts';
import type { EndedView } from '../core/snapshot.ts';

/** 0 = off: nothing is kept; of `perJobBytes`: no console. */
export type Caps = { readonly maxAgeMs: number; readonly maxBytes: number; readonly perJobBytes: number };

/** The last lines of a console, oldest first. `cut`: there were more. `trouble`: why there may be, in a few words. */
export type Console = { readonly lines: readonly string[]; readonly cut: boolean; readonly trouble?: string };

export type Kept = { readonly ended: EndedView; readonly console: Console };

export type Archive = {
  /** Notes an end; console and summary are written soon after, beside everything else. Never throws. */
  keep(machine: MachineId, ended: EndedView): void;
  /** The last ends that are kept, newest first, a thousand at most. Empty when they cannot be read. */
  recent(): Promise<readonly EndedView[]>;
  /** The last end of that id; undefined when it was never kept, or not any more. */
  find(id: RunnerId): Promise<Kept | undefined>;
  /** Lets go of what has become too old. Never throws. */
  tend(): void;
};
