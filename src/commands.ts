// Promises the words that the service's own program takes, as one table: main parses by it, its help, its manual page and those commands of
// runner-status that are handed on to it are made from it. Data, and pure.

export type Option = {
  readonly type: 'string' | 'boolean';
  readonly short?: string;
  /** What its value is called in the help. */
  readonly value?: string;
  /** The value is a path, for completions. */
  readonly path?: true;
  readonly says: string;
};

/** For every command. */
const everywhere = ['help', 'version'] as const;

export const options = {
  config: {
    type: 'string',
    short: 'c',
    value: 'FILE',
    path: true,
    says: 'YAML configuration; without it, the environment alone (FORGEJO_URL, FORGEJO_TOKEN_FILE, ...)',
  },
  yes: { type: 'boolean', says: 'what would only be told is done' },
  url: { type: 'string', value: 'URL', says: 'where the forge is, such as https://forge.example.org' },
  scope: { type: 'string', value: 'SCOPE', says: 'whose jobs: repository:OWNER/NAME, organization:NAME, user or instance' },
  labels: { type: 'string', value: 'A,B', says: 'labels to serve' },
  'token-file': { type: 'string', value: 'PATH', path: true, says: 'file with the token of the forge; it need not be there yet' },
  runner: { type: 'string', value: 'PATH', path: true, says: 'the forgejo-runner to use' },
  output: {
    type: 'string',
    value: 'FILE',
    path: true,
    says: 'what is written, - for standard output; default /etc/forgejo-runner-controller/config.yaml',
  },
  json: { type: 'boolean', says: 'findings for programs' },
  pending: { type: 'boolean', says: 'tokens need not be there yet' },
  help: { type: 'boolean', short: 'h', says: 'this text' },
  version: { type: 'boolean', short: 'V', says: 'the version' },
} as const satisfies Readonly<Record<string, Option>>;

export type OptionName = keyof typeof options;

type Command = { readonly says: string; readonly takes: readonly OptionName[] };

/** The first is the default. */
export const commands = {
  run: { says: 'poll, run jobs in containers, serve the API (the default)', takes: ['config'] },
  'check-config': { says: 'print the configuration as resolved, or every mistake in it', takes: ['config', 'pending'] },
  init: {
    says: 'write a commented configuration from the options, ask on a terminal for what is missing, and tell what token it needs and what else is to do; a file that is there stays as it is',
    takes: ['url', 'scope', 'labels', 'token-file', 'runner', 'output'],
  },
  doctor: {
    says: 'look at the configuration, this host, every profile and forge, and the service, and change nothing: each finding with its remedy (exit 1 if one failed; warnings alone are 0)',
    takes: ['config', 'json'],
  },
  sweep: {
    says: 'while the service is stopped: tell which registrations of this controller are left that no machine and no record has, and exit 0; with --yes delete them (exit 1 if one could not be)',
    takes: ['config', 'yes'],
  },
  'end-all': {
    says: 'tell what of this controller is there, records, machines and registrations, and exit 0; with --yes stop and remove all of it, running jobs too (exit 1 if something could not be); a service that runs does it itself and ends',
    takes: ['config', 'yes'],
  },
} as const satisfies Readonly<Record<string, Command>>;

export type CommandName = keyof typeof commands;

export const signals =
  'HUP reads the configuration again; USR1 starts nothing more, finishes what runs and ends; USR2 takes that back; TERM ends it at once while running jobs go on and are found by the next start.';

export const exitCodes: readonly (readonly [code: number, says: string])[] = [
  [0, 'done'],
  [1, 'failed'],
  [2, 'configuration or usage'],
  [3, 'this host cannot run machines'],
  [4, 'the state directory is held by another'],
  [5, 'a token file is missing, empty or cannot be read (start it again when it is there)'],
  [70, 'a bug'],
];

export function isCommand(word: string): word is CommandName {
  return Object.hasOwn(commands, word);
}

/** The first of these options that the command does not take. */
export function oddOption(command: CommandName, given: readonly string[]): string | undefined {
  const taken = new Set<string>([...commands[command].takes, ...everywhere]);
  return given.find((name) => !taken.has(name));
}

/** `-c, --config FILE`; one without a short form is indented as if it had one. */
export function headOf(name: string, { short, value }: { readonly short?: string; readonly value?: string }): string {
  return `${short === undefined ? '    ' : `-${short}, `}--${name}${value === undefined ? '' : ` ${value}`}`;
}

/** The help. */
export function usage(): string {
  const codes = exitCodes.map(([code, says]) => `${code} ${says}`).join('; ');
  const given = Object.entries<Option>(options);
  return `Usage: forgejo-runner-controller [COMMAND] [--config FILE]

Commands:
${columnsOf(Object.entries(commands).map(([name, { says }]) => [name, says]))}

${filled(`Signals to a running service: ${signals}`, '').join('\n')}

Options:
${columnsOf(given.map(([name, option]) => [headOf(name, option), ofWhom(name) + option.says]))}

${filled(`Exit codes: ${codes}.`, '').join('\n')}
`;
}

/** Which commands alone take it, for the help. */
function ofWhom(name: string): string {
  const takers = Object.entries<Command>(commands).flatMap(([command, { takes }]) => (takes.some((one) => one === name) ? [command] : []));
  return takers.length === 0 || name === 'config' ? '' : `${takers.join(', ')}: `;
}

/** Two columns, the right one filled. */
export function columnsOf(rows: readonly (readonly [left: string, right: string])[]): string {
  const width = Math.max(...rows.map(([left]) => left.length));
  const indent = ' '.repeat(width + 4);
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${filled(right, indent).join('\n').trimStart()}`).join('\n');
}

const columns = 132;

/** The words in lines, each after the indent. */
export function filled(text: string, indent: string): readonly string[] {
  const lines: string[] = [];
  let line = indent;
  for (const word of text.split(' ')) {
    if (line.length + word.length > columns) lines.push(line.trimEnd());
    line = line.length + word.length > columns ? `${indent}${word} ` : `${line}${word} `;
  }
  return [...lines, line.trimEnd()];
}
