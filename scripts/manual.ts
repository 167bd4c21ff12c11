// Promises the manual pages and the completions as files of dist/, made from what the programs themselves go by: the two command tables and
// config.example.yaml. `npm run build` writes them; test/unit/manual.test.ts lets the tools for such pages judge them.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { commands as asked } from '../src/cli/cli.ts';
import type { Command } from '../src/cli/command.ts';
import { completionOf, shells } from '../src/cli/completion.ts';
import { exitCodes as clientCodes, globalFlags, globalFlagsOf, otherExitCodes, synopsisOf } from '../src/cli/usage.ts';
import { commands, exitCodes, options, signals, type Option } from '../src/commands.ts';

const root = new URL('..', import.meta.url);
const read = (path: string): string => readFileSync(new URL(path, root), 'utf8');

/** Where completions go below dist/, by shell: under the names that the shells look for. */
const completionFiles = {
  bash: 'completions/bash/runner-status',
  zsh: 'completions/zsh/_runner-status',
  fish: 'completions/fish/runner-status.fish',
} as const;

/** Path below dist/ and text of every file. */
export function manualOf(): ReadonlyMap<string, string> {
  const { version, description } = JSON.parse(read('package.json')) as { readonly version: string; readonly description: string };
  const source = `forgejo-runner-controller ${version}`;
  return new Map([
    ['man/man1/runner-status.1', clientPage(source)],
    ['man/man5/forgejo-runner-controller.5', settingsPage(source)],
    ['man/man8/forgejo-runner-controller.8', servicePage(source, description)],
    ...shells.map((shell) => [completionFiles[shell], `${completionOf(shell, asked).join('\n')}\n`] as const),
  ]);
}

/** Text as roff prints it as it stands. */
export function plain(text: string): string {
  const words = text
    .replaceAll('\\', String.raw`\e`)
    .replaceAll('-', String.raw`\-`)
    .replaceAll('~', String.raw`\(ti`);
  return words
    .replaceAll('^', String.raw`\(ha`)
    .replaceAll('`', String.raw`\(ga`)
    .replaceAll("'", String.raw`\(aq`)
    .replace(/^[.]/, String.raw`\&.`);
}

const bold = (text: string): string => `\\fB${plain(text)}\\fR`;
const sentence = (text: string): string => `${text[0]?.toUpperCase() ?? ''}${text.slice(1)}${/[.!?]$/.test(text) ? '' : '.'}`;

function head(name: string, section: number, source: string, says: string): readonly string[] {
  // Without a date: the same sources make the same page.
  return [
    `.TH ${plain(name.toUpperCase())} ${section} "" "${plain(source)}" "${plain(name)}"`,
    '.SH NAME',
    `${plain(name)} \\- ${plain(says)}`,
  ];
}

function item(tag: string, ...says: readonly string[]): readonly string[] {
  return ['.TP', tag, ...says.map(plain)];
}

function flagItems(flags: Readonly<Record<string, Pick<Option, 'short' | 'value' | 'says'>>>): readonly string[] {
  return Object.entries(flags).flatMap(([name, { short, value, says }]) => {
    const dashes = `${short === undefined ? '' : `${bold(`-${short}`)}, `}${bold(`--${name}`)}`;
    return item(value === undefined ? dashes : `${dashes} \\fI${plain(value)}\\fR`, sentence(says));
  });
}

function codeItems(codes: readonly (readonly [number, string])[]): readonly string[] {
  return codes.flatMap(([code, says]) => item(`\\fB${code}\\fR`, sentence(says)));
}

function page(...lines: readonly (readonly string[])[]): string {
  return `.\\" Made from the command table; do not edit.\n${lines.flat().join('\n')}\n`;
}

