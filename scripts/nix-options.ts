// Promises docs/OPTIONS.md as the NixOS module says it. Run by `npm run options` after a change of nix/module; test/nix/options.test.ts fails until
// it was.

import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';

export type NixOption = {
  readonly name: string;
  readonly description: string;
  readonly type: string;
  /** As they are written in Nix; null when there is none. */
  readonly default: string | null;
  readonly example: string | null;
};

const root = new URL('..', import.meta.url).pathname;
export const optionsFile = 'docs/OPTIONS.md';
/** What evaluates to the options, for nix-instantiate. */
export const optionsQuery = ['--eval', '--strict', '--json', '--expr', 'import ./test/nix/options.nix { }'] as const;

export function optionsTextOf(options: readonly NixOption[]): string {
  const sections = options.map(({ name, description, type, default: fallback, example }) => {
    const facts = [`*Type:* ${type}`, ...shown('*Default:*', fallback), ...shown('*Example:*', example)];
    return `## \`${name}\`\n\n${description.trim()}\n\n${facts.map((fact) => `- ${fact}`).join('\n')}\n`;
  });
  return `# Options of the NixOS module

All are below \`services.forgejo-runner-controller\`. Written by \`npm run options\` from nix/module; docs/NIXOS.md shows how they are used.

${sections.join('\n')}`;
}

function shown(word: string, value: string | null): readonly string[] {
  return value === null ? [] : [`${word} \`${value.trim().replaceAll(/\s+/g, ' ')}\``];
}

if (import.meta.main) {
  const bring = (command: string, args: readonly string[]) => execFileSync(command, args, { cwd: root, encoding: 'utf8' }).trim();
  const folder = bring('bash', ['-c', '. scripts/lib && bring_nix']);
  const env = { ...process.env, NIX_REMOTE: 'dummy://', XDG_CACHE_HOME: tmpdir() };
  const text = execFileSync(`${folder}/nix-instantiate`, optionsQuery, { cwd: root, encoding: 'utf8', env });
  writeFileSync(`${root}${optionsFile}`, optionsTextOf(JSON.parse(text) as readonly NixOption[]));
}
