// Promises what the rest of the program may ask of the durable records: the port. A record is whole or absent, never half; one that
// cannot be read is put aside and named, never deleted.

import type { Runner, RunnerId } from '../core/model.ts';

export type Loaded = { readonly runners: readonly Runner[]; readonly quarantined: readonly string[] };

export type Store = {
  /** Every readable record, and the names of those put aside. Rejects with STORE_FAILED when the directory cannot be read. */
  load(): Promise<Loaded>;
  /** Written durably before it resolves; replaces the record of that id. */
  put(runner: Runner): Promise<void>;
  /** Gone durably; absent = success. */
  delete(id: RunnerId): Promise<void>;
};
