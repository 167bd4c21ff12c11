// Promises which tags a version gets: its own, which never moves, and those that follow it (`latest`, `v1`, `v1.2`), which move forward only: a
// repair of an old line moves that line's tag and no other, a version before its release none.

export type Version = { readonly major: number; readonly minor: number; readonly patch: number; readonly before?: string };

export function versionOf(text: string): Version | undefined {
  const [, major, minor, patch, before] = /^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(?:-([0-9A-Za-z.-]+))?$/.exec(text) ?? [];
  if (major === undefined) return undefined;
  return { major: Number(major), minor: Number(minor), patch: Number(patch), ...(before === undefined ? {} : { before }) };
}

/** Semantic Versioning's order of what is before a release: numbers by value and below words, the shorter first. */
function compareBefore(a: readonly string[], b: readonly string[]): number {
  for (const [index, part] of a.entries()) {
    const other = b[index];
    if (other === undefined) return 1;
    if (part === other) continue;
    const numbers = [part, other].map((one) => /^\d+$/.test(one));
    if (numbers[0] === true && numbers[1] === true) return Number(part) - Number(other);
    if (numbers[0] !== numbers[1]) return numbers[0] === true ? -1 : 1;
    return part < other ? -1 : 1;
  }
  return a.length - b.length;
}

export function compareVersions(a: Version, b: Version): number {
  const release = a.major - b.major || a.minor - b.minor || a.patch - b.patch;
  if (release !== 0 || a.before === b.before) return release;
  if (a.before === undefined || b.before === undefined) return a.before === undefined ? 1 : -1;
  return compareBefore(a.before.split('.'), b.before.split('.'));
}

/** The tags that follow a version, when those of `released` are out. */
export function movingTagsOf(version: Version, released: readonly Version[]): readonly string[] {
  if (version.before !== undefined) return [];
  const newest = (among: (one: Version) => boolean) =>
    released.every((one) => one.before !== undefined || !among(one) || compareVersions(one, version) <= 0);
  const { major, minor } = version;
  return [
    ...(newest(() => true) ? ['latest'] : []),
    ...(newest((one) => one.major === major) ? [`v${major}`] : []),
    ...(newest((one) => one.major === major && one.minor === minor) ? [`v${major}.${minor}`] : []),
  ];
}
