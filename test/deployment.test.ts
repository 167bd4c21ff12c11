// Promises where deployment material lies, that the one example of a configuration holds no real value, and that the project's own workflow is
// one of Forgejo's: scripts and little else, on labels that this product serves.

import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { accessSync, constants, existsSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { z } from 'zod';

const root = new URL('..', import.meta.url);
const read = (path: string) => readFileSync(new URL(path, root), 'utf8');
const tracked = execFileSync('git', ['-c', 'safe.directory=*', 'ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
  cwd: root,
  encoding: 'utf8',
})
  .split('\0')
  .filter((path) => path !== '' && existsSync(new URL(path, root)));

const material = /\.(?:nix|service|socket|timer|slice|network|nspawn|te|spec)$|(?:^|\/)flake\.lock$/;
const places = /^(?:contrib|nix|test)\/|^(?:flake\.(?:nix|lock)|default\.nix|shell\.nix|module\.nix)$/;
const leftOver =
  /(?:^|\/)(?:Dockerfile|Containerfile|Procfile|fly\.toml|docker-compose[^/]*|compose\.ya?ml|Chart\.yaml|kustomization\.yaml|wrangler\.toml|vercel\.json|netlify\.toml|Vagrantfile|Jenkinsfile)$|\.(?:tf|bak|orig|rej|swp|log|tgz|deb|rpm)$|^(?:k8s|helm|deploy|charts)\//;
const others = /^\.(?:github|gitea|gitlab|woodpecker|circleci|buildkite|drone|travis)/;

describe('deployment material', () => {
  test('lies in contrib/ and nix/, beside the files that Nix looks for at the top and what tests need', () => {
    expect(tracked.filter((path) => material.test(path) && !places.test(path))).toEqual([]);
    expect(
      ['contrib/systemd/forgejo-runner-controller.service', 'nix/package.nix', 'flake.nix'].filter((path) => !tracked.includes(path)),
    ).toEqual([]);
  });

  test('nothing is left over of other ways to deploy, of packing or of merging', () => {
    expect(tracked.filter((path) => leftOver.test(path))).toEqual([]);
    const samples = [
      'Dockerfile',
      'contrib/compose.yaml',
      'fly.toml',
      'src/a.ts.orig',
      'k8s/a.yaml',
      'forgejo-runner-controller-0.1.0.tgz',
    ];
    expect(samples.filter((path) => !leftOver.test(path))).toEqual([]);
  });
});

/** What in a configuration is of somebody: an address that leads somewhere, a secret, a file of one that is not a credential of systemd. */
function realValues(value: unknown, key = ''): readonly string[] {
  if (Array.isArray(value)) return value.flatMap((one) => realValues(one, key));
  if (typeof value === 'object' && value !== null) return Object.entries(value).flatMap(([name, one]) => realValues(one, name));
  const text = String(value);
  const place = /^https?:/.test(text) ? new URL(text).hostname : '';
  const faults = [
    !/^(?:|127\.0\.0\.1|[a-z]+\.example\.org)$/.test(place),
    /(?:token|secret|headers)File$/.test(key) && !/^\$CREDENTIALS_DIRECTORY\/[a-z-]+$/.test(text),
    /^(?:token|secret|password|key)$/i.test(key),
    /[0-9a-f]{32}/i.test(text) && text !== createHash('sha256').update('').digest('hex'),
  ];
  return faults.includes(true) ? [`${key}: ${text}`] : [];
}

test('there is one example of a configuration, and it holds placeholders only', () => {
  expect(tracked.filter((path) => /example|sample/i.test(path))).toEqual(['config.example.yaml']);
  expect(realValues(parse(read('config.example.yaml')))).toEqual([]);
  const bad = { url: 'https://codeberg.org', token: 'x', tokenFile: '/run/token', environment: { A: 'ab'.repeat(20) } };
  expect(realValues({ forges: [bad] })).toHaveLength(4);
});

const stepSchema = z.strictObject({
  uses: z.string().optional(),
  run: z.string().optional(),
  env: z.record(z.string(), z.string()).optional(),
});
const workflowSchema = z.object({
  on: z.object({
    push: z.unknown(),
    pull_request: z.unknown(),
    schedule: z.array(z.strictObject({ cron: z.string() })),
    workflow_dispatch: z.object({ inputs: z.record(z.string(), z.object({ type: z.string(), default: z.boolean() })) }),
  }),
  jobs: z.record(z.string(), z.object({ if: z.string().optional(), 'runs-on': z.array(z.string()), steps: z.array(stepSchema) })),
});
const workflow = workflowSchema.parse(parse(read('.forgejo/workflows/test.yaml')));
const always = Object.values(workflow.jobs).filter((job) => job.if === undefined);
const stepsOf = (jobs: typeof always) => jobs.flatMap(({ steps }) => steps);

/** One command is no shell of its own, and has no expression that a stranger's text could fill. */
function stepFaults({ uses, run }: z.infer<typeof stepSchema>): readonly string[] {
  if (run === undefined) return /^https:\/\/data\.forgejo\.org\/actions\/checkout@v\d+$/.test(uses ?? '') ? [] : [`${uses}`];
  const [program = '', , script = ''] = run.split(' ');
  const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };
  const known = program === 'npm' ? script in scripts : /^\.\/(?:scripts|\.ci)\/[a-z-]+$/.test(program) && isProgram(program);
  return known && /^[\w./ -]+$/.test(run) ? [] : [run];
}

