// Promises what the rest of the program may ask of a Forgejo: the port. Every call rejects with a ControllerError (FORGE_*) when the world
// does not answer as agreed, and never guesses: a failed read is not an empty list. No snake_case comes through here.

import type { Credentials, ForgeName, Job, Registration, Scope } from '../core/model.ts';

export type ForgeVersion = { readonly major: number; readonly minor: number; readonly patch: number; readonly text: string };

export type Forge = {
  readonly name: ForgeName;
  readonly scope: Scope;
  /** The URL that runners inside machines use; may differ from the one that the controller polls. */
  readonly instanceUrl: string;
  /** Can this server and token be worked with? Rejects with FORGE_INCOMPATIBLE or FORGE_UNAUTHORIZED and the remedy. */
  check(signal?: AbortSignal): Promise<ForgeVersion>;
  /** Waiting and running jobs of the scope, oldest first. */
  jobs(signal?: AbortSignal): Promise<readonly Job[]>;
  /** Every registration of the scope, all pages. */
  registrations(signal?: AbortSignal): Promise<readonly Registration[]>;
  /** One registration, or undefined when the forge says that it does not exist. */
  registration(id: number, signal?: AbortSignal): Promise<Registration | undefined>;
  /** Makes one ephemeral registration (never retried: a lost reply may have made one) and reads it back. */
  register(name: string, description: string, signal?: AbortSignal): Promise<Credentials>;
  /** Afterwards the registration does not exist; absent = success. */
  unregister(id: number, signal?: AbortSignal): Promise<void>;
  /** Ends the keep-alive connections. */
  close(): Promise<void>;
};
