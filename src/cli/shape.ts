// Promises what is wrong with an answer, by the schemas of the API. Loaded only when an answer could not be drawn.

import * as v1 from '../http/wire-v1.ts';
import * as wire from '../http/wire.ts';

const schemas = {
  health: wire.healthSchema,
  status: wire.statusSchema,
  jobs: v1.jobsSchema,
  explain: v1.explainSchema,
  plan: v1.planSchema,
  order: v1.orderSchema,
  dispatched: v1.dispatchedSchema,
  sweep: v1.sweepSchema,
};
export type SchemaName = keyof typeof schemas;

/** The first thing that is not as the schema says, with its place; undefined when all is. */
export function faultOf(name: SchemaName, value: unknown): string | undefined {
  const issue = schemas[name].safeParse(value).error?.issues[0];
  if (issue === undefined) return undefined;
  return `${issue.path.length === 0 ? 'the whole of it' : issue.path.join('.')}: ${issue.message}`;
}
