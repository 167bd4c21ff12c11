// Promises the one answer to "what is going on": a plain picture of the last tick that HTTP, the CLI and the log all read from. No secret
// is in it: a runner's credentials are left out by type.

import type { BackOff } from './memory.ts';
import type { Denial, ForgeName, Job, Machine, MachineExit, Room, Runner, Scope } from './model.ts';

/** Where a runner is in its life; derived from record, machine and job, never stored. */
export type Phase = 'launching' | 'waiting-for-job' | 'busy' | 'stopping' | 'finalizing';

export type RunnerView = Omit<Runner, 'credentials'> & {
  readonly phase: Phase;
  readonly registrationId?: number;
  readonly machineState?: Machine['state'];
  /** Failed tries of the step that is due, and when it is tried again. */
  readonly attempts: number;
  readonly retryAt: number;
  /** The last failure of the step that is due, for a person. */
  readonly lastError?: { readonly code: string; readonly message: string };
};

export type ForgeView = {
  readonly name: ForgeName;
  readonly url: string;
  readonly scope: Scope;
  /** Its interval is to be safe alone. */
  readonly unpolled?: true;
  readonly version?: string;
  /** Epoch ms of the last poll that succeeded. */
  readonly lastGoodPollAt?: number;
  /** How long that poll took. */
  readonly lastPollMs?: number;
  /** When a webhook last asked to look. */
  readonly lastWebhookAt?: number;
  readonly error?: { readonly code: string; readonly message: string; readonly since: number };
  readonly waiting: number;
  readonly running: number;
};

/** A machine that waits for a job. */
export type WarmView = {
  readonly id: string;
  readonly profile: string;
  readonly slot: number;
  readonly state: 'starting' | 'idle';
  readonly startedAt: number;
};

/** One ended runner, newest first in the snapshot, bounded. */
export type EndedView = {
  readonly id: string;
  readonly forge: ForgeName;
  readonly job: Pick<Job, 'id' | 'name' | 'repositoryId' | 'attempt' | 'handle'>;
  readonly profile: string;
  readonly createdAt: number;
  readonly assignedAt?: number;
  readonly pickedAt?: number;
  /** When its clean-up began; absent on those of older versions. */
  readonly cleaningAt?: number;
  readonly endedAt: number;
  /** `finished` when the machine ended by itself after its job; else why we ended it, or how it died. */
  readonly reason: string;
  /** The same as a short sentence that names what to look at first; absent on those of older versions. */
  readonly cause?: string;
  readonly exit?: MachineExit;
};

export type Snapshot = {
  readonly controllerId: string;
  readonly version: string;
  readonly startedAt: number;
  /** Epoch ms when this picture was taken; undefined before the first tick. */
  readonly tickAt?: number;
  readonly ticks: number;
  /** How long the last tick took to observe and plan. */
  readonly tickMs?: number;
  readonly draining: boolean;
  /** Who asked to start nothing more, when, and how many machines and records are still to go. */
  readonly drain?: { readonly by: string; readonly since: number; readonly left: number };
  readonly host: {
    readonly error?: { readonly code: string; readonly message: string; readonly since: number };
    readonly machines: number;
    /** What is free where machines and records lie; absent when it could not be read. */
    readonly room?: Room;
    /** With less free than this nothing is started. */
    readonly floor?: { readonly bytes: number; readonly inodes: number };
    /** Why nothing is started, whoever waits. */
    readonly full?: string;
  };
  readonly forges: readonly ForgeView[];
  readonly runners: readonly RunnerView[];
  /** Their places are free for jobs, and so not used. */
  readonly warm: readonly WarmView[];
  readonly denials: readonly Denial[];
  readonly backOffs: readonly (BackOff & { readonly key: string })[];
  readonly ended: readonly EndedView[];
  readonly capacity: {
    readonly max: number;
    readonly used: number;
    /** How many machines the address pool has room for. */
    readonly slots?: number;
    readonly maxPerRepository?: number;
    readonly profiles: readonly {
      readonly name: string;
      readonly labels: readonly string[];
      readonly used: number;
      readonly max?: number;
      /** How many machines are to wait; none is started before `restUntil`, because theirs died. */
      readonly warm?: { readonly min: number; readonly restUntil?: number };
    }[];
  };
  /** What the last artefact audit found that belongs to no record and could not be removed yet. */
  readonly leftovers: readonly { readonly kind: string; readonly name: string }[];
  /** Records that could not be read and were put aside. */
  readonly quarantined: readonly string[];
};
