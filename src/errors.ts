// Promises one error class for everything the world can do to us, and one table that says what each code means for the reader's next
// move: retry or not, which HTTP status, which exit code. Bugs are assertions and never come through here.

/** What a code means: `retry` = the same call may succeed later; `http` = status of an API answer; `exit` = exit code of the process. */
type Meaning = { readonly retry: boolean; readonly http: number; readonly exit: number };

const table = {
  /** The configuration is wrong; `details` holds every mistake at once. */
  CONFIG_INVALID: { retry: false, http: 500, exit: 2 },
  /** A request to our API that says what it may not; `details.parameter` names where. */
  PARAMETER_INVALID: { retry: false, http: 400, exit: 1 },
  /** Nothing is wrong but that a token file is missing, empty or not to be read: it may be there at the next start. */
  TOKEN_UNREADABLE: { retry: true, http: 500, exit: 5 },
  /** No usable answer: connection, time-out, 5xx, cut or unreadable body. */
  FORGE_UNREACHABLE: { retry: true, http: 502, exit: 1 },
  /** 429 or Retry-After: `details.retryAfterMs` says when. */
  FORGE_THROTTLED: { retry: true, http: 503, exit: 1 },
  /** 401 or 403: the token, or the scope that it lacks. */
  FORGE_UNAUTHORIZED: { retry: true, http: 502, exit: 1 },
  /** The server answered something this program cannot work with: too old, moved (redirect), Actions off, a reply of another shape. */
  FORGE_INCOMPATIBLE: { retry: true, http: 502, exit: 1 },
  /** A step on the host failed; may work next time. */
  DRIVER_FAILED: { retry: true, http: 500, exit: 1 },
  /** This host cannot run machines at all; the message says why and what to do. */
  DRIVER_UNAVAILABLE: { retry: false, http: 503, exit: 3 },
  /** The host has no room at the moment (addresses, disk, inotify): counts no attempt. */
  HOST_EXHAUSTED: { retry: true, http: 503, exit: 1 },
  /** The state directory could not be written or read. */
  STORE_FAILED: { retry: true, http: 500, exit: 1 },
  /** The state directory belongs to somebody else: another controller id, or a running copy of this one. */
  STATE_LOCKED: { retry: false, http: 500, exit: 4 },
  /** Of runner-status: nobody answers where the service should, or not in time, or something else does. */
  API_UNREACHABLE: { retry: true, http: 502, exit: 3 },
  /** Of runner-status: the service said no. */
  API_REFUSED: { retry: false, http: 502, exit: 1 },
  /** Of runner-status: the service does not know who asks, or this user may not open its socket. */
  API_FORBIDDEN: { retry: false, http: 502, exit: 4 },
} as const satisfies Record<string, Meaning>;

export type ErrorCode = keyof typeof table;

/** The one error class. The message is a whole sentence for a person; `details` never holds a secret. */
export class ControllerError extends Error {
  readonly code: ErrorCode;
  readonly details: Readonly<Record<string, unknown>>;

  constructor(code: ErrorCode, message: string, options: { cause?: unknown; details?: Readonly<Record<string, unknown>> } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'ControllerError';
    this.code = code;
    this.details = options.details ?? {};
  }

  get retry(): boolean {
    return table[this.code].retry;
  }
  get httpStatus(): number {
    return table[this.code].http;
  }
  get exitCode(): number {
    return table[this.code].exit;
  }
}

/** What the system, or Node, calls a failure: ENOENT, ECONNREFUSED. Undefined for errors of our own, and for bugs. */
export function errnoOf(error: unknown): string | undefined {
  if (error instanceof ControllerError || !(error instanceof Error) || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

/** True for our own errors, narrowed to a code when one is given. Anything else is a bug and must not be handled as the world's doing. */
export function isControllerError(error: unknown, code?: ErrorCode): error is ControllerError {
  return error instanceof ControllerError && (code === undefined || error.code === code);
}
