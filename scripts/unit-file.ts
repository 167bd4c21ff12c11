// Promises contrib/systemd/forgejo-runner-controller.service as nix/unit.json says it, from which the NixOS module makes the same unit: one
// source, two shapes. Run by `npm run unit` after a change of it; test/unit/unit-file.test.ts fails until it was.

import { readFileSync, writeFileSync } from 'node:fs';

type Directives = Readonly<Record<string, string | readonly string[]>>;

/** nix/unit.json. `Comments` are for readers of the file alone: by `Section.Directive`, an empty line being a gap; by nothing for its head. */
export type UnitSource = {
  readonly Comments: Readonly<Record<string, readonly string[]>>;
  readonly Unit: Directives;
  readonly Service: Directives;
  readonly Install: Directives;
};

const sections = ['Unit', 'Service', 'Install'] as const;
const root = new URL('..', import.meta.url);
export const unitFile = 'contrib/systemd/forgejo-runner-controller.service';

/** Where things lie on a Linux that is not NixOS, as README.md installs them. */
export const usualPlaces: Readonly<Record<string, string>> = {
  node: '/usr/bin/node',
  program: '/opt/forgejo-runner-controller/forgejo-runner-controller.js',
  config: '/etc/forgejo-runner-controller/config.yaml',
  token: '/etc/forgejo-runner-controller/token',
  // The shell's own: a small host has no procps, and so no other.
  kill: `/bin/sh -c 'kill "$@"' kill`,
};

export function unitSource(): UnitSource {
  return JSON.parse(readFileSync(new URL('nix/unit.json', root), 'utf8')) as UnitSource;
}

/** The text of the unit. Throws for a comment on nothing and for a place that nobody knows. */
export function unitTextOf(source: UnitSource, places = usualPlaces): string {
  const lost = Object.keys(source.Comments).filter((key) => key !== '' && !isThere(source, key));
  if (lost.length > 0) throw new Error(`nix/unit.json has comments on what is not there: ${lost.join(', ')}`);
  const lines = [...commentsOf(source, '')];
  for (const name of sections) {
    lines.push('', `[${name}]`);
    for (const [key, value] of Object.entries(source[name])) {
      lines.push(...commentsOf(source, `${name}.${key}`));
      for (const each of typeof value === 'string' ? [value] : value) lines.push(`${key}=${placed(each, places)}`);
    }
  }
  return `${lines.join('\n')}\n`;
}

function isThere(source: UnitSource, key: string): boolean {
  return sections.some((name) => Object.keys(source[name]).some((directive) => key === `${name}.${directive}`));
}

function commentsOf(source: UnitSource, key: string): readonly string[] {
  return (source.Comments[key] ?? []).map((line) => (line === '' ? '' : `# ${line}`));
}

function placed(value: string, places: Readonly<Record<string, string>>): string {
  return value.replaceAll(/@([a-z]+)@/g, (_, name: string) => {
    const place = places[name];
    if (place === undefined) throw new Error(`nix/unit.json names @${name}@, which scripts/unit-file.ts does not know`);
    return place;
  });
}

if (import.meta.main) writeFileSync(new URL(unitFile, root), unitTextOf(unitSource()));
