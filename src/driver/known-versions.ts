// Promises what is known to be wrong with versions of programs that this one rests on, and that runs all the same: told by the doctor, with
// the version that mends it. Pure. A distribution may have mended its own under the old number, so none of it is a failure.

import { faultAt, wellAt, type Finding } from '../doctor.ts';

/** Mended in these and all later ones; of an older line than all of them in none. Newest line first. */
type Mended = readonly (readonly number[])[];

const host = 'host';

/** CVE-2026-40226: an optional .nspawn file leads out of the container; 233 and later. */
const systemdMended: Mended = [[260], [259, 4], [258, 6], [257, 12]];

/** CVE-2026-39860: who may submit builds overwrites files as the daemon's user, which is root. */
const nixMended: Mended = [
  [2, 34, 5],
  [2, 33, 4],
  [2, 32, 7],
  [2, 31, 4],
  [2, 30, 4],
  [2, 29, 3],
  [2, 28, 6],
];

/** `said`: the first line of `systemd-run --version`, e.g. `systemd 252 (252.39-1~deb12u1)`. */
export function systemdFinding(said: string): Finding {
  const place = { area: host, name: 'systemd version' };
  const text = /\(([^)]+)\)/.exec(said)?.[1] ?? /^systemd (\S+)/.exec(said)?.[1];
  const version = numbersOf(text);
  if (version === undefined) return faultAt(place, { what: `systemd does not say its version (${said})` }, 'warning');
  if (isMended(version, systemdMended, 1)) return wellAt(place, `Nothing bad is known of systemd ${text}.`);
  const what = `systemd ${text} may have CVE-2026-40226: a .nspawn file beside a container's files leads out of it. Machines of this service read no such file; other containers of this host may`;
  return faultAt(place, { what, remedy: `update to ${listed(systemdMended)}, or to a package whose changes name that CVE` }, 'warning');
}

/** `said`: the first line of `nix-daemon --version`, e.g. `nix-daemon (Nix) 2.31.2`. `shared`: profiles whose jobs may ask this daemon. */
export function nixFinding(said: string, shared: readonly string[]): Finding {
  const place = { area: host, name: 'Nix version' };
  const text = /\) (\d+\S*)/.exec(said)?.[1];
  const version = numbersOf(text);
  // Lix and others count for themselves.
  if (version === undefined || !said.includes('(Nix)')) return wellAt(place, `Nothing is known of this Nix (${said}).`);
  if (isMended(version, nixMended, 2)) return wellAt(place, `Nothing bad is known of Nix ${text}.`);
  const whose = shared.length === 0 ? 'no profile lets jobs ask it' : `jobs of ${shared.join(', ')} may ask it`;
  const what = `Nix ${text} may have CVE-2026-39860: whoever may submit builds overwrites files of the host as root; ${whose}`;
  return faultAt(place, { what, remedy: `update to ${listed(nixMended)}, or to a package whose changes name that CVE` }, 'warning');
}

function numbersOf(text: string | undefined): readonly number[] | undefined {
  const found = /^\d+(?:\.\d+)*/.exec(text ?? '')?.[0];
  return found?.split('.').map(Number);
}

/** `line`: how many numbers name a line of releases that gets mended for itself. */
function isMended(version: readonly number[], mended: Mended, line: number): boolean {
  const [newest = []] = mended;
  if (isAtLeast(version, newest)) return true;
  return mended.some((each) => each.slice(0, line).every((part, index) => version[index] === part) && isAtLeast(version, each));
}

function isAtLeast(version: readonly number[], least: readonly number[]): boolean {
  for (const [index, part] of least.entries()) {
    const own = version[index] ?? 0;
    if (own !== part) return own > part;
  }
  return true;
}

function listed(mended: Mended): string {
  const texts = mended.map((each) => each.join('.'));
  return `${texts.slice(0, -1).join(', ')} or ${texts.at(-1)}`;
}
