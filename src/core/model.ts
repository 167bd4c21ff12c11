// Promises the nouns of the whole program, all readonly, unions told apart by `kind` or `state`. Pure types and nothing else: no IO, no
// clock, no defaults. Times are milliseconds of the time line (clock.ts), durations end in Ms, sizes in Bytes.

import type { HostName } from './addresses.ts';
import type { Cache } from './cache.ts';
import type { Absence, BackOff, Retry } from './memory.ts';
import type { Dispatch, Dispatchable, DispatchEnd, Dispatches, Dispatching } from './dispatched.ts';
import type { Choice, Origin } from './origin.ts';
import type { Cool, Warm, WarmStart, Warmth } from './warmth.ts';

export type ForgeName = string;
/** Job handle: UUID, new for every attempt; '' on rows that are older than Forgejo 15. */
export type Handle = string;
/** `j` + last 7 digits of the job id + 3 base-36 characters; `w` + 10 of one whose machine had waited; `jd` + 9 of one that was dispatched. */
export type RunnerId = string;
export type MachineId = string;

/** Where a forge entry may look and register. */
export type Scope =
  | { readonly kind: 'repository'; readonly owner: string; readonly name: string }
  | { readonly kind: 'organization'; readonly name: string }
  | { readonly kind: 'user' }
  | { readonly kind: 'instance' };

/** Work that a forge lists. `labels` are the job's `runs_on`, bare names. */
export type Job = {
  readonly forge: ForgeName;
  readonly id: number;
  readonly handle: Handle;
  readonly attempt: number;
  readonly repositoryId: number;
  readonly ownerId: number;
  readonly name: string;
  readonly labels: readonly string[];
  /** 0 until a runner has picked the job. */
  readonly taskId: number;
  /** The run that it belongs to; Forgejo 16 is the first that tells. And where it comes from: of waiting jobs that a profile may refuse for it. */
  readonly runId?: number;
  readonly origin?: Origin;
  readonly state: 'waiting' | 'running';
};

/** What the record keeps of the job it was made for. */
export type JobRef = Pick<Job, 'id' | 'handle' | 'attempt' | 'repositoryId' | 'name' | 'labels'>;

/** What the forge gave for one runner. The token is a secret: it is stored 0600 and goes nowhere but the machine. */
export type Credentials = { readonly id: number; readonly uuid: string; readonly token: string };

/** Our durable intent for one job, or for whichever comes first (`dispatch`). Exists before anything it owns and outlives it. Its phase is derived, never stored. */
export type Runner = {
  readonly id: RunnerId;
  readonly forge: ForgeName;
  /** Where that name led when it was made (placeOf): a name that leads elsewhere now is another forge. Absent on older records. */
  readonly place?: string;
  readonly job: JobRef;
  readonly dispatch?: Dispatch;
  /** Its job was seen to run the own code of its repository. */
  readonly ownCode?: true;
  readonly profile: string;
  readonly machine: MachineId;
  /** Number of the subnet, uid range and interface that the machine holds. */
  readonly slot: number;
  readonly createdAt: number;
  /** The clocks it was made with: a configuration that changes meanwhile neither shortens nor lengthens them. Absent on older records. */
  readonly timeouts?: Timeouts;
  readonly credentials?: Credentials;
  readonly assignedAt?: number;
  /** When the forge was first seen to say that the job runs. */
  readonly pickedAt?: number;
  /** When the forge said that the job runs while our runner was idle: somebody else took it. */
  readonly missedAt?: number;
  /** The forge's number for the job's run by our runner: what a report about it must name. */
  readonly taskId?: number;
  readonly stop?: { readonly reason: StopReason; readonly at: number };
  /** How it ended, kept for as long as the forge may have to be told: the traces on the host go before. */
  readonly ending?: Ending & { readonly at: number };
};

/** Why a runner was ended by us rather than by its job. */
export type StopReason =
  | 'start-timeout' // the machine did not come up in time
  | 'unpicked' // the machine waited, the job did not come (a concurrency group, or another runner took it)
  | 'job-timeout'
  | 'cancelled' // the forge ended the job while our runner was at it: it deletes the registration of a job that it ends
  | 'job-gone' // the job left the forge's list before our runner had it
  | 'start-failed' // creating it failed too often
  | DispatchEnd
  | 'operator';

/** How a runner ended: by itself, by us, or with its machine. */
export type EndReason = StopReason | 'finished' | 'machine-failed' | 'machine-lost';

/** What the forge lists as a runner. */
export type Registration = {
  readonly id: number;
  readonly uuid: string;
  readonly name: string;
  readonly description: string;
  readonly ephemeral: boolean;
  readonly status: 'offline' | 'idle' | 'active';
};

