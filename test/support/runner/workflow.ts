// Reads the workflow payload of a task, which holds exactly one job, into what the stand-in can run. Values stay uninterpolated.

import { parse } from 'yaml';

import { isMapping, type Mapping, textOf } from './plain-mapping.ts';

export type Step = {
  readonly title: string;
  readonly id: string | undefined;
  readonly run: string | undefined;
  readonly uses: string | undefined;
  readonly condition: unknown;
  readonly env: Mapping;
  readonly shell: string | undefined;
  readonly workingDirectory: string | undefined;
  readonly continueOnError: unknown;
  readonly timeoutMs: number | undefined;
};

export type Job = {
  readonly id: string;
  readonly workflowEnv: Mapping;
  readonly env: Mapping;
  readonly steps: readonly Step[];
  /** True when the job asks for a container. Services alone are not started on a host label, and nothing is said about it. */
  readonly needsDocker: boolean;
  readonly matrix: Mapping;
  readonly outputs: Mapping;
  readonly runsOn: readonly string[];
  readonly timeoutMs: number | undefined;
};

const mapping = (value: unknown): Mapping => (isMapping(value) ? value : {});
const optionalText = (value: unknown): string | undefined => (value === undefined || value === null ? undefined : textOf(value));
const minutes = (value: unknown): number | undefined => (Number(value) > 0 ? Number(value) * 60_000 : undefined);

function stepOf(value: unknown, defaults: Mapping): Step {
  const step = mapping(value);
  const run = optionalText(step['run']);
  const uses = optionalText(step['uses']);
  return {
    title: optionalText(step['name']) ?? uses ?? run?.split('\n')[0] ?? '',
    id: optionalText(step['id']),
    run,
    uses,
    condition: step['if'],
    env: mapping(step['env']),
    shell: optionalText(step['shell'] ?? defaults['shell']),
    workingDirectory: optionalText(step['working-directory'] ?? defaults['working-directory']),
    continueOnError: step['continue-on-error'],
    timeoutMs: minutes(step['timeout-minutes']),
  };
}

/** A resolved matrix has one value per axis, as a list of one or bare. */
function matrixOf(job: Mapping): Mapping {
  const axes = Object.entries(mapping(mapping(job['strategy'])['matrix']));
  return Object.fromEntries(axes.map(([axis, value]) => [axis, Array.isArray(value) ? value[0] : value]));
}

export function parseWorkflow(payload: string): Job {
  const workflow = mapping(parse(payload));
  const jobs = Object.entries(mapping(workflow['jobs']));
  const [first] = jobs;
  if (first === undefined || jobs.length !== 1)
    throw new Error(`multiple jobs found: ${jobs.length} in a workflow that must have exactly one`);
  const [id, value] = first;
  const job = mapping(value);
  const defaults = { ...mapping(mapping(workflow['defaults'])['run']), ...mapping(mapping(job['defaults'])['run']) };
  const runsOn: unknown = job['runs-on'];
  return {
    id,
    workflowEnv: mapping(workflow['env']),
    env: mapping(job['env']),
    steps: (Array.isArray(job['steps']) ? (job['steps'] as unknown[]) : []).map((step) => stepOf(step, defaults)),
    needsDocker: (job['container'] ?? undefined) !== undefined,
    matrix: matrixOf(job),
    outputs: mapping(job['outputs']),
    runsOn: Array.isArray(runsOn) ? runsOn.map(textOf) : [textOf(runsOn)],
    timeoutMs: minutes(job['timeout-minutes']),
  };
}
