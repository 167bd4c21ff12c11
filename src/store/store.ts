// Promises what the rest of the program may ask of the durable records and the time line's anchor: the ports. A record is whole or absent, never half; one that
// cannot be read is put aside and named, never deleted.

import type { Runner, RunnerId } from '../core/model.ts';
import type { Anchor } from '../core/time-line.ts';

export type Loaded = { readonly runners: readonly Runner[]; readonly quarantined: readonly string[] };

export type Store = {
  /** Every readable record, and the names of those put aside. Rejects with STORE_FAILED when the directory cannot be read. */
  load(): Promise<Loaded>;
  /** Written durably before it resolves; replaces the record of that id. */
  put(runner: Runner): Promise<void>;
  /** Gone durably; absent = success. */
  delete(id: RunnerId): Promise<void>;
};

/** Where the anchor of the time line is kept. */
export type AnchorPlace = {
  /** Undefined for one that is not there, cannot be read or says nothing: then a new one is right. */
  read(): Promise<Anchor | undefined>;
  /** Written durably before it resolves. Rejects with STORE_FAILED. */
  write(anchor: Anchor): Promise<void>;
};
