// Promises how the stand-in runner runs the steps of a job: shell, environment, conditions, outputs, masks, logs and step states; and that what
// it does not do (actions, containers) fails the job with a sentence.

import { symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';

import { Result } from '../support/gen/runner/v1/messages_pb.ts';
import { startRunner, temporaryFolder } from '../support/runner/runner-process.ts';
import { aContext, type ScriptedRpc, type ScriptedTask, startScriptedRpc } from '../support/runner/scripted-rpc.ts';

async function ran(workflow: string, more: Partial<ScriptedTask> = {}, env: NodeJS.ProcessEnv = {}): Promise<ScriptedRpc> {
  const rpc = await startScriptedRpc({ workflow, ...more });
  onTestFinished(() => rpc.close());
  const runner = await startRunner({ url: rpc.url, env });
  expect(await runner.end).toMatchObject({ code: 0 });
  return rpc;
}

/** The rows between the first and the last, which are the runner's own. */
const output = (rpc: ScriptedRpc): readonly string[] => rpc.rows().slice(1, -1);

const job = (steps: string): string => `jobs:\n  build:\n    runs-on: debian\n    steps:\n${steps.replaceAll(/^/gm, '      ')}\n`;

test('a step runs with bash -e -o pipefail in a work folder below HOME, in its own process group', async () => {
  const rpc = await ran(
    job('- run: |\n    tr "\\\\0" " " < /proc/$$/cmdline; echo\n    pwd\n    cut -d" " -f5 /proc/$$/stat; echo $$\n    false | true'),
  );
  const [line = '', cwd = '', group, pid] = output(rpc);
  expect(line).toMatch(/bash --noprofile --norc -e -o pipefail \S+\/\.cache\/act\/[0-9a-f]{16}\/act\/workflow\/0\.sh/);
  expect(cwd).toMatch(/\/\.cache\/act\/[0-9a-f]{16}\/hostexecutor$/);
  expect(group).toBe(pid);
  expect(rpc.final()?.result).toBe(Result.FAILURE);
});

test('without bash a plain run falls back to sh, and shell: bash fails with the sentence of the real runner', async () => {
  const tools = temporaryFolder();
  symlinkSync('/bin/sh', join(tools, 'sh'));
  const rpc = await ran(job('- run: echo $0 $-\n- run: echo never\n  shell: bash'), {}, { PATH: tools });
  expect(output(rpc)).toEqual([expect.stringMatching(/0\.sh .*e/), 'Cannot find: bash in PATH']);
  expect(rpc.final()?.result).toBe(Result.FAILURE);
});

test('a step sees the whole environment of the runner, and GITHUB_ and FORGEJO_ variables', async () => {
  const script =
    '- run: echo $SECRET_OF_PARENT $GITHUB_REPOSITORY $FORGEJO_SHA $CI $ImageOS; test "$GITHUB_WORKSPACE" = "$PWD"; echo $GITHUB_SERVER_URL';
  const rpc = await ran(job(script), {}, { SECRET_OF_PARENT: 'visible' });
  expect(output(rpc)).toEqual(['visible acme/demo 0123456789 true debian', rpc.url]);
  expect(rpc.final()?.result).toBe(Result.SUCCESS);
});

test('env of workflow, job and step apply in that order, and expressions read secrets, env, github and matrix', async () => {
  const workflow = `env: { A: workflow, B: workflow, C: workflow }
jobs:
  build:
    runs-on: debian
    env: { B: job, C: job }
    strategy: { matrix: { node: [22] } }
    steps:
      - env: { C: step, D: "\${{ env.B }}-\${{ matrix.node }}" }
        run: echo $A $B $C $D \${{ github.repository }} \${{ secrets.WORD == 'hush' && 'known' || 'unknown' }}
`;
  const rpc = await ran(workflow, { secrets: { WORD: 'hush' } });
  expect(output(rpc)).toEqual(['workflow job step job-22 acme/demo known']);
});

test('secrets are three stars in the log, also those that a step masks itself', async () => {
  const rpc = await ran(job('- run: |\n    echo a ${{ secrets.WORD }} b\n    echo "::add-mask::found"\n    echo found it'), {
    secrets: { WORD: 's3cr3t' },
  });
  expect(output(rpc)).toEqual(['a *** b', '*** it']);
});

test('stdout and stderr stay in order, /dev/stderr can be written, and a last line without a newline is kept', async () => {
  const rpc = await ran(job('- run: |\n    echo 1; echo 2 >&2; echo 3 > /dev/stderr; echo 4\n    printf 5'));
  expect(output(rpc)).toEqual(['1', '2', '3', '4', '5']);
});

test('after a failed step only always() and failure() run; each step has its result and its part of the log', async () => {
  const steps = `- run: echo one; echo two
- run: exit 3
- run: echo never
- if: always()
  run: echo always
- if: failure()
  run: echo failure`;
  const rpc = await ran(job(steps));
  expect(output(rpc)).toEqual(['one', 'two', 'RUN exit status 3', 'always', 'failure']);
  const final = rpc.final();
  const { SUCCESS, FAILURE, SKIPPED } = Result;
  expect(final?.result).toBe(FAILURE);
  expect(final?.steps.map((step) => step.result)).toEqual([SUCCESS, FAILURE, SKIPPED, SUCCESS, SUCCESS]);
  expect(final?.steps.map((step) => [Number(step.logIndex), Number(step.logLength)])).toEqual([
    [1, 2],
    [3, 1],
    [4, 0],
    [4, 1],
    [5, 1],
  ]);
});

test('continue-on-error forgives a step, and timeout-minutes ends one', async () => {
  const rpc = await ran(job('- run: exit 1\n  continue-on-error: true\n- run: sleep 20\n  timeout-minutes: 0.005'));
  const { SUCCESS, FAILURE } = Result;
  expect(rpc.final()?.steps.map((step) => step.result)).toEqual([SUCCESS, FAILURE]);
});

test('outputs, environment and path travel from step to step and to the job', async () => {
  const workflow = `jobs:
  build:
    runs-on: debian
    outputs: { answer: "\${{ steps.ask.outputs.answer }}" }
    steps:
      - id: ask
        run: |
          echo answer=42 >> $FORGEJO_OUTPUT
          echo WORD=carried >> $GITHUB_ENV
          printf 'LONG<<END\\na\\nb\\nEND\\n' >> $FORGEJO_ENV
          echo /added/bin >> $FORGEJO_PATH
      - run: echo $WORD \${{ steps.ask.outputs.answer }} \${PATH%%:*}; echo "$LONG"
`;
  const rpc = await ran(workflow);
  expect(output(rpc)).toEqual(['carried 42 /added/bin', 'a', 'b']);
  expect(rpc.outputs()).toEqual({ answer: '42' });
});

test('services of a job without a container are not started, and its steps run without them', async () => {
  const rpc = await ran(job('- run: echo alone').replace('runs-on: debian', 'runs-on: debian\n    services: { db: { image: x } }'));
  expect(output(rpc)).toEqual(['alone']);
  expect(rpc.final()?.result).toBe(Result.SUCCESS);
});

test.each([
  ['an action', job('- uses: actions/checkout@v4'), 'exec: "git": executable file not found in $PATH'],
  [
    'a container',
    job('- run: true').replace('runs-on: debian', 'runs-on: debian\n    container: node:22'),
    'Cannot connect to the Docker daemon',
  ],
  ['an unknown expression', job('- run: echo ${{ hashFiles("x") }}'), 'the stand-in cannot'],
  ['two jobs', 'jobs: { a: { steps: [] }, b: { steps: [] } }', 'multiple jobs found'],
])('%s fails the job with a sentence in its log and exit 0', async (_what, workflow, sentence) => {
  const rpc = await ran(workflow);
  expect(rpc.final()?.result).toBe(Result.FAILURE);
  expect(output(rpc).join('\n')).toContain(sentence);
});

test('a task without a default actions URL fails, as on the real runner', async () => {
  const { gitea_default_actions_url: _, ...context } = aContext;
  const rpc = await ran(job('- run: true'), { context });
  expect(rpc.final()?.result).toBe(Result.FAILURE);
});