/**
 * How a machine ended, as systemd says it: SERVICE_RESULT, EXIT_CODE, EXIT_STATUS; `lost` = no exit record and no unit (host reboot). What it
 * used is there when the kernel could tell.
 */
export type MachineExit = {
  readonly result: string;
  readonly code: string;
  readonly status: string;
  /** The most memory that all of it held at once. */
  readonly memoryPeakBytes?: number;
  /** Processes that the kernel killed for want of memory. */
  readonly oomKills?: number;
  /** Processor time of all of it. */
  readonly cpuMs?: number;
};

/** What the host lists. `starting`: accepted; `idle`: waits for its assignment; `running`: was assigned; `exited`: ended, not yet removed. */
export type Machine = {
  readonly id: MachineId;
  readonly slot: number;
  readonly startedAt: number;
  readonly state: 'starting' | 'idle' | 'running' | 'exited';
  readonly exit?: MachineExit;
  /** Only of one that was started to wait for a job, whose record is on the host alone: its profile, and its build as Driver.builds says it. */
  readonly warm?: { readonly profile: string; readonly build: string };
};

export type Template =
  | { readonly kind: 'host' } // the host's own /usr, read-only
  | { readonly kind: 'directory'; readonly path: string } // an overlay over a root directory
  | { readonly kind: 'system'; readonly path: string } // the same, and its own systemd is the first process
  | { readonly kind: 'nix-env'; readonly path: string } // the Nix store, and an environment in it whose bin is PATH
  | { readonly kind: 'nixos'; readonly path: string }; // the Nix store, and a system in it whose systemd is the first process

/** What jobs get of Nix: `daemon` = the host's, as a client that it does not trust; `own` = a store of their machine's own, which goes with it. */
export type NixAccess = 'daemon' | 'own';

/** A path of the host that machines of a profile see. Owned by root inside (idmapped); read-only unless `writable`. */
export type Bind = { readonly source: string; readonly target: string; readonly writable: boolean };

export type Limits = {
  /** Processors, fractions allowed: 1.5 = 150% of one. */
  readonly cpus?: number;
  readonly memoryBytes?: number;
  readonly tasks?: number;
  readonly diskBytes?: number;
};

/** startMs: launch to ready; pickMs: assigned to picked; jobMs: picked to done; stopMs: grace between asking and killing. */
export type Timeouts = { readonly startMs: number; readonly pickMs: number; readonly jobMs: number; readonly stopMs: number };

/** A label set with what serves it. */
export type Profile = {
  readonly name: string;
  /** Bare label names that it serves (scheme stripped). */
  readonly labels: readonly string[];
  readonly template: Template;
  readonly limits: Limits;
  readonly timeouts: Timeouts;
  /** Path of the forgejo-runner binary on the host; machines see it read-only. */
  readonly runnerPath: string;
  /** What the SHA-256 of that file must be, in hexadecimal; undefined = whatever it is. */
  readonly runnerSha256?: string;
  /** undefined = nothing of Nix but what the template holds. */
  readonly nixAccess?: NixAccess;
  /** What jobs run containers with; and whether those of forks' pull requests are refused, with those of which that is not known. */
  readonly containers?: 'podman';
  readonly refusesForks?: true;
  /** Of which repositories and by which events it takes jobs; undefined = all. */
  readonly repositories?: Choice;
  readonly events?: Choice;
  /** Resolvers that its machines use, and the only ones that they reach; undefined = those of the network. */
  readonly nameservers?: readonly string[];
  /** Names that its machines know beside what resolvers tell. */
  readonly extraHosts?: readonly HostName[];
  readonly binds: readonly Bind[];
  /** Extra environment of the job; never a secret. */
  readonly environment: Readonly<Record<string, string>>;
  readonly max?: number;
  /** What the jobs of one repository keep between them; absent = nothing. */
  readonly cache?: Cache;
  /** Absent: its machines are started when a job waits, none before. */
  readonly warm?: Warm;
};

/** What was read from one source: known, or unknown with the reason. Unknown is never empty (I2). */
export type Reading<T> =
  | { readonly state: 'known'; readonly value: T; readonly at: number }
  | { readonly state: 'unknown'; readonly reason: string };

/** A forge's answer, numbered: a job that was settled during or before this poll may still be in it and must not be started again. */
export type JobList = { readonly jobs: readonly Job[]; readonly poll: number };

/** How a runner ended, as it was first seen: a clean-up that needs several tries must not see something else in what it left. */
export type Ending = { readonly reason: EndReason; readonly exit?: MachineExit };

