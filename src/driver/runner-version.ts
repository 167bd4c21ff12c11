// Promises to tell a forgejo-runner that is too old from one that will do, by what it says of itself. Older ones know no `one-job --handle`
// or lose a job when the reply to a fetch is lost. Pure.

const oldest = [12, 8, 2] as const;

/** `known` is the version as written; `tooOld` is only ever true for a version that could be read. */
export type RunnerVersion = { readonly known?: string; readonly tooOld: boolean };

/** Reads what `forgejo-runner --version` wrote: `forgejo-runner version v12.8.2`, with or without a suffix. */
export function runnerVersionOf(text: string): RunnerVersion {
  const [, known, ...parts] = /\bversion v?((\d+)\.(\d+)\.(\d+)[^\s]*)/.exec(text) ?? [];
  if (known === undefined) return { tooOld: false };
  const differing = oldest.findIndex((part, index) => Number(parts[index]) !== part);
  return { known, tooOld: differing >= 0 && Number(parts[differing]) < (oldest[differing] ?? 0) };
}

export const oldestRunner = oldest.join('.');
