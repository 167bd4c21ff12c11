// Promises what is known against the packages that the program is bundled from, by `npm audit` in the working folder: that nothing is, what is,
// or that no registry said. `npm run audit` ends with 0, 1 or 2 for these; a release is refused by the second alone.

import { spawnSync } from 'node:child_process';
import { pathToFileURL } from 'node:url';

export type Advisory = { readonly name: string; readonly severity: string; readonly title: string; readonly url: string };
/** `unasked`: why nothing is known, which is not that nothing is wrong. */
export type Audit = { readonly packages: number; readonly advisories: readonly Advisory[] } | { readonly unasked: string };

/** Advisories that do not concern this program, by their address, each with the reason. */
const passed: ReadonlyMap<string, string> = new Map<string, string>([]);

type Fields = Readonly<Record<string, unknown>>;
const fieldsOf = (value: unknown): Fields => (typeof value === 'object' && value !== null ? { ...value } : {});
const textIn = (fields: Fields, key: string): string => {
  const value = fields[key];
  return typeof value === 'string' ? value : '';
};

/** What npm's answer means. It names a package once for itself and once for each that it is part of; only the first has the advisory. */
export function auditOf(text: string): Audit {
  let answer: Fields;
  try {
    answer = fieldsOf(JSON.parse(text));
  } catch {
    return { unasked: `npm said ${JSON.stringify(text.slice(0, 100))}` };
  }
  const packages = fieldsOf(fieldsOf(answer['metadata'])['dependencies'])['prod'];
  if (answer['auditReportVersion'] !== 2 || typeof packages !== 'number') {
    const why = textIn(answer, 'message') || textIn(fieldsOf(answer['error']), 'summary');
    return { unasked: why === '' ? 'npm answered in a form that is not known here' : why };
  }
  const found = Object.values(fieldsOf(answer['vulnerabilities'])).flatMap((one) => {
    const via = fieldsOf(one)['via'];
    return (Array.isArray(via) ? via.filter((part) => typeof part === 'object') : []).map(fieldsOf);
  });
  const advisories = found.map((one): Advisory => {
    const [name, severity, title, url] = ['name', 'severity', 'title', 'url'].map((key) => textIn(one, key));
    return { name: name ?? '', severity: severity ?? '', title: title ?? '', url: url ?? '' };
  });
  // The folder itself is counted among them.
  return { packages: packages - 1, advisories: advisories.filter(({ url }) => !passed.has(url)) };
}

export function audit(): Audit {
  // Without asking, npm finds nothing where its settings say offline; and it would wait for a mute registry for a quarter of an hour.
  const asking = ['--offline=false', '--fetch-retries=1', '--fetch-retry-mintimeout=100', '--fetch-timeout=30000'];
  const { stdout, error } = spawnSync('npm', ['audit', '--omit=dev', '--json', ...asking], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
    timeout: 120_000,
  });
  return error === undefined ? auditOf(stdout) : { unasked: error.message };
}

export function sentencesOf(found: Audit): readonly string[] {
  if ('unasked' in found) return [`NOT AUDITED, no registry said what is known: ${found.unasked}`];
  if (found.advisories.length === 0) return [`Nothing is known against the ${found.packages} packages that the program is bundled from.`];
  return found.advisories.map(({ name, severity, title, url }) => `${name} (${severity}): ${title}, ${url}`);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const found = audit();
  for (const sentence of sentencesOf(found)) process.stdout.write(`${sentence}\n`);
  process.exitCode = 'unasked' in found ? 2 : found.advisories.length === 0 ? 0 : 1;
}
