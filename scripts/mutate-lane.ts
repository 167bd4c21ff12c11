// Promises one vitest that stays, inside a copy of the tree: for each message (what file has changed, which tests to run) it answers which
// test failed first. Started by mutate.ts, which ends it when it takes too long.

import { join } from 'node:path';
import { BaseSequencer, createVitest, type TestSpecification } from 'vitest/node';

export type Question = { readonly file: string; readonly tests: readonly string[] };
/** `failed`: the first test that did; `error`: no test could speak. */
export type Reply = { readonly failed?: string; readonly error?: string };

let order: readonly string[] = [];
let changed = '';

const placeOf = ({ moduleId }: TestSpecification): number => order.findIndex((path) => moduleId.endsWith(path));

class InOrder extends BaseSequencer {
  override sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    return Promise.resolve(files.toSorted((a, b) => placeOf(a) - placeOf(b)));
  }
}

const vitest = await createVitest(
  'test',
  { watch: false, project: ['fast'], bail: 1, fileParallelism: false, isolate: false, reporters: [{}], sequence: { sequencer: InOrder } },
  {},
);

async function ask({ file, tests }: Question): Promise<Reply> {
  for (const path of new Set([changed, file])) if (path !== '') vitest.invalidateFile(join(process.cwd(), path));
  changed = file;
  order = tests;
  // Else the answer would hold what failed in earlier runs.
  vitest.state.filesMap.clear();
  const { testModules, unhandledErrors } = await vitest.runTestSpecifications(await vitest.globTestSpecifications([...tests]), false);
  for (const module of testModules) for (const test of module.children.allTests('failed')) return { failed: test.name };
  const [unloaded] = testModules.flatMap((module) => module.errors());
  if (unloaded !== undefined) return { error: unloaded.message };
  if (unhandledErrors.length > 0) return { failed: `an error outside of every test: ${String(unhandledErrors[0])}` };
  const silent = testModules.filter((module) => module.state() !== 'passed').length;
  if (silent > 0 || testModules.length !== tests.length) return { error: `${testModules.length - silent} of ${tests.length} files ran` };
  return {};
}

process.on('message', (question: Question) => {
  void ask(question)
    .catch((error: unknown): Reply => ({ error: String(error) }))
    .then((reply) => process.send?.(reply));
});
process.on('disconnect', () => process.exit(0));
