// Promises what the rest of the program may ask of a Forgejo: the port. Every call rejects with a ControllerError (FORGE_*) when the world
// does not answer as agreed, and never guesses: a failed read is not an empty list. No snake_case comes through here.

import type { Credentials, ForgeName, Job, Registration, Scope } from '../core/model.ts';

export type ForgeVersion = { readonly major: number; readonly minor: number; readonly patch: number; readonly text: string };

export type ReportOutcome = 'reported' | 'over' | 'foreign';

/** What a server is asked, for whoever counts. */
export type Operation =
  | 'version'
  | 'list-jobs'
  | 'list-registrations'
  | 'read-registration'
  | 'register'
  | 'unregister'
  | 'report'
  | 'other';

export type RunRef = { readonly repositoryId: number; readonly runId: number };
export type CommitStatus = { readonly state: 'pending' | 'success'; readonly context: string; readonly description: string };

/** `none`: no webhook is wanted. */
export type WebhookOutcome = 'none' | 'kept' | 'made' | 'replaced';

export type ForgeListener = (forge: ForgeName, operation: Operation, status: number | undefined) => void;

/**
 * One scope of one server. Errors of every call: FORGE_UNREACHABLE (no whole answer; `details.cancelled` when the signal fired),
 * FORGE_THROTTLED (`details.retryAfterMs`), FORGE_UNAUTHORIZED (token file, token or `details.scope`), FORGE_INCOMPATIBLE (too old, moved,
 * Actions off, another shape). `details` has method and path, and status where there was an answer; never a secret.
 */
export type Forge = {
  readonly name: ForgeName;
  readonly scope: Scope;
  /** See placeOf. */
  readonly place: string;
  /** The URL that runners inside machines use; may differ from the one that the controller polls. */
  readonly instanceUrl: string;
  /**
   * Can this server and token be worked with? Reads version, registrations and jobs; whether the token may also write shows only at the
   * first register. Rejects with FORGE_INCOMPATIBLE or FORGE_UNAUTHORIZED and the remedy.
   */
  check(signal?: AbortSignal): Promise<ForgeVersion>;
  /** Waiting and running jobs of the scope, oldest first. */
  jobs(signal?: AbortSignal): Promise<readonly Job[]>;
  /** Every registration of the scope, all pages, by ascending id. A list that cannot be had whole rejects. */
  registrations(signal?: AbortSignal): Promise<readonly Registration[]>;
  /** One registration, or undefined when the forge says that it does not exist while the scope itself can be read. */
  registration(id: number, signal?: AbortSignal): Promise<Registration | undefined>;
  /**
   * Makes one ephemeral registration and reads it back; what cannot be trusted is deleted again. Never retried: after FORGE_UNREACHABLE one
   * may exist all the same, found by name and description (or by `details.registrationId`, when its deletion failed).
   */
  register(name: string, description: string, signal?: AbortSignal): Promise<Credentials>;
  /**
   * Does the forge know this registration? False also while the whole scope is out of sight (repository gone, Actions off), so this is for
   * cleaning up alone; `registration` tells the two apart at the price of a second question.
   */
  registered(id: number, signal?: AbortSignal): Promise<boolean>;
  /**
   * Ends a task as failed, with the credentials of the runner that has it, because that runner no longer can: `lines` (each without a line
   * break) are added to the job's log. Forgejo deletes the registration with it. `over`: the task or the registration had ended before;
   * `foreign`: the task is another runner's. Safe twice.
   */
  reportFailure(credentials: Credentials, taskId: number, lines: readonly string[], signal?: AbortSignal): Promise<ReportOutcome>;
  /**
   * Afterwards this registration is handed no job; one that it has goes on. There is no way back. Absent = success, and so is a server that
   * knows no such call: it hands nothing out by its neighbour, either.
   */
  withhold(credentials: Credentials, signal?: AbortSignal): Promise<void>;
  /** Afterwards the registration does not exist; absent = success. */
  unregister(id: number, signal?: AbortSignal): Promise<void>;
  /** Says something on the commit of that run; `gone`: there is none any more. Safe twice. */
  setCommitStatus?(run: RunRef, status: CommitStatus, signal?: AbortSignal): Promise<'set' | 'gone'>;
  /** Makes sure of the webhook that the configuration wants there, if it wants one: one, and as it should be. Safe twice. */
  keepWebhook?(signal?: AbortSignal): Promise<WebhookOutcome>;
  /** Cuts what is under way and ends the keep-alive connections. */
  close(): Promise<void>;
};