function isProgram(path: string): boolean {
  try {
    accessSync(new URL(path, root), constants.X_OK);
    return true;
  } catch {
    return false; // which is the fault
  }
}

describe("the project's own workflow", () => {
  test("is Forgejo's, and no other service has one", () => {
    expect(tracked.filter((path) => path.startsWith('.forgejo/'))).toEqual(['.forgejo/workflows/test.yaml']);
    expect(tracked.filter((path) => others.test(path))).toEqual([]);
  });

  test('checks, tests and builds at every push', () => {
    const runs = new Set(stepsOf(always).map(({ run }) => run));
    const wanted = ['./scripts/test check', './scripts/test fast', './scripts/test simulate', 'npm run build'];
    expect(wanted.filter((line) => !runs.has(line))).toEqual([]);
    expect(Object.keys(workflow.on)).toEqual(['push', 'pull_request', 'schedule', 'workflow_dispatch']);
  });

  test('audits the packages of the program every week, and at no push: what becomes known is nobody’s change', () => {
    expect(workflow.jobs['audit']).toMatchObject({ if: "github.event_name == 'schedule'", steps: [{}, { run: 'npm run audit' }] });
    expect(stepsOf(always).map(({ run }) => run)).not.toContain('npm run audit');
    expect(read('scripts/test')).not.toContain('audit');
  });

  test('runs scripts of this tree and takes nothing from elsewhere but the checkout', () => {
    expect(stepsOf(Object.values(workflow.jobs)).flatMap(stepFaults)).toEqual([]);
    const bad = [
      { uses: 'https://example.org/a/checkout@v4' },
      { run: 'npm run none' },
      { run: './scripts/none' },
      { run: 'echo ${{ github.ref }}' },
    ];
    expect(bad.flatMap(stepFaults)).toHaveLength(bad.length);
  });

  test('runs on labels of the default profile; what takes a whole machine is for who asks', () => {
    const [, labels = ''] = /^ +labels: \[([^\]]+)\]/m.exec(read('config.example.yaml')) ?? [];
    const served = labels.split(', ');
    expect(always.flatMap((job) => job['runs-on']).filter((label) => !served.includes(label))).toEqual([]);
    const odd = Object.values(workflow.jobs).filter((job) => job['runs-on'].some((label) => !served.includes(label)));
    expect(odd.map((job) => job.if)).toEqual(['inputs.host']);
  });

  test('asks a live service only when told to by hand', () => {
    expect(workflow.jobs['live-smoke']).toMatchObject({ if: 'inputs.live_smoke', steps: [{}, { run: './scripts/smoke' }] });
    expect(Object.values(workflow.on.workflow_dispatch.inputs)).toEqual([
      expect.objectContaining({ type: 'boolean', default: false }),
      expect.objectContaining({ type: 'boolean', default: false }),
    ]);
  });
});

test('a whole run has every end-to-end scenario in it', () => {
  const scenarios = tracked.filter((path) => path.startsWith('test/e2e/'));
  expect(scenarios.length).toBeGreaterThan(0);
  expect(scenarios.filter((path) => !path.endsWith('.test.ts'))).toEqual([]);
  expect(read('vitest.config.ts')).toMatch(/name: 'host',\n +include: \['test\/e2e\/\*\*\/\*\.test\.ts'\]/);
  expect(read('.ci/run')).toMatch(/\nexec "\$\(dirname "\$0"\)\/\.\.\/scripts\/test"\n$/);
  const script = read('scripts/test');
  expect(script).toMatch(/^part=\$\{1:-all\}/m);
  expect(script).toMatch(/^ {2}all\) .*\bon_host ;;$/m);
  expect(script).toMatch(/^on_host\(\) \{\n(?: .*\n)*? +--project host /m);
});
