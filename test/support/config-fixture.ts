// Promises a host for loadConfig that is nothing but a table of files, and the two outcomes of loading as data. No file system is touched.

import { loadConfig, type Config } from '../../src/config/config.ts';
import type { Host } from '../../src/config/token-file.ts';
import type { Mistake } from '../../src/config/reader.ts';
import { isControllerError } from '../../src/errors.ts';

export const goodToken = '0123456789abcdef0123456789abcdef01234567';
export type FixtureFile = { readonly text: string; readonly mode?: number };

export function hostWith(files: Readonly<Record<string, string | FixtureFile>>, executables: readonly string[] = []): Host {
  return {
    hostname: 'Build-Host.example.org',
    read(path) {
      const file = Object.hasOwn(files, path) ? files[path] : undefined;
      if (file === undefined) return Promise.reject(Object.assign(new Error('no such file'), { code: 'ENOENT' }));
      return Promise.resolve(typeof file === 'string' ? { text: file, mode: 0o600 } : { text: file.text, mode: file.mode ?? 0o600 });
    },
    executable: (path) => Promise.resolve(executables.includes(path)),
  };
}

export const basicEnv = { FORGEJO_URL: 'https://forge.example.org', FORGEJO_REPO: 'owner/repo', FORGEJO_TOKEN_FILE: '/run/token' };

/** What a file of one forge needs before the part under test is added. */
export const basicYaml = 'forges: [{url: "https://forge.example.org", scope: {user: true}, tokenFile: /run/token}]\n';

type Given = {
  readonly yaml?: string;
  readonly mode?: number;
  readonly env?: Readonly<Record<string, string>>;
  readonly files?: Readonly<Record<string, string | FixtureFile>>;
  readonly executables?: readonly string[];
  readonly guarded?: readonly string[];
};

export function load({
  yaml,
  mode = 0o640,
  env = {},
  files,
  executables = ['/usr/local/bin/forgejo-runner'],
  guarded = [],
}: Given): Promise<Config> {
  const own = yaml === undefined ? {} : { '/etc/frc.yaml': { text: yaml, mode } };
  const host = hostWith({ '/run/token': goodToken, ...own, ...files }, executables);
  return loadConfig({ env, host, guarded, ...(yaml === undefined ? {} : { file: '/etc/frc.yaml' }) });
}

/** The mistakes and the whole message of a configuration that must not load; anything but the two codes of that is rethrown. */
export async function refusal(
  given: Given,
): Promise<{ readonly mistakes: readonly Mistake[]; readonly message: string; readonly all: string }> {
  try {
    await load(given);
  } catch (error) {
    if (!isControllerError(error, 'CONFIG_INVALID') && !isControllerError(error, 'TOKEN_UNREADABLE')) throw error;
    const mistakes = error.details['mistakes'] as readonly Mistake[];
    return { mistakes, message: error.message, all: `${error.message}\n${error.stack}\n${JSON.stringify(error.details)}` };
  }
  throw new Error('the configuration loaded');
}

/** The one mistake at a path. */
export async function mistakeAt(path: string, given: Given): Promise<string> {
  const { mistakes } = await refusal(given);
  const found = mistakes.filter((mistake) => mistake.path === path);
  if (found.length !== 1)
    throw new Error(`${found.length} mistakes at ${path}; there are: ${mistakes.map((mistake) => mistake.path).join(', ')}`);
  return `${found[0]?.message}: ${found[0]?.remedy}`;
}
