// Promises the path of a token file. It is looked at (is it there, is it more than a placeholder, who may read it) and its content forgotten at
// once: no token ever enters the Config (I7).

import { absolutePath } from './kinds.ts';
import { codeOf, describe, looksSecret, type Findings, type Section } from './reader.ts';
import { valueOf, type Environment } from './source.ts';
import { placeOf } from '../core/token-rights.ts';

/** What a configuration needs to see of the machine it is read on. Tests give their own. */
export type Host = {
  /** Text and permission bits. Rejects as node:fs does. */
  read(path: string): Promise<{ readonly text: string; readonly mode: number }>;
  /** True when the path is a file that may be executed. */
  executable(path: string): Promise<boolean>;
  readonly hostname: string;
};

/** `pending`: a token that is not there yet is never a mistake. */
export type TokenContext = { readonly env: Environment; readonly host: Host; readonly findings: Findings; readonly pending?: boolean };

/** The path of a file that holds a token, or undefined and what is wrong with it. `key` is what it is called in the section. */
export async function readTokenFile(
  section: Section,
  allowPending: boolean,
  context: TokenContext,
  key = 'tokenFile',
): Promise<string | undefined> {
  const path = readSecretPath(section, key, context);
  if (path !== undefined) await checkToken(path, section.pathOf(key), allowPending || context.pending === true, context);
  return path;
}

/** The path of a file that holds something secret; what is in it is not looked at. */
export function readSecretPath(section: Section, key: string, context: TokenContext): string | undefined {
  const { findings } = context;
  const path = section.pathOf(key);
  const written = section.raw(key);
  const remedy = 'put the token into a file of mode 0600 and write its path';
  if (typeof written === 'string' && !written.includes('/') && (looksSecret(written) || written.length >= 32))
    return findings.add(path, 'looks like a token itself (not shown)', remedy);
  const expanded = typeof written === 'string' ? expand(written, path, context) : written;
  if (expanded === undefined && typeof written === 'string') return undefined;
  if (typeof expanded !== 'string' || absolutePath('').parse(expanded) === undefined)
    return findings.add(
      path,
      written === undefined ? 'is missing' : `is ${describe(written, typeof written !== 'string' || !written.includes('/'))}`,
      'write the absolute path of the file that holds the token',
    );
  return expanded;
}

function expand(written: string, path: string, { env, findings }: TokenContext): string | undefined {
  const variable = /^\$(?:CREDENTIALS_DIRECTORY|\{CREDENTIALS_DIRECTORY\})(?=\/)/;
  if (!variable.test(written)) return written;
  const directory = valueOf(env, 'CREDENTIALS_DIRECTORY');
  if (directory === undefined)
    return findings.add(
      path,
      'needs CREDENTIALS_DIRECTORY, which is not set',
      'start it from a unit with LoadCredential=, or write a plain path',
    );
  return written.replace(variable, () => directory);
}

async function checkToken(file: string, path: string, allowPending: boolean, { host, findings }: TokenContext): Promise<void> {
  // With allowPending the service comes up before its token does; the forge reads the file again whenever it changes.
  const pending = (message: string, remedy: string, passing = true): void => {
    if (allowPending) findings.warn(path, `${message}; polling starts when the file holds a token`);
    else findings.add(path, message, remedy, passing);
  };
  let text: string;
  let mode: number;
  try {
    ({ text, mode } = await host.read(file));
  } catch (error) {
    pending(
      `names ${JSON.stringify(file)}, which cannot be read (${codeOf(error)})`,
      placeOf(file) === file ? 'create the file, and let the user of this service read it' : `put the token into ${placeOf(file)}`,
    );
    return;
  }
  const token = text.trim();
  if (token === '') pending(`names ${JSON.stringify(file)}, which is empty`, 'put an access token into it');
  else if (/^PENDING-/i.test(token))
    pending(`names ${JSON.stringify(file)}, which holds a placeholder (PENDING-...)`, 'put the real access token into it', false);
  else if (/\s/.test(token) || token.length > 4096)
    findings.add(path, `names ${JSON.stringify(file)}, which holds more than one word`, 'leave nothing but the access token in it');
  else if (!/^[!-~]+$/.test(token))
    findings.add(
      path,
      `names ${JSON.stringify(file)}, which holds characters that no token has`,
      'leave nothing but the access token in it',
    );
  if ((mode & 0o007) !== 0) findings.warn(path, `others may use ${file}; set its mode to 0600`);
}
