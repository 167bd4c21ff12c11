// The one error of the stand-in runner: it carries the exit code and the sentence that main prints after "Error: ".

export class RunnerFailure extends Error {
  readonly exitCode: number;

  constructor(message: string, exitCode = 1) {
    super(message);
    this.name = 'RunnerFailure';
    this.exitCode = exitCode;
  }
}

/** The text of anything that was thrown, as a log line needs it. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
