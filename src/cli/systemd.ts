// Promises what systemd knows of the service when the service itself does not answer: its state and since when, and how many of its machines
// run on. Asks only; what systemd does not say is not guessed.

import type { ExecFileException } from 'node:child_process';
import { exitCodes } from '../commands.ts';

/** The unit of contrib/systemd and of the NixOS module. */
export const serviceUnit = 'forgejo-runner-controller.service';
/** What machines' units are called, by either driver; a service of another name that begins alike is none. */
const machineUnit = /^(?:forgejo-runner-\S+-|container@)[jw][0-9a-z]{10}\.service$/;
const answerMs = 3_000;

/** A line for a person, and the ActiveState; without one the unit is not installed. */
export type Known = { readonly line: string; readonly active?: string | undefined };

/** Undefined where there is no systemd that answers. */
export async function systemdKnows(env: NodeJS.ProcessEnv): Promise<Known | undefined> {
  const [shown, listed] = await Promise.all([
    systemctl(env, 'show', serviceUnit, '--property=LoadState,ActiveState,SubState,Result,ExecMainStatus,StateChangeTimestamp'),
    systemctl(
      env,
      'list-units',
      'forgejo-runner-*.service',
      'container@*.service',
      '--state=active',
      '--plain',
      '--no-legend',
      '--no-pager',
    ),
  ]);
  if (shown === undefined) return undefined;
  const properties = propertiesOf(shown);
  const installed = properties.get('LoadState') !== 'not-found';
  return { line: `${stateOf(properties)}; ${machinesOf(listed)}`, active: installed ? properties.get('ActiveState') : undefined };
}

/** What the files of the unit say for a directive of lists, in which an empty line begins anew; nothing where there is no unit. */
export async function directivesOf(env: NodeJS.ProcessEnv, name: string): Promise<readonly string[]> {
  const text = (await systemctl(env, 'cat', '--no-pager', serviceUnit)) ?? '';
  const given = text.split('\n').flatMap((line) => (line.startsWith(`${name}=`) ? [line.slice(name.length + 1).trim()] : []));
  return given.slice(given.lastIndexOf('') + 1);
}

function propertiesOf(shown: string): ReadonlyMap<string, string> {
  return new Map(shown.split('\n').map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]));
}

function stateOf(properties: ReadonlyMap<string, string>): string {
  const of = (name: string): string => properties.get(name) ?? '';
  if (of('LoadState') === 'not-found') return `${serviceUnit} is not installed on this host`;
  const since = of('StateChangeTimestamp');
  const result =
    of('Result') === '' ? '' : `, result ${of('Result')}${of('Result') === 'exit-code' ? meaningOf(Number(of('ExecMainStatus'))) : ''}`;
  return `${serviceUnit} is ${of('ActiveState')} (${of('SubState')}${result})${since === '' ? '' : ` since ${since}`}`;
}

/** systemd's own for a credential that it could not copy; beside those of the program. */
const noCredential = [243, 'a file that LoadCredential= names is not there, or cannot be read'] as const;

function meaningOf(code: number): string {
  const says = [...exitCodes, noCredential].find(([known]) => known === code)?.[1];
  return says === undefined || code === 0 ? '' : ` ${code}: ${says}`;
}

function machinesOf(listed: string | undefined): string {
  if (listed === undefined) return 'its machines could not be counted';
  const count = listed.split('\n').filter((line) => machineUnit.test(line.split(' ')[0] ?? '')).length;
  return count === 1 ? '1 machine of it runs on' : `${count === 0 ? 'no' : count} machines of it run${count === 0 ? '' : ' on'}`;
}

function systemctl({ PATH }: NodeJS.ProcessEnv, ...args: readonly string[]): Promise<string | undefined> {
  const { execFile } = process.getBuiltinModule('node:child_process');
  return new Promise((resolve) => {
    const done = (error: ExecFileException | null, stdout: string): void => resolve(error === null ? stdout : undefined);
    execFile('systemctl', [...args], { env: { PATH, LC_ALL: 'C' }, timeout: answerMs, encoding: 'utf8' }, done);
  });
}
