// Promises what may stand in the query or the path of a request: each parameter once, with how it is read and how it is described, so that
// the two cannot differ. What does not fit is PARAMETER_INVALID and names the parameter; unknown and doubled ones, too.

import { labelNameOf } from '../core/match.ts';
import { ControllerError } from '../errors.ts';

export type Parameter<T> = {
  readonly name: string;
  readonly in: 'query' | 'path';
  readonly description: string;
  /** JSON schema of what may be written. */
  readonly schema: Readonly<Record<string, unknown>>;
  /** Undefined = does not fit. */
  readonly read: (text: string) => T | undefined;
  /** What to write instead, as the end of "write ...". */
  readonly wanted: string;
};

const mostLabels = 50;
const mostLabelBytes = 2_048;

function integer(name: string, min: number, max: number, description: string): Parameter<number> {
  return {
    name,
    in: 'query',
    description,
    schema: { type: 'integer', minimum: min, maximum: max },
    read: (text) => (/^\d{1,16}$/.test(text) && Number(text) >= min && Number(text) <= max ? Number(text) : undefined),
    wanted: `a whole number from ${min} to ${max}`,
  };
}

function oneOf<const T extends string>(name: string, words: readonly T[], description: string): Parameter<T> {
  return {
    name,
    in: 'query',
    description,
    schema: { type: 'string', enum: words },
    read: (text) => words.find((word) => word === text),
    wanted: words.join(', '),
  };
}

export const limit = integer('limit', 1, 1_000, 'At most so many jobs of each state; 100 unless said otherwise.');
export const job = integer('job', 1, Number.MAX_SAFE_INTEGER, 'The number of a job.');
export const after = integer(
  'after',
  0,
  1_000_000_000_000,
  'Begin with what is kept after the event of this number; 0 = with all of it. Only new ones unless said otherwise.',
);
export const state = oneOf('state', ['waiting', 'running', 'done'], 'Only jobs of this state.');
export const follow = oneOf('follow', ['true', 'false'], 'true = go on with what comes, until the machine has ended.');
export const dryRun = oneOf('dry_run', ['true', 'false'], 'false = do it. Told only, unless said otherwise.');
export const labels: Parameter<readonly string[]> = {
  name: 'labels',
  in: 'query',
  description: 'The labels of a runs-on, separated by commas.',
  schema: { type: 'string', minLength: 1, maxLength: mostLabelBytes },
  read(text) {
    const names = text.length > mostLabelBytes ? [] : text.split(',').map(labelNameOf);
    return names.length === 0 || names.length > mostLabels || names.includes('') ? undefined : [...new Set(names)];
  },
  wanted: `1 to ${mostLabels} labels, separated by commas`,
};

/** What the request says for each of these; refuses what it says besides. */
export function readQuery<const P extends Readonly<Record<string, Parameter<unknown>>>>(url: string, parameters: P): Values<P> {
  const said = new URL(url).searchParams;
  const known = Object.values(parameters);
  for (const name of new Set(said.keys())) {
    const names = known.map((each) => each.name).join(', ');
    if (!known.some((each) => each.name === name))
      throw refused(name, `is unknown here; ${names === '' ? 'write none' : `there are: ${names}`}`);
    if (said.getAll(name).length > 1) throw refused(name, 'stands there more than once');
  }
  const read = known.map(({ name, ...parameter }) => {
    const text = said.get(name);
    const value = text === null ? undefined : parameter.read(text);
    if (text !== null && value === undefined) throw refused(name, `does not fit: write ${parameter.wanted}`);
    return [name, value];
  });
  return Object.fromEntries(read) as Values<P>;
}

type Values<P> = { readonly [N in keyof P]: (P[N] extends Parameter<infer T> ? T : never) | undefined };

export function refused(parameter: string, message: string): ControllerError {
  const name = parameter.length > 40 ? `${parameter.slice(0, 40)}...` : parameter;
  return new ControllerError('PARAMETER_INVALID', `The parameter ${JSON.stringify(name)} ${message}.`, { details: { parameter: name } });
}
