// Promises the service's own program the credentials that its unit has (LoadCredential=), when it is started by hand with the usual
// configuration: the folder that systemd made for the service while that runs, else a unit of one command's length with the same ones.

import { existsSync } from 'node:fs';
import { directivesOf, serviceUnit } from './systemd.ts';

export type Start = { readonly command: string; readonly words: readonly string[]; readonly env: NodeJS.ProcessEnv };

const made = '/run/credentials';

/** `note` hears of a file that the unit names and that is not there. */
export async function withCredentials(start: Start, note: (line: string) => void, folder = made): Promise<Start> {
  const { command, words, env } = start;
  if ((env['CREDENTIALS_DIRECTORY'] ?? '') !== '') return start;
  const present = `${folder}/${serviceUnit}`;
  if (existsSync(present)) return { ...start, env: { ...env, CREDENTIALS_DIRECTORY: present } };
  const named = (await directivesOf(env, 'LoadCredential')).filter((load) => pathOf(load) !== undefined);
  const loads = named.filter((load) => existsSync(pathOf(load) ?? ''));
  for (const load of named.filter((one) => !loads.includes(one)))
    note(`${serviceUnit} has LoadCredential=${load}, and ${pathOf(load)} is not there: put the token into it, of mode 0600`);
  if (loads.length === 0) return start;
  const unit = ['--quiet', '--pipe', '--wait', '--collect', `--setenv=PATH=${env['PATH'] ?? ''}`];
  return { command: 'systemd-run', words: [...unit, ...loads.map((load) => `--property=LoadCredential=${load}`), command, ...words], env };
}

/** Of `name:path`. */
function pathOf(load: string): string | undefined {
  return /^[^:]+:(\/.*)$/.exec(load)?.[1];
}
