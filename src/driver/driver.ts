// Promises what the rest of the program may ask of a host: the port. Every verb is safe twice, rejects with a ControllerError (DRIVER_*,
// HOST_EXHAUSTED), and touches only names with our mark (I6). One contract suite (test/contract) runs against every driver.

import type { Handle, Machine, MachineId, Profile, Room } from '../core/model.ts';

/** What one machine is to be. `runtimeMaxMs` is the host's own fence behind the plan's clocks. */
export type MachineSpec = {
  readonly id: MachineId;
  readonly slot: number;
  readonly profile: Profile;
  readonly runtimeMaxMs: number;
  /** The name (core/cache.ts) of what its job shares with others where its profile has a cache; absent = its folder is its own and empty. */
  readonly cache?: string;
};

/** One job's credentials and what the runner inside must be told. `labels` are bare names. The token is a secret. */
export type Assignment = {
  readonly url: string;
  readonly uuid: string;
  readonly token: string;
  /** '' = take any job that matches the labels (only rows older than Forgejo 15 have none). */
  readonly handle: Handle;
  readonly labels: readonly string[];
};

/** What is still on the host of a machine that should be gone, by kind. */
export type Leftover = {
  readonly kind: 'unit' | 'network-namespace' | 'interface' | 'directory' | 'mount' | 'exit-record' | 'machine' | 'gc-root' | 'container';
  readonly name: string;
};

export type Driver = {
  /**
   * By the name of each profile, the build that its machines would have if they were started now: equal to that of a machine for as long as it
   * would be made of the same in the same way. A profile of which nobody can say it now is left out.
   */
  builds(): Promise<ReadonlyMap<string, string>>;
  /** Can this host run machines at all? Rejects with DRIVER_UNAVAILABLE, why, and the remedy. Also prepares what all machines share. */
  check(): Promise<void>;
  /** Every machine of ours, exited and half-removed ones included. Rejects rather than guess. */
  list(): Promise<readonly Machine[]>;
  /** What is free on the file system that machines and records lie on. */
  room(): Promise<Room>;
  /** Accepted by the supervisor; already there = success. The machine knows no secret and waits for its assignment. */
  start(spec: MachineSpec): Promise<void>;
  /** Credentials delivered; waits for a machine that is still starting until the signal aborts; already assigned = success. */
  assign(id: MachineId, assignment: Assignment, signal: AbortSignal): Promise<void>;
  /** Asked to end, killed after the grace; returns when the request is delivered; absent = success. */
  stop(id: MachineId, graceMs: number): Promise<void>;
  /** Afterwards no trace is left (checked again); absent = success. Kills what still runs. Rejects with what stayed. */
  remove(id: MachineId): Promise<void>;
  /**
   * The last lines that the machine wrote to its console, oldest first, without control characters; also of a machine that was removed.
   * Where they cannot be had, one line in parentheses says why.
   */
  output(id: MachineId): Promise<readonly string[]>;
  /** Everything with our mark that exists on the host, live machines' parts included: the artefact audit. */
  artefacts(): Promise<readonly Leftover[]>;
  /** Calls back soon after a machine ended; carries no meaning but "look". Returns how to stop watching. */
  watch(wake: () => void): () => void;
};