function clientPage(source: string): string {
  const commandItems = asked.flatMap((command) => {
    const own = Object.entries(command.flags ?? {});
    return [
      ...item(bold(synopsisOf(command)), sentence(command.says)),
      ...(own.length === 0 ? [] : ['.RS', ...flagItems(command.flags ?? {}), '.RE']),
      ...(isAsking(command) ? [] : ['.IP', plain('Asks no service; takes no option that says where it is.')]),
    ];
  });
  return page(
    head('runner-status', 1, source, 'ask forgejo-runner-controller what it does and why, and give it orders'),
    ['.SH SYNOPSIS', '.B runner\\-status', '[\\fICOMMAND\\fR] [\\fIOPTIONS\\fR]', '.SH DESCRIPTION'],
    [
      plain(
        'Asks the service over its Unix socket in /run/forgejo-runner-controller where this user can open one, else at http://127.0.0.1:8080.',
      ),
      plain('When nobody answers it says so, and what systemd knows of the service.'),
    ],
    ['.SH COMMANDS', ...commandItems],
    ['.SH OPTIONS', ...flagItems(globalFlags)],
    ['.SH EXIT STATUS', ...codeItems(clientCodes), '.PP', plain(sentence(otherExitCodes))],
    [
      '.SH ENVIRONMENT',
      ...item(bold('NO_COLOR'), 'No colours when it is set to anything.'),
      ...item(bold('TERM'), 'No colours when it is dumb.'),
    ],
    ['.SH FILES', ...item('.I /run/forgejo\\-runner\\-controller/*.sock', 'The socket of each service of this host, for root.')],
    ['.SH EXAMPLES', ...examples],
    ['.SH SEE ALSO', seeAlso],
  );
}

const seeAlso = '.BR runner\\-status (1),\n.BR forgejo\\-runner\\-controller (5),\n.BR forgejo\\-runner\\-controller (8)';
const examples = [
  ['runner-status explain --labels ubuntu-latest,gpu', 'Who would serve such a job, or what is missing.'],
  ['runner-status logs -f j0000000042', 'What a machine writes, until it ends and why.'],
  ['runner-status drain --wait', 'Before maintenance: ends when nothing of the service is left.'],
].flatMap(([line = '', says = '']) => item(bold(line), says));

function isAsking(command: Command): boolean {
  return Object.hasOwn(globalFlagsOf(command), 'socket');
}

function servicePage(source: string, description: string): string {
  const commandItems = (['run', 'check-config', 'init', 'doctor', 'sweep', 'end-all'] as const).flatMap((name) => [
    ...item(bold(name), sentence(commands[name].says)),
    '.RS',
    ...flagItems(Object.fromEntries(commands[name].takes.map((flag) => [flag, options[flag]]))),
    '.RE',
  ]);
  return page(
    head('forgejo-runner-controller', 8, source, description.replace(/\.$/, '').replace(/^R/, 'r')),
    ['.SH SYNOPSIS', '.B forgejo\\-runner\\-controller', '[\\fICOMMAND\\fR] [\\fB\\-\\-config\\fR \\fIFILE\\fR]', '.SH DESCRIPTION'],
    [plain('A service, made to be started by systemd. It polls Forgejo Actions, and what it is to do stands in its configuration.')],
    ['.SH COMMANDS', ...commandItems],
    ['.SH OPTIONS', ...flagItems({ help: options.help, version: options.version })],
    ['.SH SIGNALS', plain(signals)],
    ['.SH EXIT STATUS', ...codeItems(exitCodes)],
    ['.SH FILES', ...item('.I /etc/forgejo\\-runner\\-controller/config.yaml', 'The configuration, where the unit names it so.')],
    [...item('.I /var/lib/forgejo\\-runner\\-controller', 'Records of what runs, the machines, the archive of what they wrote.')],
    ['.SH SEE ALSO', seeAlso],
  );
}

function settingsPage(source: string): string {
  const lines = read('config.example.yaml').trimEnd().split('\n');
  return page(
    head('forgejo-runner-controller', 5, source, 'configuration of forgejo-runner-controller'),
    ['.SH DESCRIPTION'],
    [
      plain('YAML. Every key with its default and its meaning is in this example, which loads as it is.'),
      plain(
        'Variables of the environment (FORGEJO_URL, FORGEJO_TOKEN_FILE and the like) are laid over it; the end of the example names them.',
      ),
      plain('forgejo-runner-controller check-config prints what a file is taken for, or every mistake in it.'),
    ],
    ['.SH EXAMPLE', '.nf', ...lines.map(plain), '.fi'],
    ['.SH SEE ALSO', seeAlso],
  );
}

/** Writes all of it below the folder, and says what it wrote. */
export function writeManual(folder: URL): readonly string[] {
  const pages = manualOf();
  for (const [path, text] of pages) {
    const file = new URL(path, folder);
    mkdirSync(dirname(file.pathname), { recursive: true });
    writeFileSync(file, text);
  }
  return [...pages.keys()];
}
