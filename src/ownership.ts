// Promises who beside root can change what the host finds at a path: whoever may write one of the folders on the way could put a link there
// that leads anywhere, and the host, which follows it as root, would take it for the operator's. Looks only.

import { lstatSync, readlinkSync, type Stats } from 'node:fs';
import { dirname, join, parse, resolve, sep } from 'node:path';

/** Where others may change it, and how. */
export type Loose = { readonly path: string; readonly why: string; readonly remedy: string };

/** As the kernel does. */
const mostLinks = 40;

/** `self`: also the thing itself must be root's, not only every folder on the way. Undefined when nobody else may change it. */
export function looseOf(path: string, self = false, links = 0): Loose | undefined {
  const { root } = parse(path);
  const steps = path
    .slice(root.length)
    .split(sep)
    .filter((step) => step !== '');
  let at = root;
  for (const [index, step] of ['', ...steps].entries()) {
    const folder = at;
    at = join(at, step);
    const found = lstatSync(at, { throwIfNoEntry: false });
    // What is not there is told by whoever needs it.
    if (found === undefined) return undefined;
    if (found.isSymbolicLink()) {
      if (links >= mostLinks) return { path: at, why: 'is one of too many links', remedy: 'name the place itself' };
      const rest = steps.slice(index);
      return ownerFault(at, found) ?? looseOf(join(resolve(folder, readlinkSync(at)), ...rest), self, links + 1);
    }
    const last = index === steps.length;
    if (last && !self) return index > 0 && isSticky(dirname(at)) ? ownerFault(at, found) : undefined;
    const fault = ownerFault(at, found) ?? modeFault(at, found);
    if (fault !== undefined) return fault;
  }
  return undefined;
}

function ownerFault(path: string, { uid }: Stats): Loose | undefined {
  return uid === 0 || uid === process.getuid?.() ? undefined : { path, why: `belongs to uid ${uid}`, remedy: `chown root ${path}` };
}

/** In a sticky folder only who owns an entry may replace it, and its owner is looked at. */
function modeFault(path: string, found: Stats): Loose | undefined {
  const loose = (found.mode & 0o022) !== 0 && !(found.isDirectory() && (found.mode & 0o1000) !== 0);
  const why = `has mode ${(found.mode & 0o7777).toString(8).padStart(4, '0')}`;
  return loose ? { path, why, remedy: `chmod go-w ${path}` } : undefined;
}

function isSticky(path: string): boolean {
  return (lstatSync(path).mode & 0o1022) > 0o1000;
}
