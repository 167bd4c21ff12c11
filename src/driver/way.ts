// Promises, as types, what tells one way of running machines on a host from another: whose unit runs them, how it is handed to systemd, and
// what it alone leaves. Networks, credentials, exit records, lists and removal are the same for all ways.

import type { MachineId } from '../core/model.ts';
import type { Leftover } from './driver.ts';
import type { UnitInput } from './nspawn-unit.ts';

export type Way = {
  readonly unitOf: (id: MachineId) => string;
  /** Whether a unit of that name, if there is one, is ours: not all names say it. */
  readonly isOurs: (id: MachineId) => boolean;
  /** True while systemd holds the unit: from its start on, until it has ended for good. */
  readonly unitIsThere: (id: MachineId) => Promise<boolean>;
  /** Machines of ours that systemd may hold a unit of. */
  readonly units: () => readonly MachineId[];
  /** Machines of ours of which something is there that only this way makes. */
  readonly traces: () => readonly MachineId[];
  /** What that is, of one machine. */
  readonly leftoversOf: (id: MachineId) => Promise<readonly Leftover[]>;
  /** Hands the machine to systemd; its root, its network and what it shares with us are there. */
  readonly launch: (unit: UnitInput) => Promise<void>;
  /** Takes back a start that systemd has not come to yet. */
  readonly callOff: (id: MachineId) => Promise<void>;
  /** Removes what leftoversOf names. The unit has ended. */
  readonly letGo: (id: MachineId) => Promise<void>;
};

/** Whose machines, and where what is kept of them lies. */
export type Site = { readonly controllerId: string; readonly stateDir: string; readonly way: Way };