/** What is free on the file system that machines and records lie on. `inodes` is absent where they are not counted. */
export type Room = { readonly path: string; readonly bytes: number; readonly inodes?: number };

/** Everything plan may look at. */
export type World = {
  readonly jobs: ReadonlyMap<ForgeName, Reading<JobList>>;
  /** Only read when maintenance is due; unknown otherwise. */
  readonly registrations: ReadonlyMap<ForgeName, Reading<readonly Registration[]>>;
  readonly machines: Reading<readonly Machine[]>;
  readonly room: Reading<Room>;
  readonly runners: readonly Runner[];
  /** Ids with an action under way, taken before anything else was read. */
  readonly inFlight: ReadonlySet<RunnerId>;
  /** Those of them that begin something: what they make may be in no list and no record yet. */
  readonly beginning: readonly Extract<Action, { readonly kind: 'launch' | 'warm' }>[];
  readonly warmth: Warmth;
  readonly dispatching: Dispatching;
  /** Forges that have not answered for long enough to know who is at work: `idle` means nothing there. */
  readonly fresh: ReadonlySet<ForgeName>;
  /** By jobKeyOf. */
  readonly backOffs: ReadonlyMap<string, BackOff>;
  readonly absences: ReadonlyMap<RunnerId, Absence>;
  /** Runners that an operator asked to end. */
  readonly condemned: ReadonlySet<RunnerId>;
  /** By jobKeyOf: the number of the forge's last poll when the runner of that job was finalized. */
  readonly settled: ReadonlyMap<string, number>;
  /** Runners whose clean-up has begun: nothing but its end may follow. */
  readonly endings: ReadonlyMap<RunnerId, Ending>;
  /** By the id of the action. */
  readonly retries: ReadonlyMap<string, Retry>;
  /** The slot that was given last; -1 before the first. */
  readonly lastSlot: number;
};

/** `draining`: finish what runs, start nothing. `ending`: stop and remove everything of ours, too. */
export type Mode = 'serving' | 'draining' | 'ending';

/** What plan decides by; comes from the configuration and the operator. */
export type Policy = {
  readonly controllerId: string;
  /** Marks our registrations: the description must be exactly this. */
  readonly description: string;
  readonly maxConcurrent: number;
  readonly maxPerRepository?: number;
  readonly profiles: readonly Profile[];
  readonly dispatch?: Dispatchable;
  /** With less than this free nothing is started; absent = whatever is free will do. */
  readonly floor?: { readonly bytes: number; readonly inodes: number };
  /** How many slots the address pool has. */
  readonly slots: number;
  readonly mode: Mode;
  /** How long a machine may outlive its job in the forge's list. */
  readonly goneGraceMs: number;
};

export type Action =
  /** Make the record's world true: registered, machine up, credentials handed over. Also resumes a launch that was cut short. */
  | { readonly kind: 'launch'; readonly id: RunnerId; readonly runner: Runner }
  /** Ask whether it is our runner that took the job, and note the answer on the record. */
  | { readonly kind: 'confirm'; readonly id: RunnerId; readonly runner: Runner; readonly taskId: number }
  /** Note the reason on the record, then ask the machine to end (re-issued until it does). */
  | { readonly kind: 'stop'; readonly id: RunnerId; readonly runner: Runner; readonly reason: StopReason; readonly graceMs: number }
  /** stop machine, remove machine, tell the forge of a job that nobody ended, unregister, delete record. */
  | { readonly kind: 'finalize'; readonly id: RunnerId; readonly runner: Runner; readonly reason: EndReason; readonly exit?: MachineExit }
  | WarmStart
  | Cool
  /** Remove a machine that has our mark and no record. */
  | { readonly kind: 'sweep-machine'; readonly id: MachineId }
  /** Remove a registration that has our mark and no record. */
  | { readonly kind: 'sweep-registration'; readonly id: string; readonly forge: ForgeName; readonly registration: Registration };

/** Why a waiting job is not being started now: data with a sentence for a person. */
export type Denial = {
  readonly job: Job;
  readonly reason:
    | 'unmatched'
    | 'draining'
    | 'capacity'
    | 'profile-capacity'
    | 'repository-capacity'
    | 'back-off'
    | 'dispatched'
    | 'no-slot'
    | 'host-unknown'
    | 'host-full'
    | 'fork'
    | 'repository'
    | 'event'
    | 'id-taken';
  readonly sentence: string;
  /** Place in the fair order among the jobs that could be started, from 1. */
  readonly position?: number;
};

export type Plan = Dispatches & { readonly actions: readonly Action[]; readonly denials: readonly Denial[] };
