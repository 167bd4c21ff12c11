// Promises to tell where others than root could take this service over: whoever may write its state, its configuration, or a folder on the way to
// a token, decides what the host does as root. It is told, by the doctor and at each start, and never refused: jobs may be running.

import { guardedPathsOf, type Config } from './config/config.ts';
import type { Fault } from './doctor.ts';
import { looseOf, type Loose } from './ownership.ts';

type Looked = Pick<Config, 'controllerId' | 'stateDir' | 'cacheDir' | 'profiles' | 'forges' | 'http' | 'telemetry'>;

/** One fault for each place that is loose. `file`: where the configuration was read, if not from the environment alone. */
export function looseEnds(config: Looked, file: string | undefined): readonly Fault[] {
  // Whoever may write there could have root format what a link of theirs leads to.
  const caches = config.profiles.some(({ cache }) => cache !== undefined) ? [`${config.cacheDir}/${config.controllerId}`] : [];
  const whole = [config.stateDir, ...caches, ...(file === undefined ? [] : [file])];
  // A file with a secret may be somebody's own: who may read and write it is told of each by itself.
  const others = guardedPathsOf(config).filter((path) => !whole.includes(path));
  const faults = new Map<string, { readonly loose: Loose; readonly paths: string[] }>();
  for (const path of [...whole, ...others]) {
    const loose = looked(path, whole.includes(path));
    if (loose === undefined) continue;
    const fault = faults.get(loose.path) ?? { loose, paths: [] };
    fault.paths.push(path);
    faults.set(loose.path, fault);
  }
  return [...faults.values()].map(({ loose: { path, why, remedy }, paths }) => {
    return { what: `Others than root could change what lies at ${paths.join(' and ')}, and by it this host, for ${path} ${why}`, remedy };
  });
}

function looked(path: string, self: boolean): Loose | undefined {
  try {
    return looseOf(path, self);
  } catch (error) {
    // A network file system may hide its folders even from root.
    if (!(error instanceof Error) || !('code' in error)) throw error;
    return { path, why: `cannot be looked at (${String(error.code)})`, remedy: 'see for yourself that nobody but root can write there' };
  }
}
