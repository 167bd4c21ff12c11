// Promises that what the documents name is there: settings, options of the module, variables, commands with their flags, routes, files, sections
// and the words of log, metrics and API; and that every configuration they show loads.

import { globSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { parse, stringify } from 'yaml';
import { commands as programCommands } from '../src/commands.ts';
import { routes } from '../src/http/routes.ts';
import { runs } from './support/cli-run.ts';
import { createAuthority } from './support/certificates.ts';
import { goodToken, load } from './support/config-fixture.ts';

const root = new URL('..', import.meta.url);
const read = (path: string) => readFileSync(new URL(path, root), 'utf8');
const guides = ['README.md', 'CONTRIBUTING.md', ...globSync('docs/*.md', { cwd: root.pathname })];
const inForce = guides.filter((path) => !/ACCEPTANCE|BENCHMARKS|DEPENDENCIES/.test(path));
const sources = globSync(['src/**/*.ts', 'nix/**/*.nix', 'nix/unit.json', 'module.nix', 'config.example.yaml', 'contrib/**/*.service'], {
  cwd: root.pathname,
})
  .map(read)
  .join('\n');
const paths = Object.values(routes).map(({ path }) => path as string);
/** Of a table's cell or a line: what stands between backticks. */
const quoted = (text: string) => [...text.matchAll(/`([^`]+)`/g)].map((hit) => hit[1] ?? '');
const blocksOf = (path: string, kind: string) =>
  [...read(path).matchAll(new RegExp(`\`\`\`${kind}\\n([^\`]*)\`\`\``, 'g'))].map((hit) => hit[1] ?? '');

/** Every setting that there is, as `forges[].webhook.secretFile`, from the example that is tested to have them all. */
function settingsOf(value: unknown, path = ''): readonly string[] {
  if (Array.isArray(value)) return [`${path}[]`, ...value.flatMap((item: unknown) => settingsOf(item, `${path}[]`))];
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, item]: [string, unknown]) => {
    const name = path === '' ? key : `${path}.${key}`;
    return [name, ...settingsOf(item, name)];
  });
}

