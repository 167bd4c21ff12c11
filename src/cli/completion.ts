// Promises completions for bash, zsh and fish, made from the command table. Pure but for the command that prints them.

import { ControllerError } from '../errors.ts';
import { print, type Command, type Flags } from './command.ts';
import { globalFlags } from './usage.ts';

export const shells = ['bash', 'zsh', 'fish'] as const;

/** `all`: the table, which this command stands in. */
export function completionCommand(all: () => readonly Command[]): Command {
  return {
    name: 'completion',
    says: 'prints completions for a shell, to be sourced by it',
    argument: { name: 'SHELL', words: shells },
    alone(local, { argument }) {
      const shell = shells.find((one) => one === argument);
      if (shell === undefined) throw new ControllerError('CONFIG_INVALID', `SHELL is one of ${shells.join(', ')}`);
      print(local, completionOf(shell, all()));
      return Promise.resolve(0);
    },
  };
}

export function completionOf(shell: (typeof shells)[number], commands: readonly Command[]): readonly string[] {
  return scripts[shell](commands);
}

const scripts: Readonly<Record<(typeof shells)[number], (commands: readonly Command[]) => readonly string[]>> = { bash, zsh, fish };

function dashed(flags: Flags): readonly string[] {
  return Object.entries(flags).flatMap(([name, { short }]) => [`--${name}`, ...(short === undefined ? [] : [`-${short}`])]);
}

/** The flags after which comes a path, or another value. */
function valued(commands: readonly Command[], path: boolean): readonly string[] {
  const flags = Object.assign({}, globalFlags, ...commands.map((command) => command.flags ?? {})) as Flags;
  return Object.entries(flags).flatMap(([name, flag]) => (flag.value !== undefined && (flag.path === true) === path ? [`--${name}`] : []));
}

function bash(commands: readonly Command[]): readonly string[] {
  const names = commands.map(({ name }) => name);
  return [
    '# bash completion of runner-status: eval "$(runner-status completion bash)"',
    '_runner_status() {',
    '  local current=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} word command=',
    '  COMPREPLY=()',
    '  case $before in',
    `    ${valued(commands, true).join('|')}) mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;`,
    `    ${valued(commands, false).join('|')}) return ;;`,
    '  esac',
    '  for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do',
    `    case $word in ${names.join('|')}) command=$word; break ;; esac`,
    '  done',
    `  local words="${dashed(globalFlags).join(' ')}"`,
    '  case $command in',
    `    '') words+=" ${names.join(' ')}" ;;`,
    ...commands.flatMap(({ name, argument, flags = {} }) => {
      const more = [...dashed(flags), ...(argument?.words ?? [])];
      return more.length === 0 ? [] : [`    ${name}) words+=" ${more.join(' ')}" ;;`];
    }),
    '  esac',
    '  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")',
    '}',
    'complete -F _runner_status runner-status',
  ];
}

function zsh(commands: readonly Command[]): readonly string[] {
  return [
    '#compdef runner-status',
    '_runner_status() {',
    '  local curcontext=$curcontext state line',
    '  local -a found_commands found_flags',
    '  found_commands=(',
    ...commands.map(({ name, says }) => `    ${quoted(`${name}:${says.replaceAll(':', '\\:')}`)}`),
    '  )',
    '  found_flags=(',
    ...Object.entries(globalFlags).map((flag) => `    ${specOf(flag)}`),
    '  )',
    '  case ${words[2]} in',
    ...commands.flatMap(({ name, argument, flags = {} }) => {
      const more = [
        ...Object.entries(flags).map(specOf),
        ...(argument === undefined
          ? []
          : [quoted(`2:${argument.name}:${argument.words === undefined ? '' : `(${argument.words.join(' ')})`}`)]),
      ];
      return more.length === 0 ? [] : [`    ${name}) found_flags+=(${more.join(' ')}) ;;`];
    }),
    '  esac',
    "  _arguments -C $found_flags '1: :->command' && return",
    '  [[ $state == command ]] && _describe command found_commands',
    '}',
    'compdef _runner_status runner-status',
  ];
}

function specOf([name, { value, says, path }]: readonly [string, Flags[string]]): string {
  const tail = value === undefined ? '' : `:${value}:${path === true ? '_files' : ''}`;
  return quoted(`--${name}[${says.replaceAll(/[[\]:\\]/g, '\\$&')}]${tail}`);
}

function fish(commands: readonly Command[]): readonly string[] {
  const start = 'complete -c runner-status';
  const flagLines = (flags: Flags, when: string): readonly string[] =>
    Object.entries(flags).map(([name, { value, short, says, path }]) => {
      const takes = value === undefined ? '' : path === true ? ' -r -F' : ' -x';
      return `${start}${when} -l ${name}${short === undefined ? '' : ` -s ${short}`}${takes} -d ${quoted(says)}`;
    });
  return [
    '# fish completion of runner-status: runner-status completion fish | source',
    `${start} -f`,
    ...flagLines(globalFlags, ''),
    ...commands.map(({ name, says }) => `${start} -n __fish_use_subcommand -a ${name} -d ${quoted(says)}`),
    ...commands.flatMap(({ name, argument, flags = {} }) => {
      const when = ` -n '__fish_seen_subcommand_from ${name}'`;
      return [...flagLines(flags, when), ...(argument?.words ?? []).map((word) => `${start}${when} -a ${word}`)];
    }),
  ];
}

/** For zsh and fish, which both take '\'' for an apostrophe. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
