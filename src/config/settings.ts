// Promises the shape of a configuration that was read and checked: whole, frozen, durations in milliseconds, sizes in bytes, no secret.

import type { Network } from '../core/addresses.ts';
import type { Dispatchable } from '../core/dispatched.ts';
import type { Profile, Scope } from '../core/model.ts';

export type ForgeConfig = {
  readonly name: string;
  /** Where the controller polls; no trailing slash. */
  readonly url: string;
  /** What runners inside machines use; defaults to `url`. */
  readonly instanceUrl: string;
  readonly scope: Scope;
  /** Who must have signed the certificate of `url`, as PEM; absent = whom Node trusts. */
  readonly ca?: { readonly file: string; readonly pem: string };
  /** A file with the access token; read again whenever it changes. */
  readonly tokenFile: string;
  /** Per-forge quiet poll interval; defaults to the global one. With `unpolled` how often it is asked to be safe. */
  readonly pollIntervalMs: number;
  /** It is asked when something happened, and else as good as never. */
  readonly unpolled?: true;
  /** Commits of jobs that wait for longer say why; absent = none does. */
  readonly waitingStatus?: { readonly afterMs: number };
  /** Deliveries that wake the poll; absent = none are taken. */
  readonly webhook?: {
    /** A file with the secret that they are signed with; read at each use. */
    readonly secretFile: string;
    /** The quiet poll interval once they come. */
    readonly pollIntervalMs: number;
    /** Where the forge is to send them, if the webhook is to be made sure of there. */
    readonly ensureUrl?: string;
    /** Of what it is told then; absent = of what may make jobs wait. */
    readonly events?: readonly string[];
    /** It is made, and sends nothing. */
    readonly inactive?: true;
  };
};

export type Config = {
  /** What runs machines: transient units of systemd-nspawn, or containers of NixOS. */
  readonly driver: 'nspawn' | 'nixos-container';
  /** Where the host has the CLI nixos-container, its confs and its roots. */
  readonly nixosContainer: { readonly program: string; readonly configurationDirectory: string; readonly stateDirectory: string };
  readonly controllerId: string;
  /** True when no controllerId was given: the daemon warns. */
  readonly controllerIdIsDefault: boolean;
  readonly stateDir: string;
  /** Where what jobs keep between them lies, for profiles that have a cache. */
  readonly cacheDir: string;
  readonly maxConcurrent: number;
  readonly maxPerRepository?: number;
  /** Labels that an order may dispatch runners with; absent = none. */
  readonly dispatch?: Dispatchable;
  /** Nothing is started with less free on the state directory's file system; 0 = off. */
  readonly minFreeDiskBytes: number;
  readonly pollIntervalMs: number;
  /** Default of the profiles' job clock; /status shows it. */
  readonly jobTimeoutMs: number;
  /** How long and how much is kept of machines that ended; 0 = nothing, of perJobBytes: no console. */
  readonly archive: { readonly maxAgeMs: number; readonly maxBytes: number; readonly perJobBytes: number };
  readonly http: {
    readonly host: string;
    readonly port: number;
    /** What every path begins with, for a proxy; '' = nothing. */
    readonly basePath: string;
    /** Who has the token in it may change things; read again at each use. Absent = nobody may over TCP. */
    readonly tokenFile?: string;
    /** Who may open it (root) may change things. Absent = there is none. */
    readonly socket?: string;
  };
  readonly forges: readonly ForgeConfig[];
  readonly profiles: readonly Profile[];
  readonly network: Network;
  /** Cron expression of the maintenance: unused registrations of ours, artefact audit. */
  readonly maintenance: string;
  /** Whether /metrics counts for each repository what its jobs used: who may ask then learns which repositories are busy. */
  readonly metrics: { readonly perRepository: boolean };
  /** Where spans of jobs are sent, see docs/OPERATIONS.md; absent = nowhere, and nothing of it is loaded. */
  readonly telemetry?: {
    /** What `/v1/traces` is added to. */
    readonly endpoint: string;
    /** Headers of each request, such as Authorization, a line each; read again at each use. */
    readonly headersFile?: string;
  };
  readonly logLevel: 'debug' | 'info' | 'warn' | 'error';
  /** Things a careful operator should know, e.g. a token file that others may read. */
  readonly warnings: readonly string[];
};