const settings = new Set([...settingsOf(parse(read('config.example.yaml'))), 'listen']);
const moduleOptions = new Set([...read('docs/OPTIONS.md').matchAll(/^## `([^`]+)`$/gm)].map((hit) => hit[1] ?? ''));
const variables = new Set([...read('config.example.yaml').matchAll(/\b[A-Z]+_[A-Z_]+\b/g)].map(String));
const helpOf = async (command: string) => (await runs([...(command === '' ? [] : [command]), '--help'])).out;

/** What a reader may be sent to. */
const titlesOf = (path: string) => [...read(path).matchAll(/^#{2,3} (.+)$|^\*\*(.+?)\*\*/gm)].map((hit) => hit[1] ?? hit[2] ?? '');

describe('docs/MIGRATION.md', () => {
  const rows = [...read('docs/MIGRATION.md').matchAll(/^\| (.+?) \| (.+?) \| .*\|$/gm)].filter(([, left]) => !left?.startsWith('--'));

  test('every name on our side is a setting, an option, a variable, a command or a route', async () => {
    const help = await helpOf('');
    const known = (name: string): boolean =>
      settings.has(name.replace(/: [a-z]+$/, '')) ||
      moduleOptions.has(name) ||
      variables.has(name) ||
      (/^runner-status (\S+)$/.test(name) && new RegExp(`^  ${name.slice(14)}\\b`, 'm').test(help)) ||
      (name.startsWith('GET ') && paths.includes(name.slice(4))) ||
      ['--config', '/webhook/<name>', 'services.forgejo-runner-controller.'].includes(name);
    const told = rows.flatMap(([, , right = '']) => quoted(right));
    expect(told.length).toBeGreaterThan(60);
    expect(told.filter((name) => !known(name))).toEqual([]);
  });

  test('each of them says what becomes of a setting, also when that is nothing', () => {
    const bare = rows.filter(([, , right = '']) => quoted(right).length === 0 && right !== 'nothing' && right !== 'here');
    expect(bare.map(([row]) => row)).toEqual([]);
  });

  test('it has a section for each of the systems that are replaced, and for the stock daemon', () => {
    const titles = titlesOf('docs/MIGRATION.md');
    for (const name of [/forgejo-nsc/, /nsc-autoscaler/, /fj-bellows/, /Kubernetes/, /GitHub.*nixos-container/, /forgejo-runner daemon/])
      expect(titles.filter((title) => name.test(title))).toHaveLength(1);
  });
});

describe('the guides', () => {
  test('name files that are there', () => {
    const absent = guides.flatMap((path) =>
      [...read(path).matchAll(/(?<![\w./-])((?:docs|scripts|contrib|src|test|nix)\/[\w.*/-]*\w)/g)]
        .map((hit) => hit[1] ?? '')
        .filter((name) => !name.startsWith('nix/var/') && globSync([name, `${name}.nix`], { cwd: root.pathname }).length === 0)
        .map((name) => `${path}: ${name}`),
    );
    expect(absent).toEqual([]);
  });

  test('call commands with flags that these take', async () => {
    const odd: string[] = [];
    for (const path of inForce) {
      for (const line of blocksOf(path, 'sh').join('').split('\n')) {
        const [said = ''] = line.split(/ #|\s[|&;]/);
        const [, ours = ''] = /^(?:\$ )?runner-status\b(.*)$/.exec(said) ?? [];
        const word = /^ ([a-z][\w-]*)/.exec(ours)?.[1] ?? '';
        const help = ours === '' ? '' : await helpOf(word);
        for (const [flag] of ours.matchAll(/--[a-z-]+/g)) if (!help.includes(flag)) odd.push(`${path}: ${line}`);
        const [, name = '', rest = ''] = /forgejo-runner-controller\.js ([a-z-]+)(.*)$/.exec(said) ?? [];
        if (name === '') continue;
        const command = Object.entries(programCommands).find(([one]) => one === name)?.[1];
        const takes: readonly string[] = command?.takes ?? [];
        for (const [, flag = ''] of rest.matchAll(/--([a-z-]+)/g)) if (!takes.includes(flag)) odd.push(`${path}: ${line}`);
      }
    }
    expect(odd).toEqual([]);
  });

  test('name routes that are there', () => {
    const known = [...paths, '/metrics', '/api/v1'].map((path) => new RegExp(`^${path.replaceAll(/\{\w+\}/g, '[^/]+')}$`));
    const told = inForce.flatMap((path) =>
      [...read(path).matchAll(/(?<=[`1 "]|localhost|8080)\/api\/v1\/?[\w/{}]*|\$api\/[\w/]+/g)].map(String),
    );
    const asked = told.map((one) => one.replace('$api', '/api/v1').replace(/\/$/, ''));
    expect(asked.length).toBeGreaterThan(10);
    // Forgejo's own API, and an order of another system.
    const others = /^\/api\/v1\/(?:orgs|dispatch)/;
    expect(asked.filter((one) => !others.test(one) && !known.some((pattern) => pattern.test(one)))).toEqual([]);
  });

  test('use the words of settings, log, metrics and API as the sources write them', () => {
    // Words of Forgejo, of Nix, and of options that others may look for.
    const foreign = new Set(['pull_request_target', 'specialArgs', 'devShells', 'cpuQuota', 'tasksMax']);
    const odd = ['README.md', 'docs/OPERATIONS.md', 'docs/SECURITY.md', 'docs/NIXOS.md'].flatMap((path) =>
      quoted(read(path).replaceAll(/```[a-z]*\n[^`]*```/g, ''))
        .flatMap((text) => [...text.matchAll(/(?<![\w./-])[a-z]+(?:[A-Z][a-z]+)+\b|(?<![\w./-])[a-z]+(?:_[a-z]+)+\b(?!=)/g)].map(String))
        .filter((word) => !foreign.has(word) && !new RegExp(`(?<![A-Za-z])${word}(?![A-Za-z])`).test(sources))
        .map((word) => `${path}: ${word}`),
    );
    expect([...new Set(odd)]).toEqual([]);
  });

  test('send their readers to sections that are there', () => {
    const lost = inForce.flatMap((path) => [
      ...[...read(path).matchAll(/docs\/([A-Z]+\.md), ((?:The |A )?[A-Z]?[a-z]+(?: [a-z]+)*)(?=[,.;:)|])/g)]
        .filter(([, file = '', title = '']) => /^[A-Z]/.test(title) && !titlesOf(`docs/${file}`).includes(title))
        .map(([whole]) => `${path}: ${whole}`),
      ...[...read(path).matchAll(/(?:see|in|by|\|) \*([A-Z][^*]+)\*/g)]
        .filter(([, title = '']) => !titlesOf(path).includes(title))
        .map(([whole]) => `${path}: ${whole}`),
    ]);
    expect(lost).toEqual([]);
  });
});

describe.each(
  ['README.md', 'docs/OPERATIONS.md'].flatMap((path) =>
    blocksOf(path, 'yaml')
      .filter((text) => !text.startsWith('scrape_configs'))
      .map((text) => [path, text.trim().split('\n')[0] ?? '', text] as const),
  ),
)('the configuration in %s that begins with %s', (_, __, text) => {
  test('loads, beside the least that a service needs', async () => {
    type Part = Readonly<Record<string, unknown>>;
    const shown = parse(text) as { readonly forges?: readonly Part[] };
    const least = { url: 'https://forge.example.org', scope: { user: true }, tokenFile: '/run/token' };
    const forges = (shown.forges ?? [{}]).map((forge) => ({ ...least, ...forge }));
    const secret = 'x'.repeat(32);
    const files = {
      '/run/c/forge-token': goodToken,
      '/etc/ssl/certs/internal-ca.pem': createAuthority('internal').certificate,
      '/etc/forgejo-runner-controller/webhook-secret': secret,
      '/etc/forgejo-runner-controller/otlp-headers': 'authorization: Bearer x',
    };
    const config = await load({
      yaml: stringify({ controllerId: 'ci-1', ...shown, forges }),
      env: { CREDENTIALS_DIRECTORY: '/run/c' },
      files,
    });
    expect(config.warnings).toEqual([]);
  });
});
