// Promises the service's own program the credentials that its unit has (LoadCredential=), when it is started by hand with the usual
// configuration: the folder that systemd made for the service while that runs, else a unit of one command's length with the same ones.

import { existsSync } from 'node:fs';
import { directivesOf, serviceUnit } from './systemd.ts';

export type Start = { readonly command: string; readonly words: readonly string[]; readonly env: NodeJS.ProcessEnv };

const made = '/run/credentials';

export async function withCredentials(start: Start, folder = made): Promise<Start> {
  const { command, words, env } = start;
  if ((env['CREDENTIALS_DIRECTORY'] ?? '') !== '') return start;
  const present = `${folder}/${serviceUnit}`;
  if (existsSync(present)) return { ...start, env: { ...env, CREDENTIALS_DIRECTORY: present } };
  const loads = (await directivesOf(env, 'LoadCredential')).filter(canBeLoaded);
  if (loads.length === 0) return start;
  const unit = ['--quiet', '--pipe', '--wait', '--collect', `--setenv=PATH=${env['PATH'] ?? ''}`];
  return { command: 'systemd-run', words: [...unit, ...loads.map((load) => `--property=LoadCredential=${load}`), command, ...words], env };
}

/** `name:path` of a file that is there; what is not, the program itself tells better. */
function canBeLoaded(load: string): boolean {
  const [, path] = /^[^:]+:(\/.*)$/.exec(load) ?? [];
  return path !== undefined && existsSync(path);
}
