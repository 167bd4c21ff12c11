// Promises what Forgejo makes of a workflow file: does an event start it, and which jobs come of it, each with the payload that a runner
// gets (one job, matrix resolved, needs erased). Pure. Expressions: names of `matrix`, `github`, `forge` and `forgejo` only.

import { parse, stringify } from 'yaml';

type Mapping = Readonly<Record<string, unknown>>;

export type PlannedJob = {
  readonly key: string;
  readonly name: string;
  readonly needs: readonly string[];
  readonly labels: readonly string[];
  readonly condition: string;
  readonly payload: string;
};

export type PlannedRun = {
  readonly name: string;
  readonly group: string | undefined;
  readonly cancelInProgress: boolean;
  readonly jobs: readonly PlannedJob[];
};

/** Undefined when the text is no workflow; Forgejo makes a failed run of such a file, the stand-in none. */
export function workflowOf(text: string): Mapping | undefined {
  try {
    const value = mappingOf(parse(text));
    return Object.keys(mappingOf(value['jobs'])).length === 0 ? undefined : value;
  } catch (error) {
    if (error instanceof Error && error.name.startsWith('YAML')) return undefined;
    throw error;
  }
}

export function isStartedBy(workflow: Mapping, event: 'push' | 'workflow_dispatch', branch: string): boolean {
  const on = workflow['on'];
  if (typeof on === 'string') return on === event;
  if (Array.isArray(on)) return on.includes(event);
  const events = mappingOf(on);
  if (!(event in events)) return false;
  const branches = textsOf(mappingOf(events[event])['branches']);
  return branches.length === 0 || branches.some((pattern) => globOf(pattern).test(branch));
}

/** `github` holds what expressions may name: ref, ref_name, sha, workflow, repository, event_name, run_id. */
export function planRun(workflow: Mapping, file: string, github: Mapping): PlannedRun {
  const concurrency = workflow['concurrency'];
  const { group, 'cancel-in-progress': cancel } = typeof concurrency === 'string' ? { group: concurrency } : mappingOf(concurrency);
  const jobs = Object.entries(mappingOf(workflow['jobs'])).flatMap(([key, job]) => plannedJobs(workflow, key, mappingOf(job), github));
  return {
    name: typeof workflow['name'] === 'string' ? workflow['name'] : file,
    group: group === undefined ? undefined : filled(textOf(group), { github }),
    cancelInProgress: cancel === true || cancel === 'true',
    jobs,
  };
}

function plannedJobs(workflow: Mapping, key: string, job: Mapping, github: Mapping): readonly PlannedJob[] {
  const { needs, ...rest } = job;
  const title = typeof job['name'] === 'string' ? job['name'] : key;
  return combinationsOf(mappingOf(mappingOf(job['strategy'])['matrix'])).map((matrix) => {
    const values = Object.values(matrix);
    const known = { matrix, github };
    // A name with an expression of its own names every combination already.
    const suffix = values.length === 0 || title.includes('${{') ? '' : ` (${values.map(textOf).join(', ')})`;
    const name = filled(title, known) + suffix;
    const labels = textsOf(job['runs-on']).map((label) => filled(label, known));
    const runsOn = Array.isArray(job['runs-on']) ? labels : labels[0];
    const single = Object.fromEntries(Object.entries(matrix).map(([axis, value]) => [axis, [value]]));
    const strategy = values.length === 0 ? {} : { strategy: { ...mappingOf(job['strategy']), matrix: single } };
    const whole = { ...workflow, jobs: { [key]: { ...rest, name, 'runs-on': runsOn, ...strategy } } };
    return {
      key,
      name,
      labels,
      needs: textsOf(needs),
      condition: job['if'] === undefined ? '' : textOf(job['if']),
      payload: stringify(whole, { indent: 4, version: '1.1', lineWidth: 0 }),
    };
  });
}

/** Every combination of the axes, the first one slowest; `include` and `exclude` are not understood. */
function combinationsOf(matrix: Mapping): readonly Mapping[] {
  let rows: readonly Mapping[] = [{}];
  for (const [axis, values] of Object.entries(matrix)) {
    if (!Array.isArray(values) || axis === 'include' || axis === 'exclude') continue;
    rows = rows.flatMap((row) => values.map((value: unknown) => ({ ...row, [axis]: value })));
  }
  return rows;
}

function filled(text: string, known: Readonly<Record<'matrix' | 'github', Mapping>> | { readonly github: Mapping }): string {
  const matrix = 'matrix' in known ? known.matrix : {};
  return text.replaceAll(/\$\{\{\s*(\w+)\.([\w-]+)\s*\}\}/g, (whole, scope: string, name: string) => {
    const value = scope === 'matrix' ? matrix[name] : ['github', 'forge', 'forgejo'].includes(scope) ? known.github[name] : undefined;
    return value === undefined ? whole : textOf(value);
  });
}

function globOf(pattern: string): RegExp {
  const source = pattern.split('**').map((part) =>
    part
      .split('*')
      .map((plain) => plain.replaceAll(/[\\^$.|?+()[\]{}]/g, String.raw`\$&`))
      .join('[^/]*'),
  );
  return new RegExp(`^${source.join('.*')}$`);
}

function mappingOf(value: unknown): Mapping {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Mapping) : {};
}

function textsOf(value: unknown): readonly string[] {
  if (value === undefined || value === null) return [];
  return (Array.isArray(value) ? value : [value]).map(textOf);
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}
