// Promises the three workflows of the demo, every job of them with what it shows and how it has to end. Only what a stock runner on a host
// label can do: plain `run:` steps.

export type Result = 'success' | 'failure' | 'cancelled' | 'skipped';

/** One run: a workflow that is pushed, or one that is started by hand. */
export type PlannedRun = {
  readonly file: string;
  readonly start: 'push' | 'dispatch';
  /** How the job is called on the screen. */
  readonly rowOf: (job: string) => string;
};

export type Expectation = {
  readonly row: string;
  readonly result: Result;
  readonly shows: string;
};

/** Clocks and limits of the two profiles; the workflows below are written to them. */
export const profiles = [
  { name: 'default', labels: ['debian'], limits: { memory: '512MiB', tasks: 256, cpus: 1 }, timeouts: { job: '5m', stop: '5s' } },
  { name: 'short', labels: ['short'], limits: { memory: '512MiB', tasks: 256 }, timeouts: { pick: '3s', job: '4s', stop: '5s' } },
] as const;

/** No profile has it. */
export const unservedRow = 'wants-gpu';
export const cancelledRow = 'long-haul';
export const blockedRow = 'deploy 2';

const deploy = (label: string, script: string): string => `name: deploy
on: workflow_dispatch
concurrency:
  group: production
  cancel-in-progress: false
jobs:
  deploy:
    runs-on: ${label}
    steps:
      - run: ${script}
`;

export const files: Readonly<Record<string, string>> = {
  'deploy-1.yml': deploy('debian', 'echo "nobody else deploys now"; sleep 7; echo "deployed"'),
  'deploy-2.yml': deploy('short', 'echo "now it is my turn"'),
  'haul.yml': `name: haul
on: workflow_dispatch
jobs:
  long-haul:
    runs-on: debian
    steps:
      - run: echo "this would take a minute"; sleep 60; echo "never said"
`,
  'demo.yml': `name: demo
on: push
jobs:
  hello:
    runs-on: debian
    strategy:
      matrix:
        who: [ada, alan, edsger, grace]
    steps:
      - run: |
          echo "hello \${{ matrix.who }}, I am uid $(id -u) in $(cat /proc/sys/kernel/hostname)"
          echo "files of other jobs here: $(ls -A | wc -l)"; touch mine
  after:
    runs-on: debian
    needs: hello
    steps:
      - run: echo "all four have said hello"
  breaks:
    runs-on: debian
    steps:
      - run: echo "this goes wrong"; exit 3
  too-long:
    runs-on: short
    steps:
      - run: echo "the profile gives this four seconds"; sleep 60; echo "never said"
  wants-gpu:
    runs-on: gpu
    steps:
      - run: echo "never said"
`,
};

const asItIs = (job: string): string => job;

export const runs: readonly PlannedRun[] = [
  { file: 'deploy-1.yml', start: 'dispatch', rowOf: () => 'deploy 1' },
  { file: 'deploy-2.yml', start: 'dispatch', rowOf: () => blockedRow },
  { file: 'haul.yml', start: 'dispatch', rowOf: asItIs },
  { file: 'demo.yml', start: 'push', rowOf: asItIs },
];

export const expectations: readonly Expectation[] = [
  ...['ada', 'alan', 'edsger', 'grace'].map((who) => ({ row: `hello (${who})`, result: 'success' as const, shows: 'one of a matrix' })),
  { row: 'after', result: 'success', shows: 'needs the four before it' },
  { row: 'breaks', result: 'failure', shows: 'a step fails' },
  { row: 'too-long', result: 'failure', shows: 'stopped by the job clock of its profile' },
  { row: 'deploy 1', result: 'success', shows: 'holds a concurrency group' },
  { row: blockedRow, result: 'success', shows: 'listed as waiting, held back by the group' },
  { row: cancelledRow, result: 'cancelled', shows: 'cancelled in Forgejo while it runs' },
  { row: unservedRow, result: 'cancelled', shows: 'needs a label nobody has; cancelled at the end' },
];
